"""Bushier and arched brows, of the photo's own hairs."""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, warped, weighted_mean
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import at_full_size, pushed

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
    """Brows whose outer half rises to a peak, a little thinner, over lids that stay where they
    are."""
    small, _ = _located(view)
    dy = blurred(amount * lift(small, 0.068, -0.12), 2.0)
    return pushed(view, small, 0 * dy, dy)


def lift(view: View, arch: float, thicker: float) -> Floats:
    """From how much farther down, [h, w] in distances of the eyes, pixels come in brows of another
    form: arched by so much at two thirds of their length, or all of them lower if below 0, and
    thicker by such a part."""
    x, y = view.frame
    unit = view.eye_distance
    dy = np.zeros(view.shape, np.float32)
    for side, name in zip((-1, 1), SIDES, strict=True):
        brow = view.part(f"{name}_brow")
        if brow.sum() < 0.01 * unit**2:
            continue
        off = y - _middle_line(view, brow)
        columns = np.repeat(brow.max(0, keepdims=True), len(brow), 0)
        near = blurred(columns, 0.1 * unit).clip(0, 1) * smoothstep(side * x, 0, 0.2)
        fade = np.exp(-((off / np.where(off < 0, 0.22, 0.13)) ** 2))
        peak = np.exp(-(((side * x - 0.68) / 0.24) ** 2)) if arch > 0 else 1.0
        dy += (arch * peak - thicker * off) * fade * near
    return dy


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
