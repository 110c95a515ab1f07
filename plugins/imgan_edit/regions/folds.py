"""The folds of a smile: from the wings of the nose down past the corners of the mouth."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, blurred, reached, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.lips import Lips
from imgan_edit.regions.view import View, bounds

FINEST, COARSEST = 0.012, 0.07
"""What is finer than the first, in distances of the eyes, is pores and grain and stays; the second
is how far around a fold the skin is looked at."""

GOES = 0.6
"""How much of the folds beside the nose goes with a smile."""


def deepened(view: View, small: View, pixels: Floats, lips: Lips, share: float) -> Floats:
    """The folds a shade darker."""
    where = resized(_fold(*small.frame, lips) * _bare(small), *view.shape)[..., None]
    return pixels * (1 - 0.09 * share * where)


def evened_out(
    view: View,
    small: View,
    pixels: Floats,
    lips: Lips,
    source: tuple[Floats, Floats],
    start: float,
    share: float,
) -> Floats:
    """The folds, and what lies about the corners of the mouth, as light and of the colour of the
    skin around them. `source` is where pixels of the small view came from; from `start` on, on the
    way from the middle of the lips to a corner, it is the corner's surroundings."""
    x, y = source
    unit = small.eye_distance
    t = np.abs(x - lips.middle[0]) / lips.half
    height = y - lips.middle[1] - lips.tilt * (x - lips.middle[0])
    corner = smoothstep(t, start, start + 0.16) * (1 - smoothstep(t, 1.15, 1.4))
    corner *= 1 - smoothstep(np.abs(height + 0.02), 0.05, 0.13)
    bare = _bare(small)
    where = share * bare * np.maximum(corner, GOES * _fold(x, y, lips).clip(0, 1))
    sound = bare * np.maximum(smoothstep(t, 0.95, 1.1), smoothstep(-height, 0.1, 0.2))
    lab = to_oklab(resized(pixels, *small.shape))
    change = weighted_mean(lab, sound, COARSEST * unit) - blurred(lab, FINEST * unit)
    change = (where[..., None] * change).astype(np.float32)
    place = reached(bounds(where > 0), small.shape, view.shape)
    evened = pixels.copy()
    lab = to_oklab(pixels[place]) + resized(change, *view.shape, place)
    there = resized(where.astype(np.float32), *view.shape, place) > 1 / 256
    evened[place][there] = from_oklab(lab[there])
    return evened


def _bare(view: View) -> Floats:
    return blurred(view.part("skin"), 1.0) * (1 - blurred(view.part("hair"), 2.0))


def _fold(x: Floats, y: Floats, lips: Lips) -> Floats:
    """Where the folds are, 0..1."""
    shade = np.zeros(x.shape, np.float32)
    for side, (corner_x, corner_y) in zip((-1, 1), lips.corners, strict=True):
        t = (y - 0.58) / (corner_y + 0.06 - 0.58)
        line = side * (0.23 + (abs(corner_x) + 0.1 - 0.23) * t.clip(0, 1) ** 0.8)
        across = (x - line) / (0.05 + 0.03 * t.clip(0, 1))
        shade += np.exp(-(across**2)) * smoothstep(t, 0.0, 0.4) * (1 - smoothstep(t, 0.85, 1.2))
    return shade
