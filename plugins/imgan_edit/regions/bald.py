"""A head without its hair: a skull where that was, of the forehead's own skin, and behind it what
is beside the hair.

Lengths are in distances of the eyes, along the face's axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, grown, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.finish import grain, greyed
from imgan_edit.regions.matte import hair_alpha
from imgan_edit.regions.painter import with_detail
from imgan_edit.regions.view import Change, View, frontal
from imgan_inpaint.membrane import membrane
from imgan_inpaint.synthesis import fill

FINE = 48.0
"""Distance of the eyes, in pixels, at which skull and ground are painted at most; what is finer is
taken from the skin."""

PORES = 80.0
"""Distance of the eyes, in pixels, from which on pores are seen; below it skin has grain alone."""

TOP = 1.36
"""How high the skull rises above the eyes, against half its width."""

WIDE = 1.03
"""How wide it is, against what is between the ears."""

LONG, COVERED = 0.2, 0.045
"""How much hair may be seen below the ears' middle, and beside them, in squared distances of the
eyes."""

BUSY = 0.12
"""How far colours beside the hair may vary, in Oklab, for the ground behind it to be guessed."""

EDGE = 0.035
"""How wide the outline of the skull fades."""


@dataclass(frozen=True)
class Skull:
    """The upper half of a head, in the face's frame."""

    middle: float
    half: float
    """Half its width."""
    high: float
    """How far it rises above the eyes."""

    def cover(self, x: Floats, y: Floats) -> Floats:
        """How much of each pixel it is, [h, w] in 0..1: sides that are nearly upright, and a round
        top."""
        up = (-0.35 - y).clip(0) / (self.high - 0.35)
        away = (np.abs(x - self.middle) / self.half) ** 2.3 + up**2.1
        depth = (1 - away ** (1 / 2.2)) * self.half
        return smoothstep(depth, -EDGE, EDGE) * smoothstep(-y, -0.5, -0.3)


