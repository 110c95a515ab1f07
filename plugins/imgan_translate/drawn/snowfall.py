"""Falling snow: flakes in four depths, blurred by their fall, and out of focus when near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from imgan.images.fields import Floats
from imgan_translate.drawn.fields import softened

SIDE = 2000
"""Longer side, in pixels, at which flakes are drawn, at most: their edges are soft."""


@dataclass(frozen=True)
class Depth:
    """Flakes at one distance: how many in a dense fall; `radius`, `fall` while the shutter is
    open, and `blur`, in thousandths of the longer side; how much each hides of what is behind."""

    count: int
    radius: float
    fall: float
    blur: float
    opacity: float


DEPTHS = (
    Depth(5200, 0.5, 1.2, 0.5, 0.75),
    Depth(1500, 1.1, 2.6, 0.7, 0.9),
    Depth(190, 2.6, 7.0, 1.7, 0.75),
    Depth(26, 8.0, 15.0, 4.5, 0.4),
)
"""From far to near."""


def flakes(height: int, width: int, amount: float, seed: int) -> Floats:
    """[h, w], 0..1: how much falling snow hides of a picture [height, width]; the plane may be
    smaller. `amount`: 0 none, 1 a dense fall."""
    longer = max(height, width)
    scale = min(1, SIDE / longer)
    unit = scale * longer / 1000
    sides = round(width * scale), round(height * scale)
    rng = np.random.default_rng(seed)
    drift = rng.uniform(-0.5, 0.5)
    clear = np.ones(sides[::-1], np.float32)
    for depth in DEPTHS:
        layer = Image.new("L", sides)
        draw = ImageDraw.Draw(layer)
        count = round(amount * depth.count * min(sides) / max(sides))
        x, y = rng.uniform(-0.05, 1.05, (2, count)) * np.array(sides)[:, None]
        size = np.exp(rng.normal(0, 0.3, count))
        turn = drift + rng.normal(0, 0.2, count)
        hides = rng.uniform(0.4, 1, count) * 255
        for ex, ey, s, t, hidden in zip(x, y, size, turn, hides, strict=True):
            r, fall = s * depth.radius * unit, s * depth.fall * unit
            ends = (ex, ey, ex + t * fall, ey + fall)
            fill = round(hidden)
            draw.line(ends, fill, max(1, round(2 * r)))
            for cx, cy in (ends[:2], ends[2:]):
                draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill)
        hidden = softened(np.asarray(layer, np.float32) / 255, depth.blur * unit)
        clear *= 1 - depth.opacity * hidden
    return 1 - clear
