"""What makes a face a man's or a woman's, hair apart: jaw, brows, lips, lids, and the shadow of a
beard.

Lengths are in distances of the eyes, along the face's axes.
"""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, mean_of, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.brows import lift
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import pushed
from imgan_edit.regions.zones import Zone

FINE = 96.0
"""Distance of the eyes, in pixels, at which fields are made at most."""

MOST_TURNED = 28.0

BEARD = 0.12
"""Skin that is darker than the cheeks by more than this part of Oklab's lightness has a beard."""

PAINTED = 0.19
"""Lips that are darker than the skin by more than this, in Oklab's lightness, are painted."""

OPEN = 0.012
"""How much of teeth and tongue is seen in an open mouth, in squared distances of the eyes."""


def softer_form(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A narrower jaw, larger eyes, fuller lips, thinner and arched brows. Raises Failure for a head
    that is turned far."""
    return _formed(view, amount, jaw=-0.095, eyes=0.07, lips=0.2, brows=-0.34, arch=0.045)


def stronger_form(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A broader jaw, smaller eyes, thinner lips, thicker and lower brows. As `softer_form`."""
    return _formed(view, amount, jaw=0.085, eyes=-0.06, lips=-0.22, brows=0.22, arch=-0.03)


def _formed(
    view: View, amount: float, jaw: float, eyes: float, lips: float, brows: float, arch: float
) -> Change:
    """Each by how much broader or larger it becomes, and `arch` by how much higher."""
    frontal(view, MOST_TURNED, "another form of the face")
    small = view.at(FINE)
    x, y = small.frame
    mouth = small.placed(small.points[3:]).mean(0)
    # The middle line leans with a head that is turned.
    off = x - mouth[0] * (y / mouth[1]).clip(0, 1.4)
    low = smoothstep(y, 0.35, 1.05) * (1 - smoothstep(y, 1.55, 2.1))
    beside = np.abs(off)
    # Most at the jaw's edge, none in the middle nor far beside the face.
    across = off * smoothstep(beside, 0.1, 0.6) * (1 - smoothstep(beside, 0.8, 1.7))
    dx = -jaw * across * low
    dy = np.zeros_like(dx)
    for side in (-1, 1):
        ex, ey = x - 0.5 * side, y
        near = np.exp(-((ex / 0.3) ** 2) - (ey / 0.2) ** 2)
        dx -= eyes * ex * near
        dy -= eyes * 1.3 * ey * near
    if small.part("mouth").sum() > OPEN * small.eye_distance**2:
        lips *= 0.3  # else the teeth would grow, too
    under = y - mouth[1]
    reach = np.exp(-((under / 0.2) ** 2) - ((x - mouth[0]) / 0.42) ** 4)
    dy -= lips * under * reach
    if small.part("glasses").sum() < 0.05 * small.eye_distance**2:
        dy += lift(small, arch, brows)
    dx, dy = (blurred((min(amount, 1.5) * d).astype(np.float32), 2.0) for d in (dx, dy))
    return pushed(view, small, dx, dy)


def without_shadow(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The shadow of a shaven beard lifted to the colour of the cheeks. Raises Failure for a beard,
    which is not shaven by that."""
    small = view.at(FINE)
    unit = small.eye_distance
    x, y = small.frame
    skin = small.part("skin") * (1 - blurred(small.part("hair"), 0.04 * unit))
    zone = np.maximum(Zone(soft=0.25).beard(x, y), Zone(1.15, soft=0.1).mustache(x, y))
    lab = to_oklab(small.pixels)
    calm = skin * (1 - zone) * smoothstep(y, 0.15, 0.35) * (np.abs(x) < 0.95)
    if calm.sum() < 0.05 * unit**2:
        raise Failure("too little of the cheeks is seen")
    cheeks = mean_of(lab, calm)
    chin = skin * Zone(0.9, soft=0.1).goatee(x, y)
    darker = cheeks[0] - lab[..., 0]
    lip = skin * Zone(1.0, soft=0.1).mustache(x, y) * (lab[..., 1] < cheeks[1] + 0.02)
    much = max(float((darker * z).sum() / (z.sum() + 1)) for z in (chin, lip)) / float(cheeks[0])
    if much > BEARD:
        raise Failure("a beard, or a face in the dark, does not become a woman's")
    # Between pores and the face's form; hue and chroma go all the way, light only part of it.
    coarse = weighted_mean(lab, skin, 0.05 * unit)
    change: Floats = (cheeks - coarse) * np.array([0.35, 0.55, 0.55], np.float32)
    change[..., 0] = change[..., 0].clip(0, 0.07)
    change[..., 1:] = change[..., 1:].clip(-0.03, 0.03)
    change *= (zone * blurred(skin, 0.02 * unit))[..., None] * min(amount, 1.0)
    change = resized(change.astype(np.float32), *view.shape)
    there = np.abs(change).max(2) > 1e-4
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(to_oklab(view.pixels[there]) + change[there])
    return Change(pixels, there.astype(np.float32))


def plain_lips(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Lips with less colour, nearer to that of the skin. Raises Failure for dark paint."""
    small = view.at(FINE)
    unit = small.eye_distance
    lips, skin = small.part("upper_lip", "lower_lip"), small.part("skin", "nose")
    if lips.sum() < 0.02 * unit**2:
        raise Failure("the lips are hidden")
    lab = to_oklab(small.pixels)
    bare, own = mean_of(lab, skin), mean_of(lab, lips)
    if own[0] < bare[0] - PAINTED:
        raise Failure("painted lips do not become a man's")
    change = 0.6 * min(amount, 1.2) * (bare - own)
    change[0] = np.clip(change[0], -0.02, 0.045)
    where = resized(blurred(lips, 0.012 * unit), *view.shape)
    there = where > 0.004
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(
        to_oklab(view.pixels[there]) + where[there][:, None] * change.astype(np.float32)
    )
    return Change(pixels, there.astype(np.float32))
