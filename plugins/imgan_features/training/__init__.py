"""How the perceptual network is distilled; needs torch."""
