"""Faces in a photo: found, brought to the upright square that networks see, and pasted back."""

from imgan.faces.alignment import TEMPLATE, Face, Floats, align, boxed, cut, magnification, whole
from imgan.faces.detection import find
from imgan.faces.pasting import paste, spread

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
    "spread",
    "whole",
]
