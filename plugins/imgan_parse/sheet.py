"""A colour for each class, and photos under them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imgan.images.tensors import Bytes
from imgan_parse import CLASSES
from imgan_parse.parser import Parts

COLOURS = np.array(
    [
        (0, 0, 0),
        (229, 178, 145),
        (242, 120, 75),
        (60, 220, 220),
        (70, 110, 255),
        (20, 50, 190),
        (150, 80, 20),
        (200, 120, 40),
        (255, 200, 40),
        (230, 160, 0),
        (120, 0, 40),
        (255, 60, 110),
        (200, 20, 70),
        (120, 60, 200),
        (40, 160, 60),
        (250, 250, 120),
        (160, 255, 160),
        (170, 170, 170),
        (70, 110, 90),
    ],
    np.uint8,
)
"""[19, 3] sRGB, in the order of `imgan_parse.CLASSES`."""

COVER = 0.6
"""How much of the photo the colours cover."""

TEXT, GAP = 13, 8
"""The height of letters in the legend, and the space around them, in pixels."""

SEEN = 0.5
"""A class is named where its mask has more than this somewhere."""


def coloured(photo: Bytes, faces: Sequence[Parts]) -> tuple[Bytes, list[int]]:
    """The photo [H, W, 3] under the colours of what each face's masks show, and the classes that
    are there."""
    result = photo.copy()
    seen: set[int] = set()
    for parts in faces:
        x, y, width, height = parts.box
        there = result[y : y + height, x : x + width]
        after = there.astype(np.float32)
        for index, name in enumerate(CLASSES[1:], start=1):
            part = parts[name]
            if part.max() > SEEN:
                seen.add(index)
            after += COVER * part[..., None] * (COLOURS[index] - there.astype(np.float32))
        there[...] = after.round().clip(0, 255)
    return result, sorted(seen)


def with_legend(photo: Bytes, seen: Sequence[int]) -> Bytes:
    """The photo [H, W, 3] above the names of classes beside their colours."""
    font = ImageFont.load_default(TEXT)
    height, width = photo.shape[:2]
    x, y, places = GAP, height + GAP, []
    for index in seen:
        name = CLASSES[index].replace("_", " ")
        wide = TEXT + GAP + round(font.getlength(name)) + 2 * GAP
        if x > GAP and x + wide > width:
            x, y = GAP, y + TEXT + GAP
        places.append((x, y, name, index))
        x += wide
    image = Image.new("RGB", (width, y + TEXT + GAP), "white")
    image.paste(Image.fromarray(photo))
    draw = ImageDraw.Draw(image)
    for x, y, name, index in places:
        colour = tuple(COLOURS[index].tolist())
        draw.rectangle((x, y, x + TEXT, y + TEXT), colour, "black")
        draw.text((x + TEXT + GAP, y), name, "black", font)
    return np.asarray(image)
