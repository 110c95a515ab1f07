"""Curtain bangs, strand by strand: hair that falls out of the parting over both sides of the
forehead and runs into the hair beside the face.

Strands have the colours that the person's own hair has along its strands. They lie on a forehead of
`pose.Pose`'s head, so that they turn with it; x is to the right and y down from the eyes, in
distances of the eyes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, reached, resized, smoothstep, weighted_mean
from imgan.images.upsampling import LUMA
from imgan_edit.regions import strands
from imgan_edit.regions.finish import settled, softness
from imgan_edit.regions.matte import dark_cap, own_hair
from imgan_edit.regions.pose import Pose
from imgan_edit.regions.tracks import Hair, Points, taken
from imgan_edit.regions.view import Change, View, bounds, frontal

MOST_TURNED = 20.0

SMALLEST = 36.0
"""Eyes that are fewer pixels apart belong to hair without strands."""

FINE = 160.0
"""Strands are drawn for eyes so many pixels apart at most, and enlarged for larger faces."""

REACH = 1.02
"""How far to each side the hairline is looked for."""

CURLY = 0.5
"""Hair whose strands agree less than this on a direction is curls, which are not drawn."""

SHORT = 0.15
"""Of hair that hangs lower than the eyes there is more than this, in squared distances of those."""

LIGHT = 0.48
"""Hair lighter than this share of the skin has colours that followed strands do not show."""

ABOVE = 0.6
"""How much of what lies just above the hairline is hair, at least."""

PARTED = 0.4
"""How far strands have to run aside from the parting, in the mean, or they are combed back."""

LAYERS = 28
"""Locks lie on each other in so many layers."""

GAIN = 2.0
"""Strands that are averaged lose contrast; it is multiplied by so much at most."""

FINER = 1.8
"""Strands lie so many times closer than where their colours come from: they cover each other."""

IN_FRONT = 0.05
"""Share of the bangs that may fall on what is neither face nor hair."""

FACE = (
    "skin", "nose", "left_brow", "right_brow", "left_eye", "right_eye", "left_ear", "right_ear",
    "hair"
)  # fmt: skip
"""What they may fall on."""


@dataclass(frozen=True)
class _Head:
    """Where bangs come from and run to."""

    pose: Pose
    hairline: Callable[[Points], Points]
    """The y at which hair ends above the forehead, at x."""
    parting: float
    """The x from which hair falls to both sides."""
    beside: dict[int, Callable[[Points], Points]]
    """How far out hair hangs beside the face, at y, on the left (-1) and the right (1)."""


@dataclass(frozen=True)
class _Curves:
    """n strands in locks, each a cubic spline of two pieces (Hermite's form)."""

    knots: Points
    """[n, 3, 2]."""
    tangents: Points
    """[n, 3, 2]."""
    lock: NDArray[np.integer]
    """[n]."""

    def at(self, t: Points) -> Points:
        """Their places at `t` [k] in 0..1, [n, k, 2]."""
        t = t * (self.knots.shape[1] - 1)
        piece = np.minimum(t.astype(int), self.knots.shape[1] - 2)
        f = (t - piece)[:, None]
        f2, f3 = f * f, f * f * f
        return (
            (2 * f3 - 3 * f2 + 1) * self.knots[:, piece]
            + (f3 - 2 * f2 + f) * self.tangents[:, piece]
            + (3 * f2 - 2 * f3) * self.knots[:, piece + 1]
            + (f3 - f2) * self.tangents[:, piece + 1]
        )


def add_bangs(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Bangs; `amount` is how far they cover the forehead.

    Raises Failure for a head that is turned far or is small, for curls and short hair, and where
    hair does not begin above a bare forehead.
    """
    frontal(view, MOST_TURNED, "a fringe")
    if amount <= 0:
        return Change(view.pixels, np.zeros(view.shape, np.float32))
    if view.eye_distance < SMALLEST:
        raise Failure("the face is too small for the strands of a fringe")
    if view.part("glasses").sum() > 0.05 * view.eye_distance**2:
        raise Failure("bangs are not drawn well over glasses")
    small = view.at(FINE)
    hairline = _hairline(view.at(60))
    matte = own_hair(small)
    if (matte * (small.frame[1] > 0.4)).sum() < SHORT * small.eye_distance**2:
        raise Failure(
            "bangs are not drawn well where the hair is short: none hangs beside the face"
        )
    if _median(small, matte) > LIGHT * _median(small, small.part("skin")):
        raise Failure("bangs are not drawn well on light hair")
    if _agreement(view.at(100)) < CURLY:
        raise Failure("bangs are not drawn well in curls")
    hair = Hair.of(small, matte)
    head = _head(small, hairline, hair, matte)
    layer = _drawn(small, head, hair, _curtain(head, small.eye_distance, amount, rng), rng)
    other = 1 - small.part(*FACE, *(("hat",) if dark_cap(view.at(60)) else ()))
    if (layer[..., 3] * other).sum() > IN_FRONT * layer[..., 3].sum():
        raise Failure("bangs would fall over what is in front of the face")

    place = _around(layer[..., 3], 0.3 * small.eye_distance)
    place = reached(place, small.shape, view.shape)
    cut = view.cut(place)
    pixels = _laid(cut, resized(layer, *view.shape, place), rng)
    return Change(pixels, (pixels != cut.pixels).any(2).astype(np.float32), place)


def _median(view: View, where: Floats) -> float:
    """The lightness of a part of a view; 0 where there is none."""
    inside = view.pixels[where > 0.8] @ LUMA
    return float(np.median(inside)) if inside.size else 0.0


def _around(cover: Floats, margin: float) -> tuple[slice, slice]:
    """Rows and columns of all that is covered [h, w], and so many pixels around it."""
    (top, bottom), (left, right) = (
        (max(0, int(side.start - margin)), min(length, int(side.stop + margin) + 1))
        for side, length in zip(bounds(cover > 0), cover.shape, strict=True)
    )
    return slice(top, bottom), slice(left, right)


def _laid(view: View, layer: Floats, rng: np.random.Generator) -> Floats:
    """The pixels [h, w, 3] of a view under a layer [h, w, 4] of strands, with their shadow."""
    unit, skin = view.eye_distance, view.part("skin", "nose", "left_brow", "right_brow")
    soft = softness(view.pixels.mean(2))
    layer = blurred(layer, 0.25 + 0.4 * max(0.0, soft - 0.6)).clip(0, 1)
    cover = layer[..., 3]
    # A soft shadow on the skin below, warm, for skin lets light through.
    shade = 0.32 * _below(cover, 0.04 * unit, 0.035 * unit)
    shade = 1 - skin * (shade + 0.16 * _below(cover, 0.09 * unit, 0.09 * unit))
    after = view.pixels * shade[..., None] ** np.array([0.85, 1.05, 1.15], np.float32)
    after = after * (1 - cover)[..., None] + layer[..., :3]
    return settled(view.pixels, after, cover, skin, rng)[0]


def _below(cover: Floats, drop: float, sigma: float) -> Floats:
    """The cover [h, w], so many pixels lower and softer."""
    lower = np.zeros_like(cover)
    rows = max(1, round(drop))
    lower[rows:] = cover[:-rows]
    return blurred(lower, sigma)


def _head(view: View, hairline: Points, hair: Hair, matte: Floats) -> _Head:
    pose = Pose.of(view.points)
    steps = np.linspace(-REACH, REACH, len(hairline))

    def line(x: Points) -> Points:
        return np.interp(x, steps, hairline)

    beside = {}
    y = np.arange(-0.5, 0.75, 0.05)
    for side in (-1, 1):
        out = np.arange(0.5, 1.5, 0.02)
        places = pose.project(_on_forehead(*np.meshgrid(side * out, y)))
        there = (taken(matte[..., None], places)[..., 0] > 0.5) & _within(view, places)
        edge = np.where(there.any(1), out[there.argmax(1)], np.nan)
        known = np.isfinite(edge)
        if known.sum() < 4:
            raise Failure("no hair hangs beside the face that bangs could run into")
        beside[side] = _interpolated(y[known], edge[known])
    return _Head(pose, line, _parting(view, pose, line, hair), beside)


def _interpolated(y: Points, edge: Points) -> Callable[[Points], Points]:
    return lambda at: np.interp(at, y, edge)


def _within(view: View, places: Points) -> NDArray[np.bool_]:
    height, width = view.shape
    return (places >= 0).all(-1) & (places[..., 0] < width) & (places[..., 1] < height)


def _parting(view: View, pose: Pose, line: Callable[[Points], Points], hair: Hair) -> float:
    """The x on whose left strands fall to the left, and on whose right to the right."""
    x, up = np.meshgrid(np.linspace(-0.75, 0.75, 61), np.linspace(0.06, 0.4, 12))
    places = pose.project(_on_forehead(x, line(x) - up))
    flat = places.reshape(-1, 2)
    vx, vy = hair.directions(flat).T
    roll = np.radians(view.roll)
    aside = (vx * np.cos(roll) + vy * np.sin(roll)).reshape(x.shape)
    deep, agreement = np.moveaxis(taken(np.stack([hair.deep, hair.agreement], -1), places), -1, 0)
    if deep.mean() < ABOVE:
        raise Failure("bangs are not drawn well below a band in the hair")
    weight = deep.clip(0, 1) * agreement.clip(0, 1)
    parts = np.linspace(-0.6, 0.6, 49)
    apart = [(weight * np.sign(x - part) * aside).sum() for part in parts]
    if max(apart) < PARTED * weight.sum():
        raise Failure("hair that is combed back has no parting that bangs could fall from")
    return float(parts[np.argmax(apart)])


def _curtain(head: _Head, unit: float, amount: float, rng: np.random.Generator) -> _Curves:
    """Locks on both sides of the parting: the outermost follow the hairline, the innermost fall
    over the forehead; they end in the hair beside the face, or before it in tips."""
    knots, tangents, locks = [], [], []
    low = rng.uniform(0.28, 0.40)
    for side in (-1, 1):
        edge = head.beside[side]
        far = rng.uniform(0.52, 0.66) * min(amount, 1.3)
        wide = float(edge(np.array(-0.36))) - side * head.parting
        for _ in range(max(10, round(34 * wide))):
            inner = rng.beta(0.9, 1.2)
            # Some are a few single hairs, that stray.
            lone = rng.random() < 0.25
            many = 7 if lone else 42 if inner < 0.7 else 21
            n = int(many * unit / 100 * rng.uniform(0.6, 1.3)) + 2
            off = rng.normal(0, 1, n).clip(-2.2, 2.2)
            stray = 1.8 if lone else 1.0
            out = 0.03 + 0.55 * (1 - inner) ** 1.2 * rng.uniform(0.5, 1.2)
            x0 = head.parting + side * wide * (out + 0.035 * stray * np.abs(off))
            y0 = head.hairline(x0) - rng.uniform(0.04, 0.2) - 0.12 * rng.random(n)
            # Above the brows, the inner ones higher, so that they swing out in one arc.
            sag = far * (inner + 0.045 * stray * off).clip(-0.15, 1.15)
            y1 = np.full(n, -0.40 - 0.18 * inner + 0.05 * rng.normal())
            x1 = np.minimum(edge(y1), 1.25) + 0.03 - wide * sag + 0.02 * rng.normal()
            # Tips: the outer ones lower, and within the hair if it is not behind an ear.
            y2 = low - 0.42 * inner + 0.15 * rng.normal() - 0.14 * rng.exponential(1, n)
            y2 = np.maximum(y2, -0.22)
            x2 = np.minimum(edge(y2) + 0.06, 1.12 - 0.25 * min(1, 2 * inner))
            x2 = x2 - 0.24 * inner * rng.uniform(0.2, 1.2) + 0.02 * off
            # Eyes stay free.
            y2 = np.minimum(y2, -0.2 + 0.9 * (x2 - 0.78).clip(0) / 0.2)
            p = np.stack(
                [np.stack(xy, 1) for xy in ((x0, y0), (side * x1, y1), (side * x2, y2))], 1
            )
            first, second = p[:, 1] - p[:, 0], p[:, 2] - p[:, 1]
            a, b = (np.linalg.norm(d, axis=1, keepdims=True) for d in (first, second))
            bend = 0.08 * rng.normal()
            start = a * np.array([side * (0.8 - 0.4 * inner + bend), 0.3 + 0.35 * inner])
            middle = first / a + second / b
            middle *= np.minimum(a, b) / np.linalg.norm(middle, axis=1, keepdims=True)
            end = 1.5 * second - 0.5 * middle + b * np.array([side * bend, 0])
            knots.append(p)
            tangents.append(np.stack([start, middle, end], 1))
            locks.append(n)
    lock = np.repeat(np.arange(len(locks)), locks)
    return _Curves(np.concatenate(knots), np.concatenate(tangents), lock)


def _drawn(
    view: View, head: _Head, hair: Hair, curves: _Curves, rng: np.random.Generator
) -> Floats:
    """Strands, [h, w, 4] as `strands.drawn` gives, sRGB."""
    unit, lock = view.eye_distance, curves.lock
    n, locks = len(lock), int(lock[-1]) + 1
    # Colours change slowly along strands.
    points = max(12, int(1.9 * unit / 0.9))
    t = np.linspace(0, 1, max(8, points // 3))
    xy = curves.at(t)
    places = head.pose.project(_on_forehead(xy[..., 0], xy[..., 1]))
    steps = np.linalg.norm(np.diff(places, axis=1), axis=2)
    arc = np.concatenate([np.zeros((n, 1)), steps.cumsum(1)], 1)

    # A lock is what lies side by side somewhere in the hair.
    across, down = view.frame
    inside = blurred(hair.deep, 0.05 * unit) > 0.95
    around = inside & (np.abs(across) < 1.7) & (down < 1.6)
    seeds = hair.seeds(around, unit, rng, locks)
    way = hair.directions(seeds)
    normal = np.stack([-way[:, 1], way[:, 0]], 1)
    order, rim = _across(places[:, len(t) // 2, 0], lock)
    smooth = max(1, round(0.07 * len(t)))
    start = rng.random(locks)[lock]
    fine, light = hair.along(
        seeds[lock] + normal[lock] * order[:, None], arc, start, int(1.8 * unit), smooth
    )

    base = _base(view, hair, places, t)
    ratio = (base @ LUMA + 0.03) / (light @ LUMA + 0.03)
    fine = fine * ratio.clip(0.3, 2.5)[..., None]
    # A glint is no strand.
    most = 2.5 * fine.std()
    fine = fine.clip(-most, most)
    depth = rng.permutation(np.arange(locks) % LAYERS)[lock]
    # Front locks are lighter, locks are round, and there is a sheen where the forehead bends.
    tone = (1 + 0.10 * rng.normal(0, 1, locks))[lock] * (0.80 + 0.36 * depth / (LAYERS - 1))
    tone = tone * (1.06 - 0.22 * rim**2)
    bright = 0.18 * rng.uniform(0.4, 1.2, locks)[lock]
    sheen = 1 + bright[:, None] * np.exp(-(((t - 0.42) / 0.12) ** 2))
    base = base * (tone[:, None] * sheen)[..., None]

    rise = smoothstep(t / (0.06 + 0.22 * rng.random((n, 1))), 0, 1)
    fall = smoothstep((1 - t) / (0.15 + 0.45 * rng.random((n, 1))), 0, 1)
    merged = taken(hair.deep[..., None], places)[..., 0].clip(0, 1) * smoothstep(t, 0.35, 0.6)
    weights = rise * fall * (1 - 0.85 * merged) * rng.uniform(0.35, 1.0, (n, 1))
    weights = weights * min(1.0, unit / 110) ** 0.5 * (arc[:, -1:] / points).clip(0.2, 1.5)
    drawn_at, weight = _filled(places, points), _filled(weights[..., None], points)[..., 0]

    def layer(gain: float) -> Floats:
        colours = _filled((base + gain * fine).clip(0, 1), points)
        return strands.drawn(drawn_at, colours, weight, depth, *view.shape)

    made = layer(1.0)
    near = inside & (np.abs(across) < 1.4) & (down < 0.6)
    wanted = float(hair.contrast(unit)[near].mean()) if near.any() else 0.0
    gain = float(np.clip(wanted / max(_contrast(made, unit), 1e-4), 0.6, GAIN))
    return layer(gain)


def _contrast(layer: Floats, unit: float) -> float:
    """The deviation of the strands' lightness where a layer [h, w, 4] is closed."""
    closed = (layer[..., 3] > 0.95).astype(np.float32)
    grey = layer[..., :3] @ LUMA
    fine = grey - weighted_mean(grey, closed, 0.07 * unit)
    return float(np.sqrt((fine**2 * closed).sum() / max(float(closed.sum()), 1.0)))


def _across(x: Points, lock: NDArray[np.integer]) -> tuple[Points, Points]:
    """Where strands lie in their locks, from their x [n]: in pixels, times `FINER`, and from its
    middle 0 to its rims 1."""
    order, rim = np.zeros(len(x)), np.zeros(len(x))
    for number in range(int(lock[-1]) + 1):
        own = np.flatnonzero(lock == number)
        order[own] = FINER * (x[own] - np.median(x[own]))
        rank = np.argsort(np.argsort(x[own])) - (len(own) - 1) / 2
        rim[own] = np.abs(rank) / max(float(np.abs(rank).max()), 1.0)
    return order, rim


def _base(view: View, hair: Hair, places: Points, t: Points) -> Floats:
    """The colours of strands [n, k, 3] without what is finer: where they leave the hair its own
    there, then those along the hairline, and a little of those where they end."""
    unit, (across, down) = view.eye_distance, view.frame
    grey = view.pixels @ LUMA
    near = weighted_mean(view.pixels, hair.deep, 0.12 * unit)
    skin = view.part("skin")
    rim = hair.deep * smoothstep(blurred(skin, 0.22 * unit), 0.03, 0.2) * (down < -0.1)
    if (rim > 0.3).any():
        # Without the gloss of the crown.
        rim = rim * (grey < np.quantile(grey[rim > 0.3], 0.85))
    along = weighted_mean(view.pixels, rim.astype(np.float32), 0.3 * unit)
    around = (hair.deep > 0.95) & (np.abs(across) < 1.4) & (down < 0.6)
    overall = np.median(view.pixels[around], 0) if around.any() else along.mean((0, 1))
    root, end = taken(near, places[:, 0]), taken(near, places[:, -1])
    merged = taken(hair.deep[..., None], places[:, -1]).clip(0, 1)
    end = overall + (0.3 + 0.4 * merged) * (end - overall)
    end = 0.75 * taken(along, places[:, places.shape[1] // 3]) + 0.25 * end
    mix = smoothstep(t, 0.05, 0.45)[None, :, None]
    return (root[:, None] + mix * (end - root)[:, None]).astype(np.float32)


def _filled(values: Points, k: int) -> Floats:
    """Values along strands [n, m, C] at k places, linearly between, [n, k, C]."""
    at = np.linspace(0, values.shape[1] - 1, k)
    low = np.minimum(at.astype(int), values.shape[1] - 2)
    part = (at - low)[:, None].astype(np.float32)
    values = values.astype(np.float32)
    return values[:, low] * (1 - part) + values[:, low + 1] * part


def _hairline(view: View) -> NDArray[np.floating]:
    """The y at which hair ends above the forehead, for x from -`REACH` to `REACH` in 41 steps."""
    pose = Pose.of(view.points)
    x, y = np.meshgrid(np.linspace(-REACH, REACH, 41), np.arange(-1.9, -0.1, 0.02))
    places = pose.project(_on_forehead(x, y)).astype(int)
    height, width = view.shape
    inside = _within(view, places)
    column, row = places[..., 0].clip(0, width - 1), places[..., 1].clip(0, height - 1)
    cap = dark_cap(view)
    if not cap and view.part("hat").sum() > 0.1 * view.eye_distance**2:
        raise Failure("no bangs are drawn under a hat")
    there = view.part("hair", "hat") if cap else view.part("hair")
    hair = (there[row, column] > 0.5) & inside
    skin = view.part("skin", "left_brow", "right_brow")[row, column] > 0.5
    # The topmost skin of each column.
    line = np.where(skin.any(0), y[skin.argmax(0), 0], np.nan)
    middle = np.abs(x[0]) < 0.45
    # How much of what lies just above it is hair; beyond the photo nothing is.
    over = (y < line) & (y > line - 0.3)
    above = (hair & over).sum(0) / np.maximum(over.sum(0), 1)
    if above[middle].mean() < ABOVE:
        raise Failure("no hair above the forehead that bangs could fall from")
    if np.nanmedian(line[middle]) > -0.65:
        raise Failure("hair covers the forehead already")
    known = np.isfinite(line)
    filled = np.interp(x[0], x[0][known], line[known])
    # Smooth; at the temples not lower than the brows.
    smooth = np.convolve(np.pad(filled, 3, "edge"), np.ones(7) / 7, "valid")
    return np.minimum(smooth, -0.35)


def _on_forehead(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Places of the head that lie on the hair over its forehead."""
    z = 0.30 - 0.42 * x * x - 0.35 * (-y - 0.9).clip(0) ** 2
    return np.stack([x, y, z], -1)


def _agreement(view: View) -> float:
    """How far the strands of the hair agree on their directions, 0..1: the coherence of the
    structure tensor (Bigun and Granlund 1987), weighted by how much texture there is."""
    dy, dx = (np.asarray(plane, np.float32) for plane in np.gradient(view.pixels.mean(2)))
    hair = blurred(view.part("hair"), 1.5) > 0.9
    if hair.sum() < 100:
        return 1.0
    products: list[Floats] = [dx * dx, dy * dy, dx * dy]
    xx, yy, xy = (blurred(plane, 3.0) for plane in products)
    energy = xx + yy
    coherent = np.hypot(xx - yy, 2 * xy)
    return float(coherent[hair].sum() / energy[hair].sum().clip(1e-9))
