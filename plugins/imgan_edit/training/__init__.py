"""How the networks of `imgan edit` are trained; needs torch."""
