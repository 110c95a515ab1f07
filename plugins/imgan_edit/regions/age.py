"""Older and younger skin, and the first grey hairs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.matte import NO_HAIR
from imgan_edit.regions.silver import GREY, gray_hair
from imgan_edit.regions.skin import skin_matte
from imgan_edit.regions.view import Change, View

FINE = 128.0
"""Distance of the eyes, in pixels, at which folds are looked at, at most."""

PORES, FOLDS, FORM = 0.01, 0.055, 0.13
"""What is finer than the first, in distances of the eyes, is pores and grain; folds and lines are
finer than the second, bags and hollows than the third; the rest is the face's form."""

DEEPEST = 0.13
"""By how much of Oklab's lightness a fold may change."""

LONG = 0.25, 0.6
"""How far directions have to agree along a fold: spots and freckles have none."""

SOFT = 0.065
"""By how much of Oklab's lightness the places are shaded that sink in every face."""

COARSE = 32.0
"""Distance of the eyes, in pixels, at which these places are found."""

SALLOW = np.array([0.0, -0.004, 0.002], np.float32)
"""What older skin is otherwise, in Oklab."""

GRAY = 0.55
"""How many hairs of who becomes old are white."""


class Relief(NamedTuple):
    """The shading of a face's skin, at most at `FINE`."""

    calm: Floats
    """[h, w] in 0..1: skin that is no feature's rim."""
    folds: Floats
    """[h, w]: how much lighter than its surroundings skin is where folds run, in Oklab."""
    hollows: Floats
    """[h, w]: the same of bags and hollows, which are broader."""
    hues: Floats
    """[h, w, 2]: what a and b differ by."""

    @property
    def depth(self) -> float:
        """How deep folds are on the average."""
        return float((np.abs(self.folds) * self.calm).sum() / (self.calm.sum() + 1e-6))


def older(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Folds, bags and hollows that are there become deeper, and the hair goes grey.

    No line is drawn where the photo has none. Raises Failure for hair too dark to go grey.
    """
    small, relief, where = _seen(view)
    change: Floats = np.zeros((*small.shape, 3), np.float32)
    deeper = 1.1 * relief.folds + 0.4 * relief.hollows - SOFT * _sunken(small)
    change[..., 0] = DEEPEST * np.tanh(deeper / DEEPEST)
    change[..., 1:] = 0.1 * relief.hues
    change = amount * (change + SALLOW) * relief.calm[..., None]
    aged = _changed(view, change, where)
    try:
        hair = gray_hair(replace(view, pixels=aged.pixels), GRAY * amount, rng, some=True)
    except Failure as failure:
        if str(failure) in (GREY, NO_HAIR):
            return aged
        raise
    return Change(
        aged.pixels + hair.where[..., None] * (hair.pixels - aged.pixels),
        np.maximum(aged.where, hair.where),
    )


def younger(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Folds and lines are filled, and blotches evened out; pores and grain stay."""
    small, relief, where = _seen(view)
    part = min(amount, 1.2)
    change = np.zeros((*small.shape, 3), np.float32)
    change[..., 0] = -part * (0.85 * relief.folds + 0.3 * relief.hollows)
    change[..., 1:] = -0.6 * part * relief.hues
    return _changed(view, change * relief.calm[..., None], where)


def _seen(view: View) -> tuple[View, Relief, Floats]:
    """A small copy, its relief, and the view's skin."""
    where = skin_matte(view)
    if where.sum() < 0.1 * view.eye_distance**2:
        raise Failure("there is too little skin to be seen in this face")
    small = view.at(FINE)
    relief = relief_of(small, resized(where, *small.shape))
    return small, relief, where


def relief_of(view: View, skin: Floats) -> Relief:
    """Of a view whose skin is known [h, w]."""
    unit = view.eye_distance
    features = view.part(
        "left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip", "mouth",
        "glasses", "hair",
    )  # fmt: skip
    # Nostrils and the rims of eyes and lips are no folds.
    calm = skin * (1 - smoothstep(blurred(features, 0.025 * unit), 0.05, 0.4))
    lab = to_oklab(view.pixels)
    fine, mid, broad = (weighted_mean(lab, calm, s * unit) for s in (PORES, FOLDS, FORM))
    folds, hollows = (fine - mid)[..., 0], (mid - broad)[..., 0]
    # Folds are long: the structure tensor tells them from spots (Bigun and Granlund 1987).
    down, across = np.gradient(fine[..., 0])
    xx, yy, xy = (
        blurred((p * calm).astype(np.float32), 0.07 * unit)
        for p in (across * across, down * down, across * down)
    )
    long = smoothstep(np.hypot(xx - yy, 2 * xy) / (xx + yy + np.float32(1e-7)), *LONG)
    # What is as dark as a nostril or a strand is not made of skin.
    folds = folds * long * (1 - smoothstep(-folds, 0.1, 0.18))
    folds = np.where(folds < 0, folds, 0.5 * folds)
    return Relief(calm, folds, hollows.clip(-0.06, 0.03), (fine - mid)[..., 1:])


def _sunken(view: View) -> Floats:
    """Where faces sink when they age, [h, w] in 0..1, softly: beside the nose and the mouth, and
    under the eyes."""
    view, shape = view.at(COARSE), view.shape
    x, y = view.frame
    across, down = view.placed(view.points[3:]).T
    lean = float(across.mean() / down.mean())
    x = x - lean * y
    total = np.zeros(view.shape, np.float32)
    t = np.linspace(0, 1, 24, dtype=np.float32)
    for side, corner_x, corner_y in zip((-1, 1), across - lean * down, down, strict=True):
        edge = abs(corner_x) + 0.13
        fold = side * (0.26 + (edge - 0.26) * t**0.8), 0.6 + (corner_y + 0.1 - 0.6) * t
        bag = side * (0.24 + 0.44 * t), 0.17 + 0.11 * np.sin(np.pi * (0.1 + 0.8 * t))
        mouth = side * (abs(corner_x) + 0.06 + 0.05 * t), corner_y + 0.06 + 0.26 * t
        for (px, py), width, deep in ((fold, 0.05, 1.0), (bag, 0.05, 0.7), (mouth, 0.05, 0.6)):
            fade = np.sin(np.pi * (0.08 + 0.84 * t))
            near = np.zeros(view.shape, np.float32)
            for cx, cy, strong in zip(px, py, fade, strict=True):
                near = np.maximum(
                    near, strong * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / width**2)
                )
            total = np.maximum(total, deep * near)
    return resized(total, *shape)


def _changed(view: View, change: Floats, where: Floats) -> Change:
    """The view's skin, with a change [h, w, 3] of Oklab on a smaller copy."""
    there = where > 0
    full: Floats = resized(change.astype(np.float32), *view.shape)
    lab = to_oklab(view.pixels[there])
    # Shade takes of dark skin what it takes of light skin, in parts.
    full[there, 0] *= (lab[:, 0] / 0.7).clip(0.4, 1.1)
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(lab + full[there])
    return Change(pixels, where)
