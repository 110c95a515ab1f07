"""What a photo's lens, sensor and file did to it: things that are drawn into it get the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def greyed(photo: Floats, drawn: Floats) -> Floats:
    """What is drawn [h, w, 3], without colour if the photo [H, W, 3] has none."""
    if np.ptp(photo, axis=2).max() >= 1 / 255:
        return drawn
    return np.repeat(drawn.mean(2, keepdims=True), 3, 2)


def settled(
    photo: Floats, drawn: Floats, cover: Floats, skin: Floats, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """A photo [h, w, 3] with what is drawn on it, and where that is seen, [h, w].

    What covers the photo, by `cover` [h, w], gets the grain that its `skin` [h, w] has.
    """
    noise = grain(photo.mean(2), skin) * cover
    drawn = drawn + noise[..., None] * rng.standard_normal((*cover.shape, 1), np.float32)
    drawn = greyed(photo, drawn)
    changed = np.abs(drawn - photo).max(2) > 1 / 1024
    pixels = np.where(changed[..., None], drawn.clip(0, 1), photo).astype(np.float32)
    return pixels, changed
