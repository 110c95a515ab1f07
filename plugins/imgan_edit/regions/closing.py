"""Open lips that meet: what is seen between them is taken out, column by column.

Lengths are in distances of the eyes, along the face's axes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgan.images.fields import Floats, sampled, smoothstep
from imgan.images.oklab import to_oklab
from imgan_edit.regions.lips import MEET, Lips
from imgan_edit.regions.view import View

STEP = 0.01
"""Columns and rows of the patch in which the lips are looked at lie so far apart."""

RIM = 0.012
"""How far the rims of the lips lie beyond what is seen between them."""

FARTHEST = 0.035
"""How far beyond the parser's mask teeth, and the dark behind, are looked for."""

BEYOND, FIRST = 0.1, 5
"""How far beyond its ends the corners of a mouth are looked for; and rows above and below these."""

DARK, LIKE_TEETH = 0.78, 0.45
"""Of a lip's lightness, what is darker is no lip; nor what is so far on the way from its colour to
that of teeth."""

REACH, SMOOTH = 4, 0.03
"""Rims are medians over as many columns to either side, and then smoothed over so far."""

HANGS = 1.3
"""The upper lip is drawn out more at its rim than under the nose: the power of the way down."""


@dataclass(frozen=True)
class Gap:
    """What is seen between the lips, at each place across."""

    x: Floats
    """[n]: the places, rising."""
    upper: Floats
    """[n]: y of the upper lip's lower rim."""
    lower: Floats
    """[n]: y of the lower lip's upper rim; the same where the lips meet."""
    seam: Floats
    """[n]: y of the line on which they will meet."""
    nose: float
    """y below the nose: above it nothing moves."""
    chin: float
    """y on the chin: below it nothing moves."""
    corners: Floats
    """[2, 2]: where they end, left and right, x and y: in the dark beyond the parser's mask."""
    thick: float
    """How thick the lower lip is: it goes up as a whole."""

    def line(self, x: Floats) -> Floats:
        """y of the seam at places across."""
        return np.interp(x, self.x, self.seam)

    def width(self, x: Floats) -> Floats:
        """How far apart the lips are."""
        return np.interp(x, self.x, self.lower - self.upper)

    def above(self, x: Floats, y: Floats) -> Floats:
        """How far down what is seen at places of the upper lip, and up to the nose, comes from."""
        seam = self.line(x)
        t = ((y - self.nose) / (seam - self.nose)).clip(0, 1)
        return (np.interp(x, self.x, self.upper) - seam) * t**HANGS

    def below(self, x: Floats, y: Floats) -> Floats:
        """The same of the lower lip, and down to the chin."""
        seam = self.line(x)
        t = (y - seam - self.thick) / (self.chin - seam - self.thick)
        return (np.interp(x, self.x, self.lower) - seam) * (1 - smoothstep(t, 0.0, 1.0))

    def closed(self, lips: Lips) -> Lips:
        """The lips when they meet."""
        moved = replace(lips, corners=self.corners)
        upper, inner, outer, lower = (np.interp(moved.x, lips.x, edge) for edge in lips.edges)
        seam = self.line(moved.x)
        edges = np.array([upper + 0.7 * (seam - inner), seam, seam, lower - (outer - seam)])
        return replace(moved, edges=edges)

    @classmethod
    def of(cls, view: View, lips: Lips) -> Gap:
        """Measured on the view's masks and colours."""
        (left, left_y), (right, right_y) = lips.corners
        x = np.arange(left - 0.15, right + 0.15, STEP)
        y = np.arange(lips.middle[1] - 0.4, lips.middle[1] + 0.5, STEP)
        columns, rows = view.pixels_of(*np.meshgrid(x, y))
        masks = [view.part(name) for name in ("mouth", "upper_lip", "lower_lip")]
        planes = np.concatenate([np.stack(masks, 2), to_oklab(view.pixels)], 2)
        patch = sampled(planes, columns.ravel(), rows.ravel()).reshape(len(y), len(x), 6)
        inside, above, below = np.moveaxis(patch[..., :3] > 0.5, 2, 0)
        strange = [_strange(patch[..., 3:], lip, inside) for lip in (above, below)]
        rims = _rims(inside, above, below, strange)
        dark = patch[..., 3] < DARK * np.median(patch[above | below, 3])
        ends = np.array([_followed(rims, strange[0] | strange[1], dark, s) for s in (-1, 1)])
        corners = np.array([[left, left_y], [right, right_y]])
        if np.isfinite(ends).all():
            corners = np.array([x[0], y[0]]) + STEP * ends
        (left, left_y), (right, right_y) = corners
        rims[:, x < left] = (left_y - y[0]) / STEP
        rims[:, x > right] = (right_y - y[0]) / STEP
        known = np.isfinite(rims[0])
        upper, lower = (y[0] + STEP * _smoothed(np.interp(x, x[known], rim[known])) for rim in rims)
        lower = np.maximum(lower, upper)
        meet = upper + MEET * (lower - upper)
        # A curve of the fourth degree from corner to corner.
        t = ((x - left) / (right - left)).clip(0, 1)
        within = (x >= left) & (x <= right)
        seam = np.polyval(np.polyfit(t[within], meet[within], 4), t)
        fade = smoothstep(0.5 - np.abs(t - 0.5), 0.0, 0.06)
        upper, lower, seam = (meet + fade * (line - meet) for line in (upper, lower, seam))
        thick = float(below.sum(0).max()) * STEP
        nose = min(0.62, float(upper.min()) - 0.12)
        return cls(x, upper, lower, seam, nose, float(lower.max()) + 0.5, corners, thick)


