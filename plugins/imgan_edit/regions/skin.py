"""The tone of the skin."""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, guided, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.matte import hair_alpha
from imgan_edit.regions.view import Change, View

FINE = 96.0
"""Distance of the eyes, in pixels, at which the skin's borders are found at most."""

BARE = ("skin", "nose", "left_ear", "right_ear", "neck")

PALE, TAN = 0.075, -0.12
"""How much lighter, as a part of Oklab's lightness, skin becomes."""


def skin_matte(view: View) -> Floats:
    """How much of each pixel is bare skin, [h, w] in 0..1: the parser's, along the photo's edges,
    and no hair."""
    small = view.at(FINE)
    prior = small.part(*BARE)
    radius = max(1, round(0.06 * small.eye_distance))
    skin = smoothstep(guided(small.pixels, prior, radius, 1e-3, view.pixels), 0.1, 0.9)
    try:
        hair = hair_alpha(view)
    except Failure:
        return skin
    return skin * (1 - hair)


def pale_skin(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Skin that no sun has seen: lighter, with less and rosier colour."""
    return _toned(view, amount * PALE, 1 - 0.18 * amount, 0.18 * amount)


def tanned_skin(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Skin after a summer: darker but for its gloss, and of a warmer colour."""
    return _toned(view, amount * TAN, 1 + 0.06 * amount, -0.1 * amount)


def _toned(view: View, lighter: float, chroma: float, rosier: float) -> Change:
    """Skin whose albedo changed: a factor on lightness keeps light and shade and pores as they
    were. `rosier` is the part of yellow that goes to red."""
    where = skin_matte(view)
    there = where > 0
    lab = to_oklab(view.pixels[there])
    gloss = smoothstep(lab[:, 0], 0.85, 1.0)
    lab[:, 0] = 1 - _shoulder(1 - lab[:, 0] * (1 + lighter * (1 - 0.7 * gloss)))
    lab[:, 1:] *= chroma
    lab[:, 2] *= 1 - rosier
    pixels = view.pixels.copy()
    pixels[there] = from_oklab(lab)
    return Change(pixels, where)


def _shoulder(darkness: Floats, knee: float = 0.12) -> Floats:
    """What is darker than `knee` stays; what is lighter than that approaches white and never
    reaches it."""
    return np.where(darkness > knee, darkness, knee * np.exp(np.minimum(darkness - knee, 0) / knee))
