"""How encoders are trained."""
