"""Older and younger skin, and the first grey hairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.hair_color import DYES, hair_color
from imgan_edit.regions.skin import skin_matte
from imgan_edit.regions.view import Change, View, bounds

FINE = 128.0
"""Distance of the eyes, in pixels, at which folds are looked at, at most."""

PORES, FOLDS = 0.01, 0.055
"""What is finer than the first, in distances of the eyes, is pores and grain; what is coarser than
the second is the face's form; folds and lines are between."""

DEEPEST = 0.09
"""By how much of Oklab's lightness a fold may change."""

GRAY = 0.6
"""How far the hair of who becomes old is on its way to grey."""


def older(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Folds and lines that are there become deeper, others are drawn where faces get them, and the
    hair goes grey."""
    skin = _folded(view, 0.7 * amount, 0.15 * amount)
    skin = _wrinkled(replace(view, pixels=skin.pixels), skin.where, amount, rng)
    try:
        aged = replace(view, pixels=skin.pixels)
        hair = hair_color(aged, min(GRAY * amount, 1), rng, DYES["gray"])
    except Failure:
        return skin
    return Change(
        skin.pixels + hair.where[..., None] * (hair.pixels - skin.pixels),
        np.maximum(skin.where, hair.where),
    )


WRINKLE = 0.06
"""By how much of Oklab's lightness drawn lines are darker than the skin."""


def _wrinkled(view: View, where: Floats, amount: float, rng: np.random.Generator) -> Change:
    """Lines on the forehead, between the brows, at the corners of the eyes and under them, and from
    the nose down past the mouth: dark, and lighter below, where skin bulges."""
    small = view.at(FINE)
    unit = small.eye_distance
    dark = np.zeros(small.shape, np.float32)
    for places, width, depth in _lines(small, rng):
        _stroke(dark, small, places, width, depth)
    down = max(1, round(0.022 * unit))
    light = blurred(np.roll(dark, down, 0), 0.008 * unit)
    features = small.part(
        "left_eye", "right_eye", "left_brow", "right_brow", "upper_lip", "lower_lip", "mouth",
        "glasses", "hair",
    )  # fmt: skip
    calm = resized(where, *small.shape)
    calm = calm * (1 - smoothstep(blurred(features, 0.02 * unit), 0.05, 0.4))
    change = amount * WRINKLE * calm * (0.55 * light - dark)
    full = resized(change.astype(np.float32), *view.shape)
    there = (np.abs(full) > 5e-4) & (where > 0)
    lab = to_oklab(view.pixels[there])
    # Shade takes of dark skin what it takes of light skin, in parts.
    lab[:, 0] *= 1 + full[there] / 0.75
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(lab)
    return Change(pixels, where)


def _lines(view: View, rng: np.random.Generator) -> list[tuple[Floats, float, float]]:
    """Places x, y [n, 2] along lines in the face's frame, how wide these are, and how deep."""
    across, down = view.placed(view.points[3:]).T
    lean = float(across.mean() / down.mean())
    t = np.linspace(0, 1, 14)
    lines: list[tuple[Floats, float, float]] = []

    def add(x: Floats, y: Floats, width: float, depth: float) -> None:
        lines.append((np.stack([x + lean * y, y], 1), width, depth * rng.uniform(0.75, 1.2)))

    for height in (-0.5, -0.63, -0.75):
        start, end = -0.62 + rng.uniform(0, 0.25), 0.62 - rng.uniform(0, 0.25)
        x = start + (end - start) * t
        wave = 0.014 * np.sin(5 * x + rng.uniform(0, 6)) + 0.035 * np.cos(2 * np.pi * x)
        add(x, height + wave + rng.normal(0, 0.015), 0.022, 0.6)
    for side in (-1, 1):
        add(side * (0.07 + 0.02 * t), -0.32 + 0.2 * t, 0.014, 0.6)
        for angle in (-0.45, 0.0, 0.42):
            turn = angle + rng.normal(0, 0.08)
            reach = 0.18 * rng.uniform(0.8, 1.2) * t
            x, y = side * (0.79 + reach * np.cos(turn)), 0.02 + reach * np.sin(turn)
            add(x, y + 0.05 * angle, 0.014, 0.8)
        add(side * (0.24 + 0.46 * t), 0.13 + 0.1 * np.sin(np.pi * (0.15 + 0.8 * t)), 0.028, 0.9)
        add(side * (0.3 + 0.42 * t), 0.2 + 0.12 * np.sin(np.pi * (0.1 + 0.7 * t)), 0.034, 0.9)
    for side, corner_x, corner_y in zip((-1, 1), across - lean * down, down, strict=True):
        edge = abs(corner_x) + 0.11
        y = 0.6 + (corner_y + 0.08 - 0.6) * t
        add(side * (0.24 + (edge - 0.24) * t**0.8), y, 0.034, 1.5)
        add(side * (abs(corner_x) + 0.05 + 0.04 * t), corner_y + 0.05 + 0.24 * t, 0.03, 1.1)
    return lines


def _stroke(dark: Floats, view: View, places: Floats, width: float, depth: float) -> None:
    """Draw a line that fades to both ends into `dark` [h, w]."""
    x, y = view.frame
    reach = 3 * width
    low, high = places.min(0) - reach, places.max(0) + reach
    box = bounds((x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1]))
    x, y = x[box], y[box]
    if not x.size:
        return
    made = np.zeros_like(x)
    steps = np.linspace(0, 1, 4 * len(places))
    along = np.linspace(0, 1, len(places))
    for t in steps:
        px, py = (np.interp(t, along, places[:, axis]) for axis in (0, 1))
        strength = min(1.0, 4 * t, 4 * (1 - t))
        near = strength * np.exp(-((x - px) ** 2 + (y - py) ** 2) / width**2)
        made = np.maximum(made, near)
    dark[box] = np.maximum(dark[box], depth * made)


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
