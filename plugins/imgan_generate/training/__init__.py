"""How this plugin's networks are trained."""
