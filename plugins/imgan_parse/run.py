"""What `imgan parse` makes of a photo: a mask of parts, or a sheet of all classes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from imgan import faces
from imgan.errors import Skip
from imgan.faces import Face
from imgan.images import Picture, Source, to_srgb
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter, Result
from imgan_parse import CLASSES
from imgan_parse.parser import Parser
from imgan_parse.sheet import coloured, with_legend

SHEET = 1600
"""Longer side of the photo on a sheet, at most."""


def find(rgb: Bytes) -> list[Face]:
    """The faces of a photo. Raises Skip where there is none."""
    found = faces.find(rgb)
    if not found:
        raise Skip("no face found: only the parts of faces are known", code="no-face")
    return found


@dataclass(frozen=True)
class Masks:
    """Where any of `classes` is: grey, white where it is, at the photo's size. What the square of
    no face shows is background. Called with a photo; raises Skip when there is no face."""

    parser: Parser
    classes: Collection[str]
    meter: Meter = field(default_factory=Meter)

    def __call__(self, picture: Picture) -> Result:
        found = find(to_srgb(picture.pixels, picture.source))
        inverse = "background" in self.classes
        # Of what the background is a part, the rest is looked for: so several faces add up.
        shown = [name for name in CLASSES if (name in self.classes) != inverse]
        plane = np.zeros(picture.pixels.shape[:2], np.uint8)
        for number, face in enumerate(found, 1):
            self.meter(number / (len(found) + 1))
            parts = self.parser.parse(picture, face)
            x, y, width, height = parts.box
            there = plane[y : y + height, x : x + width]
            np.maximum(there, np.rint(255 * parts.part(*shown)).astype(np.uint8), out=there)
        if inverse:
            np.subtract(255, plane, out=plane)
        facts = {"faces": len(found), "share": round(float(plane.mean()) / 255, 4)}
        grey = Source(picture.source.format, grey=True)
        return Result(Picture(np.repeat(plane[..., None], 3, 2), source=grey), facts)


@dataclass(frozen=True)
class Sheets:
    """The photo under the colours of the classes, with a legend. Called with a photo; raises Skip
    when there is no face."""

    parser: Parser
    meter: Meter = field(default_factory=Meter)

    def __call__(self, picture: Picture) -> Result:
        small = reduced(to_srgb(picture.pixels, picture.source), SHEET)
        found = find(small)
        parsed = []
        for number, face in enumerate(found, 1):
            self.meter(number / (len(found) + 1))
            parsed.append(self.parser.parse(Picture(small), face))
        shown, seen = coloured(small, parsed)
        legend = Picture(with_legend(shown, seen), source=Source(picture.source.format))
        return Result(legend, {"faces": len(found), "classes": [CLASSES[i] for i in seen]})
