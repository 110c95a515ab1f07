"""Tables of pictures with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imgan.images.tensors import Bytes

CELL = 224
"""The longer side of a picture in a table, unless people want it larger."""

GAP, TEXT = 6, 13
"""Pixels between pictures, and the height of letters."""


def sheet(lines: Sequence[Sequence[Bytes]], down: Sequence[str], across: Sequence[str]) -> Bytes:
    """Rows of pictures [h, w, 3] of any sizes on white, labelled on the left and above.

    Every cell is as large as the largest picture of the last row needs; larger ones are shrunk.
    """
    side = max(max(picture.shape[:2]) for picture in lines[-1])
    cells = [[_fitted(picture, side) for picture in line] for line in lines]
    width = max(cell.width for line in cells for cell in line) + GAP
    heights = [max(cell.height for cell in line) + GAP for line in cells]
    font = ImageFont.load_default(TEXT)
    left = round(max(font.getlength(label) for label in down)) + 2 * GAP
    top = TEXT + 2 * GAP
    image = Image.new("RGB", (left + width * len(across), top + sum(heights)), "white")
    draw = ImageDraw.Draw(image)
    for column, label in enumerate(across):
        draw.text((left + column * width, GAP), _shortened(label, width, font), "black", font)
    for line, label, height in zip(cells, down, heights, strict=True):
        draw.text((GAP, top), label, "black", font)
        for column, cell in enumerate(line):
            image.paste(cell, (left + column * width, top))
        top += height
    return np.asarray(image)


def _fitted(picture: Bytes, side: int) -> Image.Image:
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def _shortened(label: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The end of a label as wide as its column."""
    while label and font.getlength(label) > width - GAP:
        label = label[1:]
    return label
