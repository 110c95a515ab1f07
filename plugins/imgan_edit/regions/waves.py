"""Wavy hair, of the photo's own pixels: locks moved to and fro across the way they hang, and lit as
waves are.

Lengths are in distances of the eyes, along the face's axes.
"""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, sampled, smoothstep, warped
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.matte import hair_alpha
from imgan_edit.regions.tracks import Hair
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import at_full_size

FINE = 64.0
"""Distance of the eyes, in pixels, at which waves are made at most."""

LENGTH = 1.15
"""From one crest of a wave to the next."""

LOCK = 0.36
"""How wide a lock is."""

SWING = 0.085
"""How far locks swing to each side at their tips."""

SHINE = 0.14
"""How much lighter crests are, and darker the hollows, as a part of Oklab's lightness."""

DARK = 0.15
"""Black hair shines, too: lightness that all hair has for this purpose."""

LONG = 0.8
"""Hair that hangs beside or below the face, in squared distances of the eyes, at least."""

STRAIGHT = 0.8
"""How far strands agree on hanging down; in curls they do less."""


def add_waves(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Hair that hangs in waves, which grow from the brows down. Raises Failure for hair that is
    short or curly, and for a head that is turned far."""
    frontal(view, 40, "wavy hair")
    alpha = hair_alpha(view)
    small = view.at(FINE)
    unit = small.eye_distance
    x, y = small.frame
    matte = resized(alpha, *small.shape)
    hanging = matte * smoothstep(y, -0.2, 0.3) * (small.part("skin") < 0.5)
    if hanging.sum() < LONG * unit**2:
        raise Failure("the hair is too short to hang in waves")
    lean, agreed = _lean(small, matte)
    sure = hanging * agreed
    if sure.sum() < STRAIGHT * hanging.sum():
        raise Failure("the hair is wavy, or curly, already")
    phase = _phase(x - lean * y, y, rng)
    # From nothing at the crown to all at the tips, and only within the hair.
    grow = smoothstep(y, -0.75, 0.9)
    face = small.part("skin", "nose", "left_ear", "right_ear", "neck", "cloth", "hat", "earring")
    near = smoothstep(blurred(matte, 0.07 * unit), 0.1, 0.75)
    near *= 1 - smoothstep(blurred(face * (1 - matte), 0.09 * unit), 0.03, 0.3)
    swing = min(amount, 1.5) * SWING * grow * near
    # Across the way they hang.
    steep = np.sqrt(1 + lean**2)
    right, down = swing * np.sin(phase) / steep, -lean * swing * np.sin(phase) / steep
    dx, dy = at_full_size(view, small, *(blurred(p.astype(np.float32), 1.0) for p in (right, down)))
    still = np.hypot(dx, dy) < 0.02
    dx, dy = np.where(still, 0, dx), np.where(still, 0, dy)
    pixels = warped(view.pixels, dx, dy)
    moved = warped(alpha[..., None], dx, dy)[..., 0]
    # A lock is lit where it turns to the light.
    light = resized((grow * near * np.cos(phase - 0.6)).astype(np.float32), *view.shape) * moved
    there = np.abs(light) > 0.004
    lab = to_oklab(pixels[there])
    factor = 1 + min(amount, 1.5) * SHINE * light[there]
    lab[:, 0] = (lab[:, 0] * factor + DARK * (factor - 1)).clip(0, 1)
    pixels[there] = from_oklab(lab)
    return Change(pixels.clip(0, 1), (there | ~still).astype(np.float32))


def _lean(view: View, matte: Floats) -> tuple[Floats, Floats]:
    """How far to the right strands hang for each step down, [h, w], and how far they agree on
    hanging, 0..1."""
    unit = view.eye_distance
    flow = Hair.of(view, matte).flow
    weight = matte[..., None]
    mean = blurred(flow * weight, 0.16 * unit) / (blurred(weight, 0.16 * unit) + 0.02)
    angle = np.arctan2(mean[..., 1], mean[..., 0]) / 2 - np.radians(view.roll)
    # Strands have no direction: the one that leads down.
    down = np.abs(np.sin(angle))
    lean = np.cos(angle) * np.sign(np.sin(angle)) / down.clip(0.5)
    strong = smoothstep(np.hypot(mean[..., 0], mean[..., 1]), 0.1, 0.35)
    return blurred((lean * strong).astype(np.float32), 0.2 * unit), strong * smoothstep(
        down, 0.5, 0.8
    )


def _phase(across: Floats, down: Floats, rng: np.random.Generator) -> Floats:
    """Of the waves, in radians: each lock begins elsewhere, and is a little longer or shorter."""
    # 64 locks from side to side, which change on their way down.
    noise = blurred(rng.standard_normal((64, 12, 2)).astype(np.float32), 0.8)
    noise /= noise.std()
    column, row = across / LOCK + 32, 2 * (down + 2)
    begin, longer = np.moveaxis(
        sampled(noise, row.ravel(), column.ravel()).reshape(*down.shape, 2), 2, 0
    )
    return 2 * np.pi * down / (LENGTH * (1 + 0.12 * longer)) + 2.0 * begin
