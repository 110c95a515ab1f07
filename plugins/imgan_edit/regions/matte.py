"""Hair strand by strand: how much of each pixel is hair, and what colour the hair in it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import (
    Floats,
    blurred,
    grown,
    guided,
    opened,
    resized,
    smoothstep,
    weighted_mean,
)
from imgan.images.oklab import to_oklab
from imgan_edit.regions.view import View

FINE = 96.0
"""Distance of the eyes, in pixels, at which mattes are computed at most."""

SCATTER = 4.0
"""How much more they have to be apart when hair, or what is behind it, has many colours: in
variances along the line between them, as in Fisher's ratio."""

BORDER = 0.6
"""The part of a mixed pixel's difference from the hair nearby that is taken for the hair's."""

FRINGE = 0.12
"""How far beyond the parser's border strands may reach, in distances of the eyes."""

TELL = 0.07
"""Colours of hair and of what is behind it that are so far apart (in 0..1) tell them apart by
half; where they are more alike, the parser decides."""

EDGE = (0.35, 0.95)
"""Where the guided filter has the border: within it. Hair that keeps its colour along its outline
looks like shade; a wall that takes the hair's does not."""

HUE, OTHER = 0.015, (2.8, 4.5)
"""The least deviation of Oklab's a and b in hair, and how many deviations are another colour."""

KEPT = (
    "left_eye", "right_eye", "left_brow", "right_brow", "nose", "mouth", "glasses", "hat", "earring"
)  # fmt: skip
"""What is no hair, however much it looks like it."""

LEAST = 0.02
"""Share of the face's own square that has to be hair."""


@dataclass(frozen=True, eq=False)
class Matte:
    """A pixel's colour is `alpha` of hair and the rest of `behind`, as in Porter and Duff 1984."""

    alpha: Floats
    """[h, w] in 0..1, at the view's size."""
    hair: Floats
    """[h, w, 3] sRGB: the pixel as if it were hair all through."""


def hair_matte(view: View) -> Matte:
    """The hair of a view. Raises Failure where there is next to none.

    Near the parser's border a pixel is taken for a mixture of two colours, the mean of the hair
    nearby and that of what is not hair nearby: where it lies between them is alpha, and what it
    has of the second is taken out of it, as in sampling-based matting (Gastal and Oliveira 2010).
    Where the two are alike, a guided filter lays the parser's border along the photo's edges.
    """
    small = view.at(FINE)
    unit = small.eye_distance
    cap = dark_cap(small)
    prior = small.part("hair", "hat") if cap else small.part("hair")
    if prior.sum() < LEAST * (2 * unit) ** 2:
        raise Failure("there is no hair to colour in this face, or too little")
    never = small.part(*(name for name in KEPT if not (cap and name == "hat")))
    face = small.part("skin", "nose", "left_ear", "right_ear", "neck") * (1 - prior)
    # A hairline is no border: hair grows thicker from it on.
    by_skin = smoothstep(blurred(face, 0.12 * unit), 0.03, 0.3)
    edge, deep = (opened(prior, radius * unit) for radius in (0.06, 0.13))
    inside: Floats = edge + by_skin * (deep - edge)
    beyond: Floats = 1 - grown(prior, FRINGE * unit)
    outside = np.maximum(beyond, opened(face, 0.05 * unit))
    fore = weighted_mean(small.pixels, inside, 0.16 * unit)
    back = weighted_mean(small.pixels, outside, 0.12 * unit)
    scatter: Floats = _along(small.pixels, fore, back, inside) + _along(
        small.pixels, back, fore, outside
    )
    height, width = view.shape
    fore, back, scatter, inside, beyond, never, near, thick = (
        resized(plane, height, width)
        for plane in (
            fore,
            back,
            scatter,
            inside,
            beyond,
            never,
            # Far outside it needs more than a likeness of colours.
            smoothstep(blurred(prior, 0.06 * unit), 0.02, 0.5),
            1 - by_skin * (1 - smoothstep(blurred(prior, 0.1 * unit), 0.35, 1)),
        )
    )
    edged = guided(small.pixels, prior, max(1, round(0.05 * unit)), 2e-3, view.pixels)
    edged = smoothstep(edged, *EDGE) * thick
    apart = back - fore
    power = (apart**2).sum(2)
    told = power / (power + TELL**2 + SCATTER * scatter)
    # How much of the way from the hair to what is behind it.
    lost = (((view.pixels - fore) * apart).sum(2) / (power + 1e-4)).clip(0, 1)
    lost *= told * (1 - inside)
    mixed = told * (1 - smoothstep(lost, 0.05, 0.95)) * near + (1 - told) * edged
    alpha = np.maximum(mixed, inside) * (1 - beyond) * (1 - never)
    alpha[alpha < 0.01] = 0
    there = alpha > 0
    alpha[there] *= _alike(to_oklab(view.pixels[there]), to_oklab(small.pixels), edge)
    hair = view.pixels - lost[..., None] * apart
    hair = fore + (inside + BORDER * (1 - inside))[..., None] * (hair - fore)
    return Matte(alpha.astype(np.float32), hair.clip(0, 1))


def dark_cap(view: View) -> bool:
    """Whether what the parser takes for a hat is hair: of its colours, and less than there is hair.
    It mistakes the dark top of a head."""
    hair, hat = view.part("hair"), view.part("hat")
    there = hat > 0.5
    if there.sum() < 20 or hat.sum() > hair.sum():
        return False
    lab = to_oklab(view.pixels)
    return float(_alike(lab[there], lab, hair).mean()) > 0.8


def own_hair(view: View) -> Floats:
    """The parser's hair [h, w] without what has another colour."""
    hair = view.part("hair", "hat") if dark_cap(view.at(FINE)) else view.part("hair").copy()
    lab, there = to_oklab(view.pixels), hair > 0.02
    hair[there] *= _alike(lab[there], lab, hair)
    return hair


def _alike(lab: Floats, small: Floats, weights: Floats) -> Floats:
    """How far colours [n, 3] may be the hair's, 0..1: Oklab of [h, w, 3] where it is surely hair. A
    band, a flower or a leaf in the hair has another hue, and a wall seen through it is lighter."""
    sure = weights > 0.7
    if sure.sum() < 50:
        return np.ones(len(lab), np.float32)
    hair = small[sure]
    lightest = float(np.quantile(hair[:, 0], 0.98))
    light = 1 - smoothstep(lab[:, 0], lightest + 0.06, lightest + 0.2)
    hues = hair[:, 1:]
    # Without the fifth that differs most: that may be such a band.
    apart = np.abs(hues - np.median(hues, 0)).sum(1)
    hues = hues[apart <= np.quantile(apart, 0.8)]
    spread = np.linalg.inv(np.cov(hues.T) + HUE**2 * np.eye(2))
    off = lab[:, 1:] - hues.mean(0)
    distance = np.sqrt(np.einsum("ni,ij,nj->n", off, spread, off))
    return light * (1 - smoothstep(distance, *OTHER))


def _along(pixels: Floats, mean: Floats, other: Floats, weights: Floats) -> Floats:
    """How much the colours around a mean vary towards another, as a variance [h, w]."""
    apart = other - mean
    way = ((pixels - mean) * apart).sum(2) ** 2 / ((apart**2).sum(2) + 1e-4)
    return weighted_mean(way, weights, 0.16 * FINE)
