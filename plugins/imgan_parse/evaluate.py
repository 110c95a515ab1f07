"""`imgan evaluate face-parser`: how well the parts that are found agree with the labelled ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan.faces import TEMPLATE, Face
from imgan.images import Picture
from imgan.images.tensors import Bytes
from imgan_parse import CLASSES
from imgan_parse.parser import Parser
from imgan_parse.training.data import CELEBAHQ, HELD_OUT, ParsedFaces

HEADER = ("part", "faces", "IoU")

TOGETHER = {
    "eyes": ("left_eye", "right_eye"),
    "brows": ("left_brow", "right_brow"),
    "ears": ("left_ear", "right_ear"),
    "lips": ("upper_lip", "lower_lip"),
}
"""Classes that are measured as one, too: which of two it is, is not asked."""


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, a row for each class and some classes together: the faces that have it, and
    intersection over union, over all pixels of all faces.

    On the held-out faces of a folder in CelebAMask-HQ's layout. A pixel is what it is likeliest to
    be, by the masks that `imgan parse` gives.

    Raises Misuse for a model that is none of this operation, Failure for a face without a mask.
    """
    parser = Parser.open(device, model)
    faces = ParsedFaces(data, first=-HELD_OUT)
    seen = [likeliest(parser, image) for image in faces.images]
    rows: list[tuple[str, ...]] = []
    for name, classes in [*((name, (name,)) for name in CLASSES), *TOGETHER.items()]:
        numbers = [CLASSES.index(each) for each in classes]
        truth = [np.isin(mask, numbers) for mask in faces.masks]
        found = [np.isin(mask, numbers) for mask in seen]
        rows.append((name, str(sum(mask.any() for mask in truth)), f"{iou(truth, found):.3f}"))
    return HEADER, rows


def likeliest(parser: Parser, image: Bytes) -> NDArray[np.intp]:
    """The class [H, W] of each pixel of one of CelebAMask-HQ's pictures, which are aligned."""
    side = CELEBAHQ.side * len(image)
    corner = np.multiply(CELEBAHQ.centre, len(image)) - side / 2
    points = corner + TEMPLATE * side
    face = Face((*corner.tolist(), side, side), points)
    height, width = image.shape[:2]
    parts = parser.parse(Picture(image), face, (0, 0, width, height))
    return np.argmax([parts[name] for name in CLASSES], 0)


def iou(truth: list[NDArray[np.bool_]], found: list[NDArray[np.bool_]]) -> float:
    """Intersection over union of masks; not a number when there is nothing in either."""
    both = sum(int((a & b).sum()) for a, b in zip(truth, found, strict=True))
    either = sum(int((a | b).sum()) for a, b in zip(truth, found, strict=True))
    return both / either if either else float("nan")
