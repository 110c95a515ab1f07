"""CelebA's layout: aligned faces, their attributes, and the faces that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.images import open_picture, pictures, to_srgb

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


def held_out(folder: Path) -> list[Path]:
    """The last 500 faces of a folder, by name. Raises Failure when there is none."""
    return pictures(folder)[-HELD_OUT:]


def read_faces(paths: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """Aligned faces as squares, [N, size, size, 3] sRGB. Raises Failure for what is no picture."""
    opened = map(open_picture, paths)
    faces = (Image.fromarray(to_srgb(picture.pixels, picture.source)) for picture in opened)
    return np.stack([np.asarray(square(face, size)) for face in faces])


def square(picture: Image.Image, size: int) -> Image.Image:
    """The centred square of an aligned face: CelebA's whole width, the middle of its height."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BICUBIC, box)
