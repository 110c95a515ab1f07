"""Faces in a photo: found, brought to the upright square that networks see, and pasted back."""

from imgan.faces.alignment import TEMPLATE, Face, Floats, align, boxed, cut, magnification, whole
from imgan.faces.detection import find
from imgan.faces.pasting import paste, soft_mask, spread

__all__ = [
    "TEMPLATE",
    "Face",
    "Floats",
    "align",
    "boxed",
    "cut",
    "find",
    "magnification",
    "paste",
    "soft_mask",
    "spread",
    "whole",
]
