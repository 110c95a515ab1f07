"""What a photo's lens, sensor and file did to it: things that are drawn into it get the same."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, blurred

AGAIN = 1.0
"""The photo is blurred once more by so many pixels, to see by how much edges suffer."""

SHARPEST, SOFTEST = 0.5, 4.0
"""Blurs, in pixels, that are believed."""


def softness(grey: Floats) -> float:
    """By how many pixels (sigma of a Gaussian) the sharpest edges of a picture [h, w] are blurred.

    An edge that was blurred by s and is blurred again by t loses its gradient by the factor
    R = sqrt(1 + t^2 / s^2) (Zhuo and Sim 2011), so s = t / sqrt(R^2 - 1).
    """
    before, after = _slope(grey), _slope(blurred(grey, AGAIN))
    edges = before > max(0.03, float(np.quantile(before, 0.98)))
    if edges.sum() < 32:
        return 1.0
    ratio = before[edges] / after[edges].clip(1e-4)
    lost = float(np.quantile(ratio, 0.85))
    return float(np.clip(AGAIN / np.sqrt(max(lost**2 - 1, 1e-3)), SHARPEST, SOFTEST))


def grain(grey: Floats, where: Floats) -> float:
    """The standard deviation of the noise of a picture [h, w] where `where` is over one half.

    The difference of two Laplacians sees neither edges nor ramps (Immerkaer 1996); its median
    sees hardly any texture either.
    """
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    mask = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    inside = mask[where[1:-1, 1:-1] > 0.5]
    return float(1.4826 * np.median(np.abs(inside)) / 6) if inside.size > 64 else 0.0


def _slope(grey: Floats) -> Floats:
    down, across = np.gradient(grey)
    return np.hypot(down, across)
