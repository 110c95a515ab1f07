"""Bushier and arched brows, of the photo's own hairs."""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, warped, weighted_mean
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import at_full_size

FINE = 64.0
"""Distance of the eyes, in pixels, at which brows are located at most."""

SIDES = ("left", "right")


def bushy_brows(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Brows that are thicker, by stretching them away from their middle line, and darker, by
    raising how much darker than the skin around them they are."""
    small, brows = _located(view)
    unit = small.eye_distance
    dy = np.zeros(small.shape, np.float32)
    for brow in brows:
        below = small.frame[1] - _middle_line(small, brow)
        near = smoothstep(blurred(brow, 0.06 * unit), 0.02, 0.3)
        # What is at distance d comes from 0.7 d, and from d again beyond the brow's surroundings.
        fade = np.exp(-((below / 0.16) ** 2))
        dy -= near * amount * 0.35 * below * fade
    rise = blurred(dy, 0.03 * unit)
    dx, dy = at_full_size(view, small, 0 * rise, rise)
    stretched = warped(view.pixels, dx, dy)
    both = np.maximum(*brows)
    thick = resized(smoothstep(blurred(both, 0.03 * unit), 0.08, 0.5), *view.shape)
    skin = weighted_mean(
        small.pixels, small.part("skin") * (1 - smoothstep(both, 0, 0.3)), 0.12 * unit
    )
    ratio = stretched / (resized(skin, *view.shape) + 0.02)
    darker = stretched * np.minimum(ratio, 1).clip(0.05) ** (0.7 * amount * thick)[..., None]
    where = ((thick > 0) | (dx != 0) | (dy != 0)).astype(np.float32)
    return Change(darker.clip(0, 1), where)


def arched_brows(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Brows whose outer half rises to a peak, over lids that stay where they are."""
    small, brows = _located(view)
    unit = small.eye_distance
    right, below = small.frame
    dy = np.zeros(small.shape, np.float32)
    for side, brow in zip((-1, 1), brows, strict=True):
        total = brow.sum()
        middle, height = ((brow * axis).sum() / total for axis in (right, below))
        along = side * (right - middle)
        spread = np.sqrt((brow * along**2).sum() / total)
        # Up at two thirds of its length, a little down at its inner end.
        peak = np.exp(-(((along - 0.55 * spread) / (0.75 * spread)) ** 2))
        inner = np.exp(-(((along + 1.9 * spread) / (0.8 * spread)) ** 2))
        off = below - height
        fade = np.exp(-((off / np.where(off < 0, 0.2, 0.11)) ** 2))
        dy += amount * (0.055 * peak - 0.012 * inner) * fade
    eyes = small.part("left_eye", "right_eye")
    rise = blurred(dy, 0.03 * unit) * (1 - smoothstep(blurred(eyes, 0.03 * unit), 0.05, 0.4))
    dx, dy = at_full_size(view, small, 0 * rise, rise)
    where = ((dx != 0) | (dy != 0)).astype(np.float32)
    return Change(warped(view.pixels, dx, dy), where)


def _located(view: View) -> tuple[View, list[Floats]]:
    frontal(view, 35, "another shape of the brows")
    small = view.at(FINE)
    if small.part("glasses").sum() > 0.05 * small.eye_distance**2:
        raise Failure("brows are not drawn well behind glasses")
    brows = [small.part(f"{side}_brow") for side in SIDES]
    if min(float(brow.sum()) for brow in brows) < 0.01 * small.eye_distance**2:
        raise Failure("the brows are hidden")
    return small, brows


def _middle_line(view: View, brow: Floats) -> Floats:
    """How far below the eyes' line a brow's middle is at each place across, as a parabola."""
    right, below = view.frame
    there = brow > 0.3
    curve = np.polyfit(right[there], below[there], 2, w=brow[there])
    low, high = right[there].min(), right[there].max()
    return np.polyval(curve, right.clip(low, high)).astype(np.float32)
