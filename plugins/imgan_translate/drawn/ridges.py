"""What is thin and long in a picture, such as masts, cables, rails and brows, as strokes.

Broad brushes break such things; here each is found as a whole and drawn as a line.
"""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, blurred
from imgan_translate.drawn.fields import slopes, softened
from imgan_translate.drawn.strokes import CROWD, Strokes, at

WIDTHS = 0.9, 1.6
"""Of lines, as deviations, in thousandths of the longer side."""

RUN = 28
"""How far a line is followed both ways, in the same; a stroke is as long as that."""

THIN = 0.012
"""How strongly lines have to stand out: curvature of lightness by the square of their width."""


def ridges(lab: Floats) -> Strokes:
    """Strokes along what is thin and long in a picture [H, W, 3] in Oklab.

    Ridges and valleys of lightness by the Hessian in two widths (Lindeberg 1998, ridge detection),
    where they go on in one direction and stand alone. Each stroke has one colour, the median of
    what it covers, so that together they are one line.
    """
    height, width = lab.shape[:2]
    unit = max(height, width) / 1000
    strength, angle, half = _hessian(lab[..., 0], unit)
    y, x = np.mgrid[:height, :width].astype(np.float32).reshape(2, -1)
    able = strength.ravel() > THIN
    x, y = x[able], y[able]
    cosine, sine = np.cos(at(angle, x, y)), np.sin(at(angle, x, y))
    own = at(strength, x, y)
    # The crest alone, and not the weak valleys beside it.
    crest = np.ones(len(x), bool)
    for side, least in ((1, 1.0), (2 * unit, 0.6)):
        for by in (-side, side):
            there = (x - by * sine).clip(0, width - 1), (y + by * cosine).clip(0, height - 1)
            crest &= least * at(strength, *there) <= own
    x, y, cosine, sine, own = (field[crest] for field in (x, y, cosine, sine, own))
    # How far the line goes on, both ways, in steps.
    reach, steps = RUN * unit, 14
    ends, colours, mean = [], [at(lab, x, y)], own.copy()
    for sense in (-1, 1):
        on, gone = np.ones(len(x), bool), np.zeros(len(x), np.float32)
        for step in range(1, steps + 1):
            by = np.float32(sense * reach * step / steps)
            there = (x + by * cosine).clip(0, width - 1), (y + by * sine).clip(0, height - 1)
            here = at(strength, *there)
            turned = at(angle, *there)
            on &= here > 0.3 * own
            on &= np.abs(np.cos(turned) * cosine + np.sin(turned) * sine) > 0.9
            gone[on] = reach * step / steps
            colours.append(np.where(on[:, None], at(lab, *there), np.nan))
            mean += on * here
        ends.append(sense * gone)
    back, ahead = ends
    crowd = at(softened(strength, CROWD * unit), x, y)
    # Those that go on for long count among many others, too.
    part = (ahead - back) / (2 * reach)
    wanted = (part > 0.4) & (mean / (1 + 2 * steps * part) > THIN + 3.2 * (1 - part) * crowd)
    rows = np.flatnonzero(wanted)[:: max(1, round(0.1 * reach))]
    colour = np.nanmedian(np.stack([seen[rows] for seen in colours]), 0).astype(np.float32)
    x, y, cosine, sine, back, ahead = (
        field[rows].astype(np.float32) for field in (x, y, cosine, sine, back, ahead)
    )
    wide = at(half, x, y)
    back, ahead = back.clip(min=-reach / 2) - wide, ahead.clip(max=reach / 2) + wide
    none = np.zeros_like
    return Strokes(x, y, cosine, sine, none(x), back, ahead, wide, colour, none(colour))


def _hessian(light: Floats, unit: float) -> tuple[Floats, Floats, Floats]:
    """[H, W] each: how much of a thin line there is, its angle, and half of its width in pixels."""
    strength = np.zeros_like(light)
    angle, half = np.zeros_like(light), np.zeros_like(light)
    for width in WIDTHS:
        sigma = width * unit
        down, across = slopes(blurred(light, sigma))
        (yy, yx), (_, xx) = slopes(down), slopes(across)
        root, sign = np.hypot(xx - yy, 2 * yx), np.sign(xx + yy)
        # The larger curvature, which is across the line, less twice that along it.
        larger, smaller = (np.abs(xx + yy) + root) / 2, np.abs(np.abs(xx + yy) - root) / 2
        found = sigma**2 * (larger - 2 * smaller).clip(min=0)
        better = found > strength
        strength[better] = found[better]
        angle[better] = 0.5 * np.arctan2(2 * yx * sign, (xx - yy) * sign)[better] + np.pi / 2
        half[better] = 1.15 * sigma
    return strength, angle, half
