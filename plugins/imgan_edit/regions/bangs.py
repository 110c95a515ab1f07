"""Bangs, drawn strand by strand from inside the crown down to the brows, in the hair's own colours.

Strands lie on a forehead of `pose.Pose`'s head, so that they turn with it; x is to the right and y
down from the eyes, in distances of the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import to_oklab
from imgan.images.upsampling import LUMA
from imgan_edit.regions import strands
from imgan_edit.regions.finish import grain, softness
from imgan_edit.regions.matte import dark_cap, own_hair
from imgan_edit.regions.pose import Pose
from imgan_edit.regions.view import Change, View, frontal

MOST_TURNED = 25.0

FINE = 260.0
"""Strands are drawn for eyes so many pixels apart at most, and enlarged for larger faces."""

REACH, INNER = 1.02, 0.7
"""How far to each side strands start, and up to where they end as they like."""

CURLY = 0.5
"""Hair whose strands agree less than this on a direction is curls, which are not drawn."""

LIGHT = 0.55
"""Of hair that is lighter in the mean, in Oklab, every lock has another colour."""

SHORT = 0.15
"""Of hair that hangs lower than the eyes there is more than this, in squared distances of those."""

LIKE_SKIN = 0.07
"""Hair that differs less from the skin, in Oklab, is thin, or no hair."""

STYLES = ("straight", "curtain", "swept")


@dataclass(frozen=True)
class _Style:
    part: float
    """Where strands part, as x of the forehead."""
    spread: float
    """How far their ends move away from there."""
    side: float
    """How far all ends move to one side."""
    bottom: float
    """Where they end in the middle, y."""
    arch: float
    """How much lower they end at the sides."""
    locks: int
    ragged: float
    """By how much neighbours differ in length."""

    @classmethod
    def of(cls, name: str, rng: np.random.Generator) -> _Style:
        side = float(rng.choice([-1, 1]))
        if name == "straight":
            return cls(side * 0.1, 0.05, 0.0, -0.20, 0.16, 90, 0.035)
        if name == "curtain":
            return cls(side * rng.uniform(0, 0.12), 0.42, 0.0, -0.52, 0.62, 90, 0.06)
        return cls(-side * 0.62, 0.05, side * 0.34, -0.32, 0.18, 90, 0.06)


def add_bangs(view: View, amount: float, rng: np.random.Generator, style: str = "") -> Change:
    """Bangs of a style out of `STYLES`, by chance if none is named; `amount` is how long they are.

    Raises Failure for a head that is turned far, and where hair does not begin above a bare
    forehead.
    """
    frontal(view, MOST_TURNED, "a fringe")
    if amount <= 0:
        return Change(view.pixels, np.zeros(view.shape, np.float32))
    small = view.at(FINE)
    pose = Pose.of(small.points)
    hairline = _hairline(view.at(60))
    hair = own_hair(small)
    if (hair * (small.frame[1] > 0.4)).sum() < SHORT * small.eye_distance**2:
        raise Failure(
            "bangs are not drawn well where the hair is short: none hangs beside the face"
        )
    if _agreement(view.at(100)) < CURLY:
        raise Failure("bangs are not drawn well in curls")
    palette = _palette(small, hair)
    if to_oklab(palette)[:, 0].mean() > LIGHT:
        raise Failure("bangs are not drawn well on light hair")
    skin = view.part("skin", "nose", "left_brow", "right_brow")
    face = to_oklab(view.pixels[skin > 0.9]).mean(0) if (skin > 0.9).any() else np.zeros(3)
    across, down = small.frame
    crown = (hair > 0.8) & (down < -0.7) & (np.abs(across) < 0.5)
    colours = [palette[len(palette) // 2]]
    if crown.any():
        colours.append(small.pixels[crown].mean(0))
    if min(float(np.linalg.norm(face - to_oklab(colour))) for colour in colours) < LIKE_SKIN:
        raise Failure("the hair can hardly be told from the skin")
    shape = _Style.of(style or str(rng.choice(STYLES)), rng)
    layer = _strands(small, pose, hairline, hair, palette, shape, amount, rng)

    soft = 0.35 + 0.5 * max(0.0, softness(_grey(small)) - 0.6)
    layer = resized(blurred(layer, soft), *view.shape).clip(0, 1)
    cover = layer[..., 3]
    bare = 1 - view.part("hat", "glasses")
    unit = view.eye_distance
    shifted = np.zeros_like(cover)
    drop = max(1, round(0.05 * unit))
    shifted[drop:] = cover[:-drop]
    shade = 1 - 0.45 * blurred(shifted, 0.05 * unit) * skin
    after = view.pixels * shade[..., None]
    after = after * (1 - cover * bare)[..., None] + layer[..., :3] * bare[..., None]
    noise = grain(_grey(view), skin)
    after += (noise * cover)[..., None] * rng.standard_normal((*view.shape, 1), np.float32)
    if np.ptp(view.pixels, axis=2).max() < 1 / 255:
        after = np.repeat(after.mean(2, keepdims=True), 3, 2)
    changed = np.abs(after - view.pixels).max(2) > 1 / 1024
    pixels = np.where(changed[..., None], after.clip(0, 1), view.pixels).astype(np.float32)
    return Change(pixels, changed.astype(np.float32))


def _grey(view: View) -> Floats:
    return view.pixels.mean(2)


def _hairline(view: View) -> NDArray[np.floating]:
    """The y at which hair ends above the forehead, for x from -`REACH` to `REACH` in 41 steps."""
    pose = Pose.of(view.points)
    x, y = np.meshgrid(np.linspace(-REACH, REACH, 41), np.arange(-1.9, -0.1, 0.02))
    places = pose.project(_on_forehead(x, y)).astype(int)
    height, width = view.shape
    inside = (places >= 0).all(-1) & (places[..., 0] < width) & (places[..., 1] < height)
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
    if above[middle].mean() < 0.6:
        raise Failure("no hair above the forehead that bangs could fall from")
    if np.nanmedian(line[middle]) > -0.5:
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
    dy, dx = (np.asarray(plane, np.float32) for plane in np.gradient(_grey(view)))
    hair = blurred(view.part("hair"), 1.5) > 0.9
    if hair.sum() < 100:
        return 1.0
    products: list[Floats] = [dx * dx, dy * dy, dx * dy]
    xx, yy, xy = (blurred(plane, 3.0) for plane in products)
    energy = xx + yy
    coherent = np.hypot(xx - yy, 2 * xy)
    return float(coherent[hair].sum() / energy[hair].sum().clip(1e-9))


def _palette(view: View, hair: Floats) -> Floats:
    """The colours [64, 3] of the hair above the brows, from dark to light, without the extremes:
    lengths beside the face are lighter, and in another light."""
    across, down = view.frame
    deep = blurred(hair, 0.03 * view.eye_distance) > 0.93
    near = deep & (down < -0.2) & (np.abs(across) < 1.3)
    if near.sum() < 0.15 * view.eye_distance**2:
        near = deep & (down < 0.5) & (np.abs(across) < 1.6)
    if near.sum() < 200:
        near = hair > 0.8
    if near.sum() < 100:
        raise Failure("too little hair to take its colours from")
    colours = view.pixels[near]
    order = np.argsort(colours @ LUMA)
    low, high = int(0.06 * len(order)), int(0.94 * len(order))
    parts = np.array_split(colours[order[low:high]], 64)
    return np.stack([part.mean(0) for part in parts]).astype(np.float32)


def _strands(
    view: View,
    pose: Pose,
    hairline: NDArray[np.floating],
    hair: Floats,
    palette: Floats,
    style: _Style,
    amount: float,
    rng: np.random.Generator,
) -> Floats:
    """Strands in locks, [h, w, 4] as `strands.drawn` gives, sRGB."""
    unit = view.eye_distance
    each = max(8, round(0.2 * unit))
    locks = style.locks
    # Locks overlap; the back ones are darker and cover everything, the front ones are accents.
    centre = np.linspace(-REACH, REACH, locks) + rng.normal(0, 0.02, locks)
    depth = rng.integers(0, strands.LAYERS, locks)
    lock_end = rng.normal(0, 1, locks)
    lock_tone = rng.normal(0, 1, locks)
    lock_bend = rng.normal(0, 1, locks)
    lock = np.repeat(np.arange(locks), each)
    n = len(lock)
    width = 1.9 * REACH / locks
    off = rng.normal(0, 1, n).clip(-2, 2) * rng.uniform(0.5, 1.3, locks)[lock]
    x0 = (centre[lock] + width * off).clip(-REACH - 0.05, REACH + 0.05)
    line = np.interp(x0, np.linspace(-REACH, REACH, 41), hairline)
    from_part = x0 - style.part
    y0 = line - rng.uniform(0.04, 0.40, n) * (1 - 0.45 * np.abs(x0))
    # Ends gather into points, more so towards the tip.
    gather = centre[lock] + 0.4 * width * off
    x1 = gather + style.spread * np.tanh(from_part / 0.25) * (0.35 + np.abs(from_part)).clip(0, 1)
    x1 = x1 + style.side + 0.02 * lock_end[lock] + rng.normal(0, 0.012, n)
    # None ends beside the head.
    beyond = (np.abs(x1) - INNER).clip(0) / (1 - INNER)
    x1 = np.sign(x1) * (np.minimum(np.abs(x1), INNER) + (1 - INNER) * np.tanh(beyond))
    bottom = style.bottom + style.arch * (np.abs(x1) / 0.9) ** 2.2
    bottom += style.ragged * (lock_end[lock] + 0.6 * rng.normal(0, 1, n))
    y1 = line + (bottom - line) * min(amount, 1.3)
    y1 = np.maximum(y1, line + 0.05) - rng.exponential(0.06, n)
    # Where the own hair hangs as low already, nothing is to be done.
    some = smoothstep(bottom - line, 0.12, 0.35)

    reach = np.hypot(x1 - x0, y1 - y0).max()
    k = max(12, int(reach * unit / 0.8))
    t = np.linspace(0, 1, k)[None]
    # A cubic: out of the crown away from the part and forward, then down by its weight.
    cx = x0 + 0.30 * (x1 - x0) + 0.05 * np.tanh(from_part / 0.2) + 0.06 * lock_bend[lock]
    cy = y0 + 0.36 * (y1 - y0) - 0.04
    dx_ = x0 + 0.86 * (x1 - x0) + 0.05 * lock_bend[lock]
    dy_ = y0 + 0.70 * (y1 - y0)
    curve = [((1 - t) ** 3), 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3]
    x = sum(w * p[:, None] for w, p in zip(curve, (x0, cx, dx_, x1), strict=True))
    y = sum(w * p[:, None] for w, p in zip(curve, (y0, cy, dy_, y1), strict=True))
    places = pose.project(_on_forehead(np.asarray(x), np.asarray(y))).astype(np.float32)

    # Tones are quantiles of the hair's own colours; at its root a strand has the crown's there.
    front = depth[lock] / (strands.LAYERS - 1)
    tone = 0.42 + 0.16 * front + 0.06 * lock_tone[lock] + 0.09 * rng.normal(0, 1, n)
    where = (line - y0) / (y1 - y0)
    middle = where + 0.30 * (1 - where)
    sheen = 0.11 * np.exp(-(((t - middle[:, None]) / 0.20) ** 2))
    under = -0.14 * ((t - 0.75) / 0.25).clip(0, 1)
    quantile = (tone[:, None] + sheen + under).clip(0, 1) * (len(palette) - 1)
    colours = palette[quantile.astype(np.int32)]
    inside = smoothstep(blurred(hair, 0.04 * unit), 0.9, 1.0)
    crown = weighted_mean(view.pixels, inside, 0.08 * unit)
    column = places[:, 0, 0].astype(np.int32).clip(0, view.shape[1] - 1)
    row = places[:, 0, 1].astype(np.int32).clip(0, view.shape[0] - 1)
    local = crown[row, column] - palette[len(palette) // 2]
    fade = 0.8 * (1 - (t - 0.5 * where[:, None]) / 0.55).clip(0, 1)
    colours = (colours + fade[..., None] * local[:, None]).clip(0, 1).astype(np.float32)

    # Below the hairline the person's own hair lies in front.
    column = places[..., 0].astype(np.int32).clip(0, view.shape[1] - 1)
    row = places[..., 1].astype(np.int32).clip(0, view.shape[0] - 1)
    behind = hair[row, column] * smoothstep(t - where[:, None], 0.05, 0.25)
    # Soft at the root, thin at the tip; what leaves the hair at once starts at once.
    rise = ((t + 0.02) / np.maximum(0.75 * where[:, None], 0.06)).clip(0, 1)
    fall = ((1 - t) / 0.3).clip(0, 1)
    dense = 0.9 * (t[0, 1] * reach * unit) * min(1.0, 130 / unit) ** 0.3
    weights = (1.05 * dense * rise * fall * (1 - behind)).astype(np.float32)
    weights = weights * some[:, None]
    return strands.drawn(places, colours, weights, depth[lock], *view.shape)
