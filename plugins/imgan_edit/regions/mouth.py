"""Smiles and open mouths, by moving the photo's own pixels.

Lengths are in distances of the eyes, along the face's axes. A field of displacements is made from
points of the lips, cheeks and lids that move and points of nose, jaw and eyes that stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, resized, smoothstep, warped
from imgan.images.oklab import to_oklab
from imgan_edit.regions.closing import Gap
from imgan_edit.regions.folds import deepened, evened_out
from imgan_edit.regions.lips import ALONG, Lips
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import at_full_size, thin_plate

FINE = 64.0
"""Distance of the eyes, in pixels, at which lips are measured and fields made at most."""

OUTER = 0.7
"""Beyond it, on the way from the middle to a corner, the outer edges of lips are not made out."""

SMILES, SMILES_OPEN = 0.04, 0.02
"""Corners of closed lips that are so far above their middle smile; and of open ones."""

CORNERS = 0.1
"""How far a smile lifts the corners, of the mouth's width."""

HIGHEST, LOWER = 0.13, 0.012
"""Corners come down by so much at most, and so far below where they would be level."""

MOST_TURNED = 25.0
"""Mouths of heads turned by more degrees become lopsided."""

WIDEST, LAUGH = 0.23, 0.385
"""Lips farther apart than this cannot be closed well, too little of them is to be seen; nor those
whose gap and twice the rise of whose corners add up to more: cheeks and eyes laugh, too."""

SHADE = 0.11
"""By how much of Oklab's lightness the halves of lips may differ that are to be closed."""

THINNEST = 0.18
"""How thin one lip may be, of the other's thickness."""


