"""How upscalers are trained; needs torch."""
