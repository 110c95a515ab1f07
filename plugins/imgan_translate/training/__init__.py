"""How the networks of `imgan translate` are trained; needs torch."""