def smile(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The corners of the mouth go up and out, the cheeks and lower lids follow; teeth are shown
    only if they were. Raises Failure for faces turned far, or whose lips are hidden."""
    small, lips = _measured(view, "a smile")
    curl = _curl(lips, min(amount, 1.6))
    moved = _moved(view, small, lips, curl)
    return Change(deepened(view, small, moved.pixels, lips, 0.5 * amount), moved.where)


def no_smile(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The corners of a closed mouth and the cheeks come down again. Raises Failure for a smile that
    shows teeth: of nine that were closed as well an eye kept none."""
    small, lips = _measured(view, "another mouth")
    if lips.rise < (SMILES_OPEN if lips.open else SMILES):
        raise Failure("the mouth does not smile")
    if lips.open:
        raise Failure("a smile that shows teeth cannot be taken away well: it is left as it is")
    _plain(small, lips)
    flat = Gap.of(small, lips).closed(lips)
    line = flat.edges[1]
    middle = float(line[3:5].mean())
    rise = max(middle - float(flat.middle[1]), 1e-3)
    # A little below the lips' middle: on it they would smile still.
    fall = min(amount, 1.2) * (0.8 * min(rise, HIGHEST) + LOWER)
    curl = Curl(-fall, -0.6 * fall, -0.5 * fall, ((middle - line) / rise).clip(0, 1))
    return _moved(view, small, flat, curl, None, min(amount, 1.0))


def close_mouth(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The lips meet. Raises Failure when they do already, or are too far apart."""
    small, lips = _measured(view, "another mouth")
    if not lips.open:
        raise Failure("the mouth is closed already")
    _plain(small, lips)
    _closable(small, lips)
    gap = Gap.of(small, lips)
    return _moved(view, small, gap.closed(lips), _curl(lips, -0.25), gap, 0.4)


def _measured(view: View, what: str) -> tuple[View, Lips]:
    frontal(view, MOST_TURNED, what)
    small = view.at(FINE)
    return small, Lips.of(small)


def _closable(view: View, lips: Lips) -> None:
    """Raises Failure for open lips that cannot be closed well."""
    frontal(view, 13, "a closed mouth")
    if lips.gap > WIDEST or lips.gap + 2 * max(lips.rise, 0.0) > LAUGH:
        raise Failure("a laugh, or a mouth open wide, cannot be closed well: it is left as it is")


def _plain(view: View, lips: Lips) -> None:
    """Raises Failure for lips of which too little is to be seen, or not in one light."""
    upper_edge, upper_rim, lower_rim, lower_edge = lips.edges[:, 3:5].mean(1)
    thin, thick = sorted((upper_rim - upper_edge, lower_edge - lower_rim))
    if thin < THINNEST * thick:
        raise Failure("one of the lips is hardly to be seen: the mouth is left as it is")
    light = to_oklab(view.pixels)[..., 0]
    left = view.frame[0] < lips.middle[0]
    upper, lower = (view.part(name) > 0.5 for name in ("upper_lip", "lower_lip"))
    halves = (upper, lower), (upper & left, upper & ~left), (lower & left, lower & ~left)
    for one, other in halves:
        if abs(float(np.median(light[one]) - np.median(light[other]))) > SHADE:
            raise Failure("the lips lie in hard shade, or under a moustache: they stay as they are")


@dataclass(frozen=True)
class Curl:
    """How points of the mouth move: the corners, the lips between them, cheeks and lids."""

    up: float
    out: float
    cheeks: float
    bow: Floats
    """How much of that each place of `ALONG` goes up."""


def _curl(lips: Lips, amount: float) -> Curl:
    width = 2 * lips.half
    return Curl(CORNERS * width * amount, 0.065 * width * amount, 0.07 * amount, ALONG**2)


def _moved(
    view: View,
    small: View,
    lips: Lips,
    curl: Curl,
    gap: Gap | None = None,
    smooth: float = 0.0,
) -> Change:
    """The view with moved lips, which meet where there was a `gap`; folds that a smile made are
    evened out, as far as `smooth` says."""
    right, below = small.frame
    ends, starts = _points(lips, curl)
    field = thin_plate(ends, starts - ends, right, below)
    field *= _window(right, below, lips)[..., None]
    # Where pixels come from, of a face whose lips meet.
    x, y = right + field[..., 0], below + field[..., 1]
    offsets = (np.zeros_like(x),) if gap is None else (gap.above(x, y), gap.below(x, y))
    sides, touched = [], np.zeros(view.shape, np.bool_)
    for offset in offsets:
        dx, dy = at_full_size(view, small, field[..., 0], field[..., 1] + offset)
        sides.append(warped(view.pixels, dx, dy))
        touched |= (dx != 0) | (dy != 0)
    pixels = sides[0]
    if gap is not None:
        under = resized((y - gap.line(x)).astype(np.float32), *view.shape)
        soft = SHARP / view.eye_distance
        pixels = pixels + smoothstep(under, -soft, soft)[..., None] * (sides[1] - pixels)
    if smooth:
        # What was dark in the corners of open lips is none of closed ones.
        start = 0.9 if gap is None else 0.8
        pixels = evened_out(view, small, pixels, lips, (x, y), start, smooth)
    if gap is not None:
        ends_in = smoothstep(0.95 - np.abs(x - lips.middle[0]) / lips.half, 0.0, 0.5)
        inner = resized(ends_in * smoothstep(gap.width(x), 0.0, 0.05), *view.shape)
        crease = inner * np.exp(-((under / 0.016) ** 2))
        pixels = pixels * (1 - crease[..., None] * np.array(CREASE, np.float32))
    return Change(pixels.clip(0, 1).astype(np.float32), touched.astype(np.float32))


SHARP = 0.7
"""Half the width, in pixels, over which the upper lip goes over into the lower."""

CREASE = (0.24, 0.3, 0.29)
"""How much of red, green and blue the line between closed lips takes away."""


BEYOND = 0.09
"""How far beyond a corner."""


def _points(lips: Lips, curl: Curl) -> tuple[Floats, Floats]:
    """Where points go, and where they are, [n, 2] each."""
    left, right = lips.corners
    t, x = ALONG, lips.x
    rise = curl.up * (curl.bow - 0.12)
    stretch = curl.out * t
    starts: list[tuple[float, float]] = []
    ends: list[tuple[float, float]] = []

    def move(px: float, py: float, dx: float = 0.0, dy: float = 0.0) -> None:
        starts.append((px, py))
        ends.append((px + dx, py + dy))

    for side, (x_corner, y_corner) in ((-1, left), (1, right)):
        move(x_corner, y_corner, side * curl.out, -curl.up)
        # What lies just beyond a corner goes with it: it would be left as a hook.
        move(x_corner + side * BEYOND, y_corner - 0.5 * BEYOND, side * curl.out, -0.95 * curl.up)
    upper, _, _, lower = lips.edges
    for i in np.flatnonzero(np.abs(t) < OUTER):
        move(x[i], upper[i], stretch[i], -rise[i])
        move(x[i], lower[i], stretch[i], -0.9 * rise[i])
    middle, height = lips.middle
    nose = float(min(upper.min() - 0.06, 0.62))
    for side in (-1, 1):
        move(middle + side * 0.62, 0.55, side * 0.3 * curl.cheeks, -curl.cheeks)
        move(middle + side * 0.46, 0.72, side * 0.4 * curl.out, -0.6 * curl.up)
        # The cheeks push the lower lids up.
        move(side * 0.55, 0.32, side * 0.1 * curl.cheeks, -0.8 * curl.cheeks)
        move(side * 0.5, 0.1, 0, -0.35 * curl.cheeks)
        # Wings of the nose, eyes, jaw.
        move(middle + side * 0.2, nose - 0.02, side * 0.1 * curl.out)
        move(side * 0.5, -0.05)
        move(side * 0.12, 0.1)
        move(side * 0.9, 0.1)
        move(side * 0.95, 0.7)
        move(side * 0.85, height + 0.15)
        move(side * 0.55, height + 0.5)
    move(middle, nose)
    move(middle, 0.35)
    move(middle, max(height + 0.42, float(lower.max()) + 0.14))
    move(middle, height + 0.75)
    return np.array(ends), np.array(starts)


def _window(right: Floats, below: Floats, lips: Lips) -> Floats:
    """1 around the mouth and 0 from the jaw and the eyes on."""
    middle, height = lips.middle
    radius = np.hypot((right - 0.5 * middle) / 0.98, (below - height + 0.3) / 1.02)
    return 1 - smoothstep(radius, 0.82, 1.08)
