"""What translators see of a picture, in training and at work alike."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from imgan import faces
from imgan.errors import Skip
from imgan.faces import Face
from imgan.images import Picture, to_srgb
from imgan.images.tensors import Bytes
from imgan_translate import Preprocess

MARGIN = 0.05
"""Beyond CelebA's square on each side: hair and chin, as in the 250 rows of CUHK's pictures."""

BLUR = 1.0
"""Sigma in pixels before edges are sought, so that noise is none."""

FULL = 0.95
"""The part of the gradients that is drawn lighter than black."""


def gray(rgb: Bytes) -> Bytes:
    """The luma, three times."""
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    return np.repeat(luma[..., None], 3, 2)


def edges(rgb: Bytes) -> Bytes:
    """The lengths of luma's gradients (central differences), dark on white."""
    soft = Image.fromarray(rgb).convert("L").filter(ImageFilter.GaussianBlur(BLUR))
    lengths = np.hypot(*np.gradient(np.asarray(soft, np.float32)))
    strongest = max(float(np.quantile(lengths, FULL)), 1.0)
    drawn = 255 - (lengths / strongest).clip(0, 1) * 255
    return np.repeat(drawn.round().astype(np.uint8)[..., None], 3, 2)


PREPROCESS = {Preprocess.gray: gray, Preprocess.edges: edges}


def face_of(picture: Picture, number: int | None = None) -> Face:
    """The largest face, or the one of that number from the left. Raises Skip without it."""
    found = faces.find(to_srgb(picture.pixels, picture.source))
    if not found:
        raise Skip("no face found, and this model translates nothing else", code="no-face")
    if number is None:
        return max(found, key=lambda face: face.box[2] * face.box[3])
    if number > len(found):
        raise Skip(
            f"no face {number}: {len(found)} found; --face counts from the left", code="no-face"
        )
    return found[number - 1]


def square(picture: Picture, face: Face, side: int) -> Bytes:
    """The aligned face [side, side, 3]."""
    return faces.align(picture, face, side, MARGIN)
