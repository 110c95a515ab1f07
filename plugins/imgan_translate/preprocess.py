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


BLACK = 40
"""Of 255: borders of scans are darker."""

PAPER = 250
"""What paper becomes, of 255."""


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


def bars(picture: Bytes) -> Bytes:
    """255 where the border of a scan, or what a turned picture does not have, is black [H, W]."""
    calm = Image.fromarray(picture).convert("L").filter(ImageFilter.MaxFilter(5))
    dark = np.asarray(calm) < BLACK
    black = np.zeros_like(dark)
    for turns in range(4):
        # Black from the border on, without a break.
        inward = np.logical_and.accumulate(np.rot90(dark, turns), axis=0)
        black |= np.rot90(inward, -turns)
    return np.asarray(Image.fromarray(black).convert("L").filter(ImageFilter.MaxFilter(9)))


def paper(rgb: Bytes) -> Bytes:
    """A drawing on white paper, without color, and without the black borders of its scan."""
    luma, black = np.asarray(Image.fromarray(rgb).convert("L")), bars(rgb) > 0
    shade = max(128.0, float(np.quantile(luma[~black], 0.9))) if not black.all() else 255.0
    white = np.where(black, 255, np.minimum(255, luma * (PAPER / shade)))
    return np.repeat(white.astype(np.uint8)[..., None], 3, 2)


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


PREPROCESS = {Preprocess.gray: gray, Preprocess.edges: edges, Preprocess.paper: paper}


def square(picture: Picture, face: Face, side: int) -> Bytes:
    """The aligned face [side, side, 3]."""
    return faces.align(picture, face, side, MARGIN)
