"""Make-up: lips, eyes, cheeks."""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, guided, mean_of, resized, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.skin import skin_matte
from imgan_edit.regions.view import Change, View, frontal

FINE = 96.0
"""Distance of the eyes, in pixels, at which the places of make-up are found at most."""

LIPSTICKS = ("#a4202c", "#b03a4a", "#8e2340", "#c04a56", "#7d1f2e")
"""Red, rose, berry, coral, wine."""

SHADOWS = ("#6b4a3e", "#5a4650", "#4c4a52", "#7a5548")
"""Of the eyes: bronze, plum, smoke, copper."""


def lipstick(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Painted lips: a colour of `LIPSTICKS` under the lips' own folds and gloss."""
    small = view.at(FINE)
    lips = small.part("upper_lip", "lower_lip")
    if lips.sum() < 0.02 * small.eye_distance**2:
        raise Failure("the lips are hidden: there is nothing to paint")
    height, width = view.shape
    radius = max(1, round(0.04 * small.eye_distance))
    where = smoothstep(guided(small.pixels, lips, radius, 4e-4, view.pixels), 0.2, 0.8)
    where *= resized(smoothstep(blurred(lips, 0.02 * small.eye_distance), 0.1, 0.6), height, width)
    # At their ends lips lie in shade, and have not the colour that edges are found by.
    where = np.maximum(where, smoothstep(view.part("upper_lip", "lower_lip"), 0.35, 0.85))
    lab = to_oklab(small.pixels)
    mean = mean_of(lab, lips)
    paint = to_oklab(_color(rng.choice(LIPSTICKS)))
    there = where > 0
    new = to_oklab(view.pixels[there])
    folds = new - mean.astype(np.float32)
    # Gloss is the light's colour; what is dark between the lips stays dark.
    gloss = smoothstep(folds[:, 0], 0.1, 0.3)
    colored = min(1.0, float(np.hypot(*mean[1:])) / 0.04)
    light = np.clip(paint[0], DARKEST * mean[0], 0.9 * mean[0])
    chroma = colored * (1 - 0.6 * gloss[:, None]) * (paint[1:] + 0.4 * folds[:, 1:])
    dark = smoothstep(new[:, 0], 0.12, 0.35)[:, None]
    painted = np.concatenate([(light + 1.05 * folds[:, :1]).clip(0.02, 0.97), chroma * dark], 1)
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(new + min(amount, 1.0) * PAINT * (painted - new))
    return Change(pixels, where)


PAINT = 0.85
"""How opaque lipstick is."""

DARKEST = 0.76
"""Of the lips' own lightness: in dark paint their form would be lost."""


def rosy_cheeks(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Blush on the apples of the cheeks, up towards the temples, on bare skin alone."""
    frontal(view, 40, "blush")
    small = view.at(FINE)
    right, below = small.frame
    blush = np.zeros(small.shape, np.float32)
    for side in (-1, 1):
        along, down = right * side - 0.68, below - 0.62
        blush += np.exp(
            -((0.9 * along - 0.45 * down) ** 2) / 0.11 - (down + 0.45 * along) ** 2 / 0.075
        )
    where = resized(smoothstep(blush, 0.03, 1.0), *view.shape) * skin_matte(view)
    there = where > 0
    lab = to_oklab(view.pixels[there])
    colored = smoothstep(np.hypot(lab[:, 1], lab[:, 2]), 0.005, 0.03)
    lab[:, 1] += 0.026 * amount * colored
    lab[:, 2] -= 0.004 * amount * colored
    lab[:, 0] -= 0.012 * amount
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(lab)
    return Change(pixels, where)


def eye_makeup(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Shadow on the lids, fading towards the brows, and a line along the lashes."""
    frontal(view, 40, "eye make-up")
    small = view.at(FINE)
    if small.part("glasses").sum() > 0.05 * small.eye_distance**2:
        raise Failure("eye make-up is not drawn well behind glasses")
    unit = small.eye_distance
    shadow, line = np.zeros((2, *small.shape), np.float32)
    for side in ("left", "right"):
        eye = small.part(f"{side}_eye")
        if eye.sum() < 0.01 * unit**2:
            continue
        above, along = _lid(small, eye)
        shadow, line = np.maximum(shadow, above), np.maximum(line, along)
    if not shadow.any():
        raise Failure("the eyes are closed or hidden: there is nothing to paint")
    bare = small.part("skin", "nose")
    shadow, line = (
        resized(each, *view.shape) for each in (shadow * smoothstep(bare, 0.2, 0.8), line)
    )
    paint = to_oklab(_color(rng.choice(SHADOWS)))
    there = (shadow > 0.01) | (line > 0.01)
    lab = to_oklab(view.pixels[there])
    lid, lash = (min(amount, 1.5) * each[there] for each in (shadow, line))
    colored = smoothstep(np.hypot(lab[:, 1], lab[:, 2]), 0.005, 0.03)[:, None]
    new = lab.copy()
    new[:, 0] *= 1 - 0.3 * lid
    new[:, 1:] += 0.5 * lid[:, None] * (colored * paint[1:] - new[:, 1:])
    new *= (1 - 0.45 * lash.clip(0, 1))[:, None]
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(new)
    return Change(pixels, there.astype(np.float32))


def _lid(view: View, eye: Floats) -> tuple[Floats, Floats]:
    """Where the shadow of an eye lies, and the line along its upper lashes: [h, w] each, 0..1."""
    right, below = view.frame
    there = eye > 0.5 * eye.max()
    x, y = right[there], below[there]
    start, end = float(x.min()), float(x.max())
    columns = np.linspace(start, end, 12)
    bins = np.digitize(x, columns)
    tops = [(x[bins == k].mean(), y[bins == k].min()) for k in np.unique(bins)]
    across, edge = np.array(tops, np.float32).T
    if len(across) < 4:
        return np.zeros_like(eye), np.zeros_like(eye)
    half = (end - start) / 2
    t = (right - (start + end) / 2) / half
    curve = np.polyfit((across - (start + end) / 2) / half, edge, 2)
    curve[0] = max(curve[0], 0.0)
    above = np.polyval(curve, t.clip(-1.3, 1.3)) - below
    # Beside the nose it fades sooner: there it would be a bruise.
    outward = t * np.sign(start + end)
    side = smoothstep(1.35 - np.abs(t), 0.0, 0.5) * smoothstep(outward, -1.0, -0.3)
    shadow = np.exp(-((np.maximum(above, 0) / 0.11) ** 2)) * smoothstep(above, -0.02, 0.02) * side
    line = np.exp(-(((above - 0.005) / 0.02) ** 2)) * smoothstep(1.08 - np.abs(t), 0.0, 0.15)
    line *= smoothstep(outward, -1.0, -0.5)
    return shadow.astype(np.float32), line.astype(np.float32)


def _color(code: str) -> Floats:
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
