"""Faces in a photo: found, brought to the upright square that face networks see, and pasted back.

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), and points are
(x, y). "Left" is the viewer's left.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images import Picture, from_srgb, to_srgb
from imgan.session import Session, open_session

Floats = NDArray[np.floating]

TEMPLATE: Floats = np.zeros((5, 2))
"""Where CelebA's alignment puts the five points, as fractions of the centred square of its pictures."""

IN_BOX: Floats = np.zeros((5, 2))
"""Where the five points lie in a found box, as fractions of its sides, on average over CelebA."""

SEARCH_SIDES = (1000, 3000)
"""A photo is searched at this long side, in pixels, and again finer when no face was found."""

SMALLEST = 20
"""Side of the smallest face looked for, in pixels of the searched picture."""

PYRAMID = math.sqrt(0.5)
"""Each level of the pyramid has half the area of the one before."""

THRESHOLDS = (0.6, 0.7, 0.9)
"""Lowest probability of a face to pass each of the three networks."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in pixels of the photo.

    `box` is x, y, width, height; `points` [5, 2] are left eye, right eye, nose, left and right corner
    of the mouth; `score` is the detector's probability, 1 for a face that a person pointed out.
    """

    box: tuple[float, float, float, float]
    points: Floats
    score: float = 1.0


def boxed(x: float, y: float, width: float, height: float) -> Face:
    """A face that a person boxed by hand, forehead to chin: an average upright face in that box."""
    return Face((x, y, width, height), (x, y) + IN_BOX * (width, height))


def whole(width: int, height: int) -> Face:
    """The face of a picture that is an aligned face already: its centred square, as in CelebA."""
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return Face((x, y, side, side), (x, y) + TEMPLATE * side)


def find(rgb: NDArray[np.uint8]) -> list[Face]:
    """The faces in a photo [H, W, 3], from left to right.

    Raises Failure when the package that holds the detector's networks is missing.
    """
    longest = max(rgb.shape[:2])
    faces: list[Face] = []
    for side in SEARCH_SIDES:
        scale = min(1.0, side / longest)
        faces = _search(rgb, scale)
        if faces or scale == 1:
            break
    return sorted(faces, key=lambda face: face.box[0] + face.box[2] / 2)


def align(picture: Picture, face: Face, size: int, margin: float = 0) -> NDArray[np.uint8]:
    """The face, upright, in a square of sRGB pixels [size, size, 3], antialiased.

    The square is CelebA's, grown on each side by `margin` of its side. Where it leaves the photo, the
    photo's edge pixels go on.
    """
    matrix = _placement(face, size, margin)
    left, top, right, bottom = _bounds(matrix, size)
    height, width = picture.pixels.shape[:2]
    rows = np.arange(top, bottom).clip(0, height - 1)
    columns = np.arange(left, right).clip(0, width - 1)
    region = _bytes(to_srgb(picture.pixels[np.ix_(rows, columns)], picture.source))
    # Pillow's affine transform does not antialias, its resize does: go through a finer square whose
    # pixels are about those of the photo.
    photo_pixels = 1 / math.sqrt(np.linalg.det(matrix))
    reduction = max(1, int(photo_pixels / 2))
    finer = max(1, math.ceil(photo_pixels / reduction))
    image = Image.fromarray(region).reduce(reduction)
    from_square = (
        _scaling(1 / reduction) @ _shift(-left, -top) @ np.linalg.inv(matrix) @ _scaling(1 / finer)
    )
    square = _transform(image, from_square, (size * finer, size * finer))
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))


def paste(
    picture: Picture, face: Face, difference: Floats, mask: Floats, margin: float = 0
) -> Picture:
    """The photo with a difference added to the face that `align` gave.

    `difference` [size, size, 3] is in sRGB, in 255ths; `mask` [size, size] is its weight, 0..1, and
    should be 0 along the border. Both are enlarged to the photo's pixels by bicubic interpolation.
    Pixels where the enlarged mask is 0 stay equal to the bit; of the others, only the change goes
    through sRGB, so they keep what the photo has beyond it (16 bits, a wide gamut).
    """
    to_square = _placement(face, len(mask), margin)
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = np.clip(
        _bounds(to_square, len(mask)), 0, (width, height, width, height)
    )
    if left == right or top == bottom:
        return picture
    matrix, shape = to_square @ _shift(left, top), (right - left, bottom - top)
    weight = _warp(mask, matrix, shape).clip(0, 1)[..., None]
    change = np.stack([_warp(plane, matrix, shape) for plane in np.moveaxis(difference, 2, 0)], 2)
    pixels = picture.pixels.copy()
    region = pixels[top:bottom, left:right]
    before = to_srgb(region, picture.source)
    unit = np.iinfo(before.dtype).max / 255
    after = _whole_numbers(before + unit * weight * change, before.dtype)
    moved = from_srgb(after, picture.source).astype(np.int32) - from_srgb(before, picture.source)
    region[...] = _whole_numbers(region + moved, region.dtype)
    return picture.with_pixels(pixels)


def _search(rgb: NDArray[np.uint8], scale: float) -> list[Face]:
    """MTCNN (Zhang, Zhang, Li, Qiao 2016) on the photo brought to `scale`.

    A fully convolutional network proposes boxes on every level of a pyramid; a second and a third,
    looking closer at each, throw most away and correct the rest; the third gives the five points.
    """
    networks = _networks()
    image = _scaled(Image.fromarray(rgb), scale)
    found = _propose(networks.proposal, image)
    found = _refine(networks.refinement, image, found, 24, THRESHOLDS[1])
    boxes, scores, crops, points = _refine(networks.output, image, found, 48, THRESHOLDS[2])
    ...
