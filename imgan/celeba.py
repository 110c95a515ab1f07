"""CelebA's layout: aligned faces, their attributes, and the faces that are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ATTRIBUTES_FILE = "list_attr_celeba.txt"
HELD_OUT = 500
"""The last faces by file name are for validation."""


def read_attributes(listing: Path) -> tuple[list[str], dict[str, NDArray[np.float32]]]:
    """CelebA's own format: a count, the names, then a line a picture with -1 or 1 for each name."""
    lines = listing.read_text().splitlines()
    names = lines[1].split()
    table = {}
    for line in lines[2:]:
        name, *values = line.split()
        table[name] = (np.array(values, int) > 0).astype(np.float32)
    return names, table


def square(picture: Image.Image, size: int) -> Image.Image:
    """The centred square of an aligned face: CelebA's whole width, the middle of its height."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BICUBIC, box)