def shaven_head(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A bald head. Raises Failure for long hair, hats and glasses, for a forehead or ears that are
    not seen, a busy ground, and a head that is turned far or cut off by the photo."""
    frontal(view, 22, "a bald head")
    small = view.at(FINE)
    unit = small.eye_distance
    x, y = small.frame
    if any((small.part(name) > 0.5).sum() > 0.4 * unit**2 for name in ("hat", "glasses")):
        raise Failure("a bald head is not drawn well under a hat, or with glasses")
    hair = _hair(small)
    skin = small.part("skin", "nose") * (1 - grown(hair, 0.1 * unit))
    forehead = skin * (y < -0.28) * (np.abs(x) < 0.8)
    if forehead.sum() < 0.25 * unit**2:
        raise Failure("too little of the forehead is seen to be carried up")
    middle, half = _between_ears(small)
    top = float(np.quantile(y[forehead > 0.5], 0.01))
    skull = Skull(middle, WIDE * half, max(TOP * half, 0.12 - top))
    inside = skull.cover(x, y)
    if max(float(edge.max()) for edge in (inside[0], inside[:, 0], inside[:, -1])) > 0.5:
        raise Failure("the head is cut off by the photo's edge")
    # Ears, face and clothes stay.
    stay = small.part("skin", "nose", "left_ear", "right_ear", "cloth") * (1 - hair)
    kept = smoothstep(y, -0.3, 0.1) * smoothstep(blurred(stay, 0.02 * unit), 0.6, 0.95)
    gone = grown(hair, 0.12 * unit) * (1 - smoothstep(y, 0.35, 0.55)) * (1 - kept)
    ground = _ground(small, hair, np.maximum(gone, inside), stay)
    painted = ground + inside[..., None] * (_head(small, skull, skin) - ground)
    where = np.maximum(gone, inside * (1 - stay) * (y < -0.5))
    # On the forehead it fades slowly: there it is the forehead's own colour.
    where = np.maximum(where, blurred(where, 0.08 * unit) * inside * (1 - kept))
    full, cover = (resized(p, *view.shape) for p in (smoothstep(where, 0.05, 0.75), inside))
    bare = view.part("skin") * (view.frame[1] < -0.2)
    bare = bare * (1 - resized(grown(hair, 0.05 * unit), *view.shape))
    pixels = _with_pores(view, resized(painted, *view.shape), full * cover, bare, rng)
    return Change(greyed(view.pixels, pixels).clip(0, 1), min(amount, 1.0) * full)


def _hair(view: View) -> Floats:
    """Where hair is, brows not counted, [h, w] in 0..1. Raises Failure for long hair."""
    unit = view.eye_distance
    _, y = view.frame
    hair = np.maximum(hair_alpha(view), view.part("hair") * (blurred(view.part("skin"), 1.0) < 0.9))
    brows = blurred(view.part("left_brow", "right_brow"), 0.04 * unit)
    hair = hair * (1 - smoothstep(brows, 0.05, 0.3))
    there = hair > 0.5
    beside = (there & (y > 0.1) & (y < 0.45)).sum() > COVERED * unit**2
    if beside or (there & (y > 0.45)).sum() > LONG * unit**2:
        raise Failure("long hair, or hair over the ears, does not become a bald head")
    return hair


def _between_ears(view: View) -> tuple[float, float]:
    """Where the middle of the face is at the eyes, and how far it is to its sides: to the ears
    where they are seen."""
    x, y = view.frame
    level = (y > -0.15) & (y < 0.5)
    face = level & (view.part("skin", "nose", "left_eye", "right_eye") > 0.5)
    if face.sum() < 0.2 * view.eye_distance**2:
        raise Failure("the face is not made out")
    sides = [float(edge) for edge in np.quantile(x[face], (0.01, 0.99))]
    for number, side in enumerate(("left", "right")):
        ear = level & (view.parts[f"{side}_ear"] > 0.5) & (x < 0 if side == "left" else x > 0)
        if ear.sum() > 0.02 * view.eye_distance**2:
            sides[number] = float(np.quantile(x[ear], (0.8, 0.2)[number]))
    return (sides[0] + sides[1]) / 2, (sides[1] - sides[0]) / 2


def _ground(view: View, hair: Floats, hole: Floats, stay: Floats) -> Floats:
    """What is behind the head, [h, w, 3]: patches of what is beside the hair."""
    unit = view.eye_distance
    empty = (hole > 0.02) | (stay > 0.05)
    usable = ~empty & (view.part("background") > 0.9)
    near = usable & (blurred(hair, 0.35 * unit) > 0.03) & (view.frame[1] < 0.4)
    if near.sum() < 0.3 * unit**2:
        raise Failure("too little of the ground behind the head is seen")
    if np.sqrt(blurred(to_oklab(view.pixels), 0.05 * unit)[near].var(0).sum()) > BUSY:
        raise Failure("the ground behind the hair is too busy to be guessed")
    filled = fill(np.ascontiguousarray(255 * view.pixels, np.float32), empty, usable)
    return (filled / 255).clip(0, 1)


def _head(view: View, skull: Skull, skin: Floats) -> Floats:
    """The skull's skin without pores, [h, w, 3]: the forehead's carried up, darker towards its
    sides as the head turns away, with a soft highlight on the side of the light."""
    unit = view.eye_distance
    x, y = view.frame
    x = x - np.float32(skull.middle)
    lab = to_oklab(view.pixels)
    coarse = weighted_mean(lab, skin, 0.06 * unit)
    known = (skin > 0.8) & (y < 0.2)
    carried = membrane(np.where(known[..., None], coarse, 0).astype(np.float32), ~known)
    carried = blurred(carried, 0.05 * unit)
    forehead = skin * (y < -0.25)
    total = forehead.sum() + 1e-6
    mean = (lab * forehead[..., None]).sum((0, 1)) / total
    # Uneven light is carried up, and the darkness at the hairline is not.
    carried += 0.5 * (mean - carried) * smoothstep(-y, 0.6, 1.2)[..., None]
    radius = np.hypot(x / skull.half, (-0.2 - y).clip(0) / skull.high).clip(0, 1)
    made = carried * (1 - 0.2 * smoothstep(-y, 0.35, 0.8) * radius**5)[..., None]
    slope = ((lab[..., 0] - mean[0]) * x * forehead).sum() / ((x * x * forehead).sum() + 1e-6)
    light = float(np.clip(2.5 * slope, -0.45, 0.45))
    made[..., 0] += 0.05 * np.exp(-(((x - light) / 0.5) ** 2) - ((y + 0.95) / 0.26) ** 2)
    return from_oklab(made.astype(np.float32)).clip(0, 1)


def _with_pores(
    view: View, pixels: Floats, where: Floats, bare: Floats, rng: np.random.Generator
) -> Floats:
    """Painted skin, where it is, as fine as the photo's that is `bare`."""
    if view.eye_distance > PORES:
        return with_detail(view, pixels, where, bare, 1.2 * view.eye_distance / FINE, rng)
    noise = blurred(rng.standard_normal((*where.shape, 1), np.float32), 0.7)
    noise *= (1.2 * grain(view.pixels.mean(2), bare) + 0.004) / noise.std()
    return pixels + where[..., None] * noise
