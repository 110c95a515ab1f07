"""How the networks of `imgan parse` are trained."""
