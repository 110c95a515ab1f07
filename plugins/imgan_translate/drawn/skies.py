"""Where the sky is."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, smoothstep
from imgan_translate.drawn.fields import slopes, softened


def steepness(light: Floats, unit: float) -> Floats:
    """[H, W]: roots of gradients by a thousandth of the longer side, which is `unit` pixels; so
    one edge is not texture. The square of their mean around a place is its texture."""
    return np.sqrt(unit * np.hypot(*slopes(softened(light, 1.2 * unit))))


def sky(lab: Floats, texture: Floats, unit: float) -> Floats:
    """[H, W], 0..1: what is even, blue or light, and reaches down from the upper border."""
    light, a, b = np.moveaxis(lab, 2, 0)
    blue = smoothstep(-b + 0.25 * np.abs(a), 0.0, 0.03) + smoothstep(light, 0.6, 0.75)
    clear = (blue.clip(max=1) * (1 - smoothstep(texture, 0.004, 0.012))).astype(np.float32)
    clear = softened(clear, 3)
    reached = np.minimum.accumulate(clear, axis=0)
    # From the sides too: below a bird or a branch.
    for _ in range(2):
        reached = np.minimum(clear, smoothstep(softened(reached, 25 * unit), 0.25, 0.6))
    return reached
