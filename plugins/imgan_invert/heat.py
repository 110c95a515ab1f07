"""A matrix of similarities as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imgan.images.tensors import Bytes, Floats

CELL, GAP, TEXT = 18, 4, 12
"""In pixels: a cell's side, what surrounds names, their height."""

BLUE, RED = np.array([33, 102, 172]), np.array([178, 24, 43])
"""What -1 and 1 are; 0 is white."""


def heat_map(matrix: Floats, names: Sequence[str]) -> Bytes:
    """[K, K] in -1..1 with the name of every row and column: [H, W, 3]."""
    end = np.where(matrix[..., None] > 0, RED, BLUE)
    cells = 255 + (end - 255) * np.abs(matrix).clip(0, 1)[..., None]
    squares = Image.fromarray(cells.round().astype(np.uint8).repeat(CELL, 0).repeat(CELL, 1))
    left, above = _lines(names, "rm"), _lines(names, "lm").transpose(Image.Transpose.ROTATE_90)
    picture = Image.new("RGB", (left.width + squares.width, above.height + squares.height), "white")
    picture.paste(left, (0, above.height))
    picture.paste(above, (left.width, 0))
    picture.paste(squares, (left.width, above.height))
    return np.asarray(picture)


def _lines(names: Sequence[str], anchor: str) -> Image.Image:
    """A name a row of cells, from the left ("lm") or to the right ("rm")."""
    font = ImageFont.load_default(TEXT)
    width = round(max(font.getlength(name) for name in names)) + 2 * GAP
    lines = Image.new("RGB", (width, CELL * len(names)), "white")
    draw = ImageDraw.Draw(lines)
    for index, name in enumerate(names):
        x = GAP if anchor == "lm" else width - GAP
        draw.text((x, (index + 0.5) * CELL), name, "black", font, anchor=anchor)
    return lines
