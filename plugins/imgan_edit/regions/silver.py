"""Hair that went grey: white strands among those of its own colour."""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.hair_color import SHADE, Light, quantiles, without_rim
from imgan_edit.regions.matte import FINE, check_hair, hair_matte
from imgan_edit.regions.tracks import Hair
from imgan_edit.regions.view import Change, View

SILVER, LIFT = 0.64, 0.31
"""Oklab's lightness of white strands in the light where hair has its median, and by how much they
may be lighter than it: more shows the camera's noise."""

SHADED = 0.75
"""The power of light and shade on white strands."""

LONG, STEPS = 0.1, 5
"""Strands are alike along so much of their length to either side, in distances of the eyes, which
is looked at in steps."""

OWN, CHANCE = 1.0, 0.3
"""What makes a strand white: that it is lighter than those beside it, and chance."""

FADED = 0.5
"""The part of their hue that the strands keep which are not white."""

WHITE = np.array([0.001, 0.012], np.float32)
"""Their a and b."""

DARKEST, BLACK = 0.24, 0.2
"""Hair whose median is darker than the first shows hardly a strand, and none than the second."""

GREY = "this hair is grey already"

SAME = 0.05
"""Hair whose white strands are no lighter than it is, and that has no more colour, is grey."""


def gray_hair(view: View, amount: float, rng: np.random.Generator, some: bool = False) -> Change:
    """White strands among the hair's own, which fade; `amount` is about how many are white.

    Grey hair is no colour but a mixture: between white strands the dark ones stay, and shadows stay
    deep. Which strands are white follows the photo's own, and chance, smoothed along them (line
    integral convolution, Cabral and Leedom 1993); at the temples there are more of them, and at the
    roots fewer. Raises what `hair_matte` and `check_hair` do, and Failure for hair that is grey, or
    too dark. `some` white strands need no sure border, and less light.
    """
    small = view.at(FINE)
    if not some:
        check_hair(small)
    matte = hair_matte(view)
    unit, alpha = view.eye_distance, matte.alpha
    lit = Light.of(small)
    lab = to_oklab(matte.hair)
    weights = alpha**3 + np.float32(1e-6)
    coarse = weighted_mean(lab, weights, SHADE * unit)
    (middle,) = quantiles(lab[..., 0], weights, (0.5,))
    if middle < (BLACK if some else DARKEST):
        raise Failure("this hair is so dark in the photo that no strands are seen to go grey")
    goal = min(SILVER * lit.exposure, middle + LIFT)
    hue = float(np.hypot(*(lab[..., 1:] * weights[..., None]).sum((0, 1)) / weights.sum()))
    if goal < middle + SAME and hue < SAME / 2:
        raise Failure(GREY)

    # At its border the hair's own colour is known least.
    deep = smoothstep(blurred(alpha, 0.05 * unit), 0.6, 0.95)
    fine = (lab[..., 0] - coarse[..., 0]) * deep
    strands = Hair.of(view, alpha)
    chance = rng.standard_normal(view.shape, np.float32)
    mixed = OWN * _even(_along(fine, strands, unit), weights, unit, 0.015)
    mixed += CHANCE * _even(_along(chance, strands, unit), weights, unit)
    x, y = view.frame
    skin = blurred(view.part("skin", "left_ear", "right_ear"), 0.05 * unit)
    temples = smoothstep(np.abs(x), 0.6, 0.9) * smoothstep(y, -0.9, -0.5) * smoothstep(-y, -0.5, 0)
    many = 2.2 * (min(amount, 1.2) - 0.5) + 0.3 * temples - 1.8 * smoothstep(skin, 0.05, 0.4)
    white = min(2 * amount, 1.0) * smoothstep(mixed + many, -2.6, 1.8)

    # Light hair at the roots is mostly skin.
    brightest = 1.6 - 0.7 * smoothstep(skin, 0.02, 0.2)
    shade = (coarse[..., 0] / middle).clip(0.25, brightest) ** SHADED
    silver = (goal * shade + fine).clip(0, 0.95)
    silver = np.maximum(silver, lab[..., 0])
    light = lab[..., 0] + white * (silver - lab[..., 0])
    own = (1 - (1 - FADED) * min(amount, 1.0)) * (1 - white)[..., None]
    hues = own * lab[..., 1:] + white[..., None] * lit.colored * WHITE
    hues += ((1 - own[..., 0]) * light)[..., None] * lit.tint
    new = from_oklab(np.concatenate([light[..., None], hues], 2).astype(np.float32))
    pixels = view.pixels + alpha[..., None] * (new - matte.hair)
    return without_rim(view, small, pixels.clip(0, 1), alpha, lab[..., 1:], hues)


def _along(plane: Floats, strands: Hair, unit: float) -> Floats:
    """The means of a plane [h, w] along the strands that pass each pixel."""
    height, width = plane.shape
    angle = blurred(strands.flow, 0.03 * unit)
    half = np.arctan2(angle[..., 1], angle[..., 0]) / 2
    way = np.stack([np.cos(half), np.sin(half)], -1)
    rows, columns = np.indices((height, width), np.float32)
    total, weight = plane.copy(), 1.0
    step = LONG * unit / STEPS
    x0, y0 = columns.ravel(), rows.ravel()
    for sign in (-1, 1):
        x, y = x0, y0
        last = sign * way.reshape(-1, 2)
        for part in np.cos(np.pi / 2 * np.arange(1, STEPS + 1) / (STEPS + 1)) ** 2:
            x = (x + step * last[:, 0]).clip(0, width - 1)
            y = (y + step * last[:, 1]).clip(0, height - 1)
            place = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
            total += np.float32(part) * plane[place].reshape(height, width)
            weight += part
            here = way[place]
            last = np.where((here * last).sum(1, keepdims=True) < 0, -here, here)
    return (total / weight).astype(np.float32)


def _even(plane: Floats, weights: Floats, unit: float, least: float = 1e-4) -> Floats:
    """A plane [h, w] whose deviation nearby is about 1 wherever `weights` count."""
    plane = plane - weighted_mean(plane, weights, SHADE * unit)
    spread = np.sqrt(weighted_mean(plane**2, weights, 0.2 * unit))
    return plane / (spread + least)
