"""Training of the networks of `imgan inpaint`."""
