"""Where on a face the things that a network paints grow, and the squares that it sees.

Coordinates are those of CelebA's alignment: (x, y) from the middle between the eyes, x to the right
and y down, in distances of the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from imgan.images.fields import Floats, smoothstep

THINGS = ("bangs", "beard", "mustache", "goatee", "glasses", "bare")
"""What is painted, in the order of the network's planes; after these comes the matte. `bare` is
what is there when the others are taken away."""

CENTRE, UNIT = np.array([0.5, 0.5155]), 0.219
"""The middle between the eyes and their distance in CelebA's square, in parts of its side."""


class Frame(NamedTuple):
    """A square that the network sees: its middle and its side."""

    x: float
    y: float
    side: float


FRAMES = {
    "forehead": Frame(0.0, -0.5, 3.0),
    "eyes": Frame(0.0, 0.1, 2.75),
    "chin": Frame(0.0, 1.0, 2.75),
}

ON = {
    "bangs": "forehead",
    "beard": "chin",
    "mustache": "chin",
    "goatee": "chin",
    "glasses": "eyes",
}
"""In which frame each thing is painted."""


@dataclass(frozen=True)
class Zone:
    """Where a thing may be, larger or smaller and moved a little."""

    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0
    soft: float = 0.06
    """Over what width it fades."""

    def beard(self, x: Floats, y: Floats) -> Floats:
        """Below a line from the ears to the wings of the nose, and within the jaw."""
        x, y = self._moved(x, y, 0.95)
        beside = np.abs(x)
        line = np.interp(beside, (0.0, 0.3, 0.5, 0.68, 1.1), (0.72, 0.7, 0.84, 0.84, 0.2))
        jaw = np.hypot(x / 1.06, (y - 0.7) / 1.22)
        return self._inside(y - line) * self._inside(1.1 * (1 - jaw))

    def mustache(self, x: Floats, y: Floats) -> Floats:
        """Between nose and mouth, down to its corners."""
        x, y = self._moved(x, y, 0.86)
        bent = y - 0.86 - 0.45 * x * x
        return self._inside(0.2 * (1 - np.hypot(x / 0.5, bent / 0.17)))

    def goatee(self, x: Floats, y: Floats) -> Floats:
        """Around the mouth, and on the chin."""
        x, y = self._moved(x, y, 1.25)
        return self._inside(0.55 * (1 - np.hypot(x / 0.56, (y - 1.28) / 0.62))) * self._inside(
            y - 0.7
        )

    def bangs(self, x: Floats, y: Floats) -> Floats:
        """On the forehead, down to the brows."""
        x, y = self._moved(x, y, -0.6)
        return self._inside(0.55 * (1 - np.hypot(x, (y + 0.68) / 0.55)))

    def glasses(self, x: Floats, y: Floats) -> Floats:
        """Around both eyes, and the temples."""
        x, y = self._moved(x, y, 0.05)
        round_eyes = np.maximum(np.abs(x) - 1.0, np.abs(y - 0.07) - 0.38)
        return self._inside(-round_eyes)

    def rims(self, x: Floats, y: Floats) -> Floats:
        """Only the rims of glasses, their bridge and their temples."""
        thick = 0.05 * self.scale
        x, y = replace(self, scale=1.0)._moved(x, y, 0.05)
        away = np.hypot((np.abs(x) - 0.53) / 0.42, (y - 0.07) / (0.2 + 0.12 * self.scale))
        rim = 0.35 * np.abs(away - 1) - thick
        bridge = np.maximum(np.abs(y + 0.07) - thick, np.abs(x) - 0.15)
        temple = np.maximum(np.abs(y + 0.05) - thick, np.abs(np.abs(x) - 1.1) - 0.2)
        return self._inside(-np.minimum(np.minimum(rim, bridge), temple))

    def _moved(self, x: Floats, y: Floats, middle: float) -> tuple[Floats, Floats]:
        return (x - self.across) / self.scale, (y - self.down - middle) / self.scale + middle

    def _inside(self, depth: Floats) -> Floats:
        return smoothstep(depth, -self.soft / 2, self.soft / 2).astype(np.float32)


def grid(frame: Frame, size: int) -> tuple[Floats, Floats]:
    """x [1, size] and y [size, 1] of a frame's pixels."""
    along = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    return frame.x + frame.side * along[None], frame.y + frame.side * along[:, None]


def planes(thing: str, hole: Floats, matte: Floats) -> Floats:
    """What the network is told beside picture and hole, [7, h, w]: which thing it is in the hole,
    and the matte, where about the thing is in it."""
    told = np.zeros((len(THINGS) + 1, *hole.shape), np.float32)
    told[THINGS.index(thing)] = hole
    told[-1] = hole * matte
    return told
