"""The engine `regions`: what is known of faces is drawn, at the photo's own size.

A face becomes a `View`: its crop of the photo, with soft masks of its parts. An effect, such as
another colour of the hair, makes a `Change` of it: pixels, and where they count. Elsewhere the
photo stays as it is, to the bit.
"""
