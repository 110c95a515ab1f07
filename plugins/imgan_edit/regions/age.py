"""Older and younger skin, and the first grey hairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.hair_color import DYES, hair_color
from imgan_edit.regions.skin import skin_matte
from imgan_edit.regions.view import Change, View

FINE = 128.0
"""Distance of the eyes, in pixels, at which folds are looked at, at most."""

PORES, FOLDS = 0.01, 0.055
"""What is finer than the first, in distances of the eyes, is pores and grain; what is coarser than
the second is the face's form; folds and lines are between."""

DEEPEST = 0.09
"""By how much of Oklab's lightness a fold may change."""

GRAY = 0.5
"""How far the hair of who becomes old is on its way to grey."""


def older(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Folds and lines that are there become deeper, the colour of the skin less even, and the hair
    goes grey."""
    skin = _folded(view, 1.3 * amount, 0.9 * amount)
    try:
        aged = replace(view, pixels=skin.pixels)
        hair = hair_color(aged, min(GRAY * amount, 1), rng, DYES["gray"])
    except Failure:
        return skin
    return Change(
        skin.pixels + hair.where[..., None] * (hair.pixels - skin.pixels),
        np.maximum(skin.where, hair.where),
    )


def younger(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Folds and lines are filled, and blotches evened out; pores and grain stay."""
    return _folded(view, -0.75 * min(amount, 1.2), -0.6 * min(amount, 1.2))


def _folded(view: View, folds: float, blotches: float) -> Change:
    """`folds` is added to the contrast of what is darker than the skin around it, and half of it to
    what is lighter; `blotches` to the differences of colour."""
    where = skin_matte(view)
    if where.sum() < 0.1 * view.eye_distance**2:
        raise Failure("there is too little skin to be seen in this face")
    small = view.at(FINE)
    unit = small.eye_distance
    skin = resized(where, *small.shape)
    features = small.part(
        "left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip", "mouth",
        "glasses",
    )  # fmt: skip
    # Nostrils and the rims of eyes and lips are no folds.
    calm = skin * (1 - smoothstep(blurred(features, 0.025 * unit), 0.05, 0.4))
    lab = to_oklab(small.pixels)
    fine = weighted_mean(lab, calm, PORES * unit)
    band = fine - weighted_mean(lab, calm, FOLDS * unit)
    light = band[..., 0]
    light = np.where(light < 0, light, 0.5 * light)
    # What is as dark as a nostril or a strand is not made of skin.
    light *= 1 - smoothstep(-light, 0.1, 0.18)
    change = np.concatenate(
        [(DEEPEST * np.tanh(folds * light / DEEPEST))[..., None], blotches * band[..., 1:]], 2
    )
    change *= calm[..., None]
    there = where > 0
    full: Floats = resized(change.astype(np.float32), *view.shape)
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(to_oklab(view.pixels[there]) + full[there])
    return Change(pixels, where)
