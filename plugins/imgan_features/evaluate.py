"""`imgan evaluate features`: does the distance of the features agree with the teacher's?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.metrics.perceptual import open_features
from imgan.training.data import load_rgb, to_tensor
from imgan.training.distort import STRENGTHS
from imgan.training.perceptual import distance
from imgan_features.training.teacher import load_teacher

HEADER = ("distortion", "pairs", "Pearson", "Spearman")

SIDE = 128
"""Of the middle square of a picture that is looked at; smaller pictures are looked at whole."""


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, a row for each distortion and one for all of them together.

    Every picture of a folder is distorted in five ways at four strengths each; the correlations are
    those of the model's distances with the teacher's. The teacher runs on the CPU.

    Raises Misuse when the model has no features, Failure when the teacher is missing or a picture
    cannot be used.
    """
    teacher = load_teacher()
    student = open_features(device, model)
    kinds: list[str] = []
    ours: list[float] = []
    theirs: list[float] = []
    for index, picture in enumerate(_middles(data)):
        names, pairs = zip(*_distorted(picture, index), strict=True)
        kinds += names
        ours += [student.distance(picture, pair) for pair in pairs]
        with torch.no_grad():
            theirs += distance(teacher, to_tensor([picture]), to_tensor(pairs)).tolist()
    rows: list[tuple[str, ...]] = []
    for kind in [*(distortion.__name__ for distortion in STRENGTHS), "all"]:
        of = [index for index, name in enumerate(kinds) if kind in (name, "all")]
        a, b = np.array(ours)[of], np.array(theirs)[of]
        rows.append((kind, str(len(of)), f"{pearson(a, b):.4f}", f"{spearman(a, b):.4f}"))
    return HEADER, rows


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation of two series, -1..1; not a number when one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float(a @ b) / length if length else float("nan")


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation of two series' ranks, -1..1; equal values share their mean rank."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def _middles(data: Path) -> Iterator[Bytes]:
    for path in pictures(data):
        picture = np.asarray(load_rgb(path))
        height, width = picture.shape[:2]
        if min(height, width) < 16:
            raise Failure(f"{path}: {width}x{height} px; features need 16 a side")
        y, x = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
        yield np.ascontiguousarray(picture[y : y + SIDE, x : x + SIDE])


def _distorted(picture: Bytes, seed: int) -> Iterator[tuple[str, Bytes]]:
    rng = np.random.default_rng(seed)
    for distortion, strengths in STRENGTHS.items():
        for strength in strengths:
            yield distortion.__name__, distortion(picture, strength, rng)
