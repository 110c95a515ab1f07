"""Holes to train and to measure on: boxes, strokes of a brush, and masks from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imgan.images import open_picture, pictures, to_srgb

Mask = NDArray[np.bool_]
"""[H, W], True in the hole."""

TRIES = 20
"""Before a hole that came out too large or too small is taken as it is."""


def read_masks(folder: Path) -> list[Mask]:
    """The masks in a folder, white in the hole. Raises Failure when there is none."""
    masks = []
    for path in pictures(folder):
        picture = open_picture(path)
        masks.append(to_srgb(picture.pixels, picture.source)[..., 0] > 127)
    return masks


def draw_hole(
    rng: Generator,
    side: int,
    least: float = 0.02,
    most: float = 0.4,
    masks: Sequence[Mask] = (),
) -> Mask:
    """A hole in a square of `side` pixels that takes `least` to `most` of it: a function of the
    generator's state."""
    best: Mask | None = None
    for _ in range(TRIES):
        kind = rng.integers(3 if masks else 2)
        if kind == 0:
            hole = _boxes(rng, side, most)
        elif kind == 1:
            hole = _strokes(rng, side)
        else:
            hole = _from_folder(rng, side, masks)
        share = hole.mean()
        if least <= share <= most:
            return hole
        if best is None or 0 < share < best.mean() or not best.any():
            best = hole
    assert best is not None
    return best


def _boxes(rng: Generator, side: int, most: float) -> Mask:
    hole = np.zeros((side, side), bool)
    for _ in range(rng.integers(1, 3)):
        area, shape = rng.uniform(0.02, most) * side**2, np.exp(rng.uniform(-0.7, 0.7))
        height, width = (int(min(side, np.sqrt(area * s))) for s in (shape, 1 / shape))
        top, left = rng.integers(side - height + 1), rng.integers(side - width + 1)
        hole[top : top + height, left : left + width] = True
    return hole


def _strokes(rng: Generator, side: int) -> Mask:
    """Lines that turn at random, round at the joints, as free-form masks are (Yu et al. 2019)."""
    image = Image.new("1", (side, side))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 6)):
        breadth = int(rng.uniform(0.02, 0.2) * side) + 1
        x, y = rng.uniform(0, side, 2)
        angle = rng.uniform(0, 2 * np.pi)
        for _ in range(rng.integers(1, 6)):
            length = rng.uniform(0.05, 0.4) * side
            angle += rng.normal(0, 0.6)
            ends = x + length * np.cos(angle), y + length * np.sin(angle)
            draw.line((x, y, *ends), 1, breadth)
            x, y = ends
            draw.ellipse((x - breadth / 2, y - breadth / 2, x + breadth / 2, y + breadth / 2), 1)
    return np.asarray(image)


def _from_folder(rng: Generator, side: int, masks: Sequence[Mask]) -> Mask:
    mask = masks[int(rng.integers(len(masks)))]
    mask = np.rot90(mask, int(rng.integers(4)))[:, :: 1 - 2 * int(rng.integers(2))]
    return np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST))
