"""Where an edit may be seen: what is known of that is not left to be learnt."""

from __future__ import annotations

from functools import cache

import numpy as np

from imgan.images.tensors import Bytes, Floats
from imgan.images.upsampling import guided_upsample, local_stats, window
from imgan_edit.attributes import HAIR, RESIDUAL

FACE = (0.5, 0.62), (0.28, 0.38)
"""Centre of a face in its square, and half its width and height, with forehead, ears and chin."""

BELOW_BROWS = (0.5, 0.68), (0.25, 0.27)
"""The same of what lies under the forehead, between the ears."""

OVALS = {
    **dict.fromkeys(("high-cheekbones", "male", "no-beard", "smiling"), BELOW_BROWS),
    **dict.fromkeys(("mouth-slightly-open", "mustache"), ((0.5, 0.76), (0.22, 0.17))),
    "bushy-eyebrows": ((0.5, 0.45), (0.26, 0.09)),
    "eyeglasses": ((0.5, 0.52), (0.3, 0.13)),
}
"""The same of what changes a part of the face."""

FADE = 0.3
"""Beyond these ovals what is edited in them fades, over so much of their radius."""

NEAR = 0.023
"""Radius of the windows in which hair is told from the wall, of a face's side."""

DARK = 0.19
"""Below this mean of a window, of values in 0..1, black hair and a black wall may be one."""

EVEN = 4e-4
"""The variance of a window, of such values, that tells them apart by half."""


def reach(changes: Floats, size: int) -> Floats:
    """Where changes [N, 17] of the attributes in `RESIDUAL` are to be seen in a square that
    `faces.align` gives: [N, S, S] in 0..1."""
    places = np.stack([_place(slug, size) for slug in RESIDUAL])
    reached: Floats = (places * (changes != 0)[..., None, None]).max(1)
    return reached


@cache
def _place(slug: str, size: int) -> Floats:
    if slug in HAIR:
        return np.ones((size, size), np.float32)
    (x, y), (width, height) = OVALS.get(slug, FACE)
    side = (np.arange(size, dtype=np.float32) + 0.5) / size
    radius: Floats = np.hypot((side - x) / width, (side[:, None] - y) / height)
    return _step((1 + FADE - radius) / FADE)


def agreement(hue: Floats, crop: Bytes) -> Floats:
    """How far a change of hue keeps to the face's own edges, [S, S, 1] in 0..1: as far as what a
    guided filter (`guided_upsample`) makes of it agrees. So no halo goes with the hair onto the
    wall behind it. Where that is dark, even and dark places have no edges, and keep their colour.
    `hue` is in 255ths, [S, S, 3]."""
    made = (crop + hue).round().clip(0, 255).astype(np.uint8)
    kept = np.subtract(guided_upsample(crop, crop, made), crop, dtype=np.float32)
    shared, power = ((hue * other).sum(2, keepdims=True) for other in (kept, hue))
    agreed: Floats = _told_apart(crop) * (shared / (power + 1)).clip(0, 1)
    return agreed


def _told_apart(crop: Bytes) -> Floats:
    """How well hair can be told from the wall, [S, S, 1] in 0..1: not in an even dark, before a
    dark wall, which is what the borders of the upper half show of it."""
    measured = local_stats(crop, window(crop, NEAR))
    mean, variance = (each.mean(2, keepdims=True) for each in measured)
    upper = mean[: len(mean) // 2]
    wall = np.median(np.concatenate([upper[0], upper[:, 0], upper[:, -1]]))
    light = (np.maximum(mean, wall) / DARK).clip(0, 1) ** 2
    told: Floats = (variance + light * EVEN) / (variance + EVEN)
    return told


def soft_mask(size: int, rim: float) -> Floats:
    """Where an edit counts, [size, size] in 0..1: a rounded square that fades to 0 at the border.

    With r = (x^4 + y^4)^(1/4), which is 1 on the border's pixels and above it in the corners, the
    weight is 1 up to r = 1 - rim and then a smooth step.
    """
    side = np.linspace(-1, 1, size, dtype=np.float32) ** 4
    radius = (side[:, None] + side) ** 0.25
    return _step((1 - radius) / rim)


def _step(t: Floats) -> Floats:
    """From 0 at 0 smoothly to 1 at 1."""
    t = t.clip(0, 1)
    return t * t * (3 - 2 * t)
