"""A face, and the upright square of the photo that face networks see.

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), and points are
(x, y). "Left" is the viewer's left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.images import Picture, to_srgb

Floats = NDArray[np.floating]


TEMPLATE: Floats = np.array(
    [[0.3905, 0.5155], [0.6095, 0.5155], [0.5, 0.6512], [0.4038, 0.7473], [0.5962, 0.7473]]
)
"""Where CelebA's alignment puts the five points, as fractions of its pictures' centred square.

The median of what `find` says of 400 of them, made symmetrical.
"""


IN_BOX: Floats = np.array(
    [[0.2623, 0.3950], [0.7377, 0.3950], [0.5, 0.6073], [0.2879, 0.7590], [0.7121, 0.7590]]
)
"""Where the five points lie in a found box, as fractions of its sides; measured likewise."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in pixels of the photo.

    `box` is x, y, width, height; `points` [5, 2] are left eye, right eye, nose, left and right
    corner of the mouth; `score` is the detector's probability, 1 for a face that a person boxed.
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


def magnification(face: Face, size: int, margin: float = 0) -> float:
    """How many pixels of the photo stand side by side for one of what `align` gives."""
    return float(1 / math.sqrt(np.linalg.det(placement(face, size, margin))))


def align(picture: Picture, face: Face, size: int, margin: float = 0) -> NDArray[np.uint8]:
    """The face, upright, in a square of sRGB pixels [size, size, 3], antialiased.

    The square is CelebA's, grown on each side by `margin` of its side. Where it leaves the photo,
    the photo's edge pixels go on.
    """
    matrix = placement(face, size, margin)
    left, top, right, bottom = bounds(matrix, size)
    height, width = picture.pixels.shape[:2]
    down, above_below = reach(top, bottom, height)
    across, beside = reach(left, right, width)
    part = to_srgb(picture.pixels[down, across], picture.source)
    region = np.pad(part, (above_below, beside, (0, 0)), "edge")
    # Pillow's affine transform does not antialias, its resize does: go through a finer square whose
    # pixels are about those of the photo.
    photo_pixels = magnification(face, size, margin)
    reduction = max(1, int(photo_pixels / 2))
    finer = max(1, math.ceil(photo_pixels / reduction))
    image = Image.fromarray(region).reduce(reduction)
    from_square = (
        scaling(1 / reduction) @ shift(-left, -top) @ np.linalg.inv(matrix) @ scaling(1 / finer)
    )
    bicubic = Image.Resampling.BICUBIC
    square = transform(image, from_square, (size * finer, size * finer), bicubic)
    return np.asarray(square.resize((size, size), bicubic))


def cut(picture: Picture, face: Face, margin: float = 0) -> tuple[Picture, Face]:
    """The part of the photo that `align` and `paste` look at, as a photo of its own, for repeated
    work on one face of a large photo. A face that lies wholly outside comes back with all of it."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = bounds(placement(face, 1, margin), 1)
    # A pixel more, for what the corners' arithmetic may round otherwise for another size.
    left, top = max(0, left - 1), max(0, top - 1)
    right, bottom = min(width, right + 1), min(height, bottom + 1)
    if left >= right or top >= bottom:
        return picture, face
    x, y, *sides = face.box
    moved = Face((x - left, y - top, sides[0], sides[1]), face.points - (left, top), face.score)
    return Picture(picture.pixels[top:bottom, left:right], source=picture.source), moved


def placement(face: Face, size: int, margin: float) -> Floats:
    """The similarity [3, 3] that takes the photo to the square, least squares over the five points.

    In the complex plane a similarity is z -> az + b, so this is a regression in one variable.
    """
    target = (TEMPLATE + margin) / (1 + 2 * margin) * size @ [1, 1j]
    source = face.points @ [1, 1j]
    spread = source - source.mean()
    a = np.vdot(spread, target) / np.vdot(spread, spread)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])


def bounds(to_square: Floats, size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square in whole pixels of the photo."""
    corners = np.array([[0, 0, size, size], [0, size, 0, size], [1, 1, 1, 1]])
    xy = (np.linalg.inv(to_square) @ corners)[:2]
    (left, top), (right, bottom) = np.floor(xy.min(1)), np.ceil(xy.max(1))
    return int(left), int(top), int(right), int(bottom)


def reach(start: int, stop: int, length: int) -> tuple[slice, tuple[int, int]]:
    """The part of a range of rows that a photo of this height has, at least one, and how often its
    first and its last are repeated for the rest."""
    first, last = (min(max(row, 0), length - 1) for row in (start, stop - 1))
    lacking = stop - start - (last + 1 - first)
    before = min(max(first - start, 0), lacking)
    return slice(first, last + 1), (before, lacking - before)


def transform(
    image: Image.Image, to_image: Floats, shape: tuple[int, int], kernel: Image.Resampling
) -> Image.Image:
    """`image` through an affine matrix that takes the result's coordinates to the image's; `shape`
    is width, height."""
    coefficients = tuple(to_image[:2].ravel().tolist())
    return image.transform(shape, Image.Transform.AFFINE, coefficients, kernel)


def shift(x: float, y: float) -> Floats:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def scaling(factor: float) -> Floats:
    return np.diag([factor, factor, 1.0])