def _rims(
    inside: NDArray[np.bool_],
    above: NDArray[np.bool_],
    below: NDArray[np.bool_],
    strange: list[NDArray[np.bool_]],
) -> Floats:
    """Rows of the lips' rims in each column [2, w], NaN where nothing of a mouth is seen. Beyond
    the mask `inside` they go on as far as pixels are `strange` to the upper lip, and the lower."""
    rims = np.full((2, inside.shape[1]), np.nan)
    for i in range(inside.shape[1]):
        between, over, under = (np.flatnonzero(mask[:, i]) for mask in (inside, above, below))
        if len(between):
            first, last = between[0], between[-1]
        elif len(over) and len(under):
            first = last = (over[-1] + under[0]) // 2
        else:
            continue
        up, down = _run(strange[0][:first, i][::-1]), _run(strange[1][last + 1 :, i])
        rim = RIM / STEP if len(between) or up + down > 1 else 0.0
        rims[:, i] = first - up - rim, last + down + rim
    return rims


def _followed(
    rims: Floats, strange: NDArray[np.bool_], dark: NDArray[np.bool_], side: int
) -> tuple[float, float]:
    """The rims [2, w], followed over what is `strange` beyond what is known of them, to one side:
    the column and row where the dark of it ends, NaN if there is none."""
    i = np.flatnonzero(np.isfinite(rims[0]))[-1 if side > 0 else 0]
    first, last = (round(float(rim)) for rim in rims[:, i])
    end = np.nan, np.nan
    for step in range(round(BEYOND / STEP)):
        i += side
        if not 0 <= i < rims.shape[1]:
            break
        reach = 1 if step else FIRST
        there = first - reach + np.flatnonzero(strange[first - reach : last + reach + 1, i])
        if not len(there):
            break
        first, last = there[0], there[-1]
        rims[:, i] = first - 1, last + 1
        if dark[there, i].any():
            end = float(i), (first + last) / 2
    return end


def _strange(lab: Floats, lip: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where colours [h, w, 3] are not a lip's, but those of teeth or of the dark behind."""
    own = np.median(lab[lip], 0)
    dark: NDArray[np.bool_] = lab[..., 0] < DARK * own[0]
    if not inside.any():
        return dark
    seen = lab[inside]
    teeth = seen[seen[:, 0] >= np.quantile(seen[:, 0], 0.6)].mean(0)
    way = teeth - own
    return dark | ((lab - own) @ way > LIKE_TEETH * (way @ way))


def _run(there: NDArray[np.bool_]) -> int:
    """How many are there before the first that is not, as far as is looked."""
    most = round(FARTHEST / STEP)
    missing = np.flatnonzero(~there[:most])
    return int(missing[0]) if len(missing) else min(most, len(there))


def _smoothed(line: Floats) -> Floats:
    """A line [n] without what is narrow."""
    windows = np.lib.stride_tricks.sliding_window_view
    line = np.median(windows(np.pad(line, REACH, mode="edge"), 2 * REACH + 1), 1)
    sigma = SMOOTH / STEP
    reach = round(3 * sigma)
    weights = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    return np.convolve(np.pad(line, reach, mode="edge"), weights / weights.sum(), "valid")
