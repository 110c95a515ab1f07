"""Hair strand by strand: how much of each pixel is hair, and what colour the hair in it has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import (
    Floats,
    blurred,
    guided,
    resized,
    smoothstep,
    weighted_mean,
)
from imgan.images.oklab import to_oklab
from imgan_edit.regions.clusters import share_of
from imgan_edit.regions.matting import alpha_matte, layers
from imgan_edit.regions.view import View, bounds

COARSE, AROUND = 16.0, 0.6
"""Distance of the eyes, in pixels, at which hair is looked for; and how much around it and the face
is looked at, in distances of the eyes."""

NO_HAIR = "there is no hair to colour in this face, or too little"

FINE = 56.0
"""Distance of the eyes, in pixels, at which mattes are solved at most."""

INSIDE, BEYOND = 0.08, 0.14
"""How far within the parser's border it is surely hair, and how far beyond it surely none, in
distances of the eyes: what is between is unknown."""

SPREAD = 0.03
"""The least deviation, in Oklab, of the colours of hair and of what is behind it."""

TELL = 0.12
"""Colours of hair and ground, in Oklab, that are so far apart tell them apart by half."""

SURE, GUESS = 10.0, 0.04
"""How much the trimap counts against the Laplacian, and how much the colours and the parser do
where it is unknown."""

FLOOR = 0.04
"""What is less than this part of a pixel is no hair, and so much less than all is all of it."""

HUE, OTHER = 0.015, (2.8, 4.5)
"""The least deviation of Oklab's a and b in hair, and how many deviations are another colour."""

WIDEST = 0.115
"""How wide the border may be in which a pixel is partly hair, in distances of the eyes."""

HUES = 0.035
"""The deviation of a and b in hair that has several colours."""

ALIKE, CONFUSED = 3.0, 0.45
"""How near to the hair's colours, squared and in their variance, what is around it looks like hair;
and which part of it may."""

VOTED = 0.5
"""How far around hair, in distances of the eyes, colours are clustered."""

NOT_HAIR, HAIR = (0.05, 0.2), (0.35, 0.6)
"""Of what has a pixel's colour so much is hair, where the pixel is none, and where it surely is."""

DEEP = 0.1
"""How far around a pixel all has to be the parser's hair for it to be deep in it, in distances of
the eyes."""

RIM = 0.05
"""How far beyond its edge hair may reach that is seen by its colour alone, in distances of the
eyes."""

ON_THE_WAY, OFF_IT = (0.35, 0.8), 0.06
"""How far on the way from the ground's colour to the hair's a pixel of that rim becomes hair, and
the deviation from that way, in Oklab."""

HALO, HUE_TELLS, HUE_OFF = 0.1, 0.03, 0.02
"""How far from the hair its hue is looked for, in distances of the eyes; hues so far apart in Oklab
tell hair and ground apart by half; and the deviation from the way between them."""

VEIL = 0.12, 0.4
"""Skin that looks as if it were hair by less than this is skin."""

BLUR = 0.082
"""How wide the parser's own border may be on the average, in distances of the eyes: where it is
wider, hair is often found that is none, or missed."""

MIXED = 0.3
"""The part of the hair that may have colours of what is no hair."""

BARE = "skin", "nose", "left_ear", "right_ear", "neck"
"""What of a person is not the ground behind the hair."""

BEHIND = 1.5, 4.0, 0.005
"""What is nearer to the ground's colours than the first and farther from the hair's than the
second, squared and in their variance, is ground; and so much of the hair may be that."""

LOST = 0.04, 0.05
"""Of what the parser takes for hair, in parts of the hair, so much may not be found to be hair:
well within its border, and in pieces."""

FEATURES = (
    "left_eye", "right_eye", "left_brow", "right_brow", "nose", "mouth", "glasses", "hat", "earring"
)  # fmt: skip
"""What is no hair, however much it looks like it."""

LEAST = 0.02
"""Share of the face's own square that has to be hair."""


class Matte(NamedTuple):
    """A pixel's colour is `alpha` of hair and the rest of what is behind (Porter and Duff 1984)."""

    alpha: Floats
    """[h, w] in 0..1, at the view's size."""
    hair: Floats
    """[h, w, 3] sRGB: the pixel as if it were hair all through."""


def hair_matte(view: View) -> Matte:
    """The hair of a view, and its colours without what is behind it (blur fusion, on a small copy).
    Raises what `hair_alpha` does."""
    alpha, small = hair_alpha(view), view.at(FINE)
    unit = small.eye_distance
    fore, back = layers(small.pixels, _solved(small), (0.25 * unit, 0.06 * unit))
    if small is not view:
        fore, back = (resized(layer, *view.shape) for layer in (fore, back))
    share = alpha[..., None]
    rest = view.pixels - share * fore - (1 - share) * back
    return Matte(alpha, (fore + share * rest).clip(0, 1))


def hair_box(view: View) -> tuple[slice, slice]:
    """Rows and columns of a view that hold its hair, its face and what is `AROUND` them. Raises
    Failure where there is no hair."""
    small = view.at(COARSE)
    there = small.part("hair", "hat") > 0.05
    if not there.any():
        raise Failure(NO_HAIR)
    there |= small.part("skin", "nose") > 0.5
    margin = AROUND * small.eye_distance
    place = []
    for axis, side in enumerate(bounds(there)):
        points = small.points[:, 1 - axis]
        low, high = min(side.start, points.min()) - margin, max(side.stop, points.max()) + margin
        scale = view.shape[axis] / small.shape[axis]
        place.append(slice(max(0, int(low * scale)), min(view.shape[axis], int(high * scale) + 1)))
    return place[0], place[1]


def check_hair(view: View) -> None:
    """Raises Failure for hair that cannot be told well from what is around it, or has no one
    colour."""
    small = view.at(FINE)
    unit = small.eye_distance
    hair, share = small.part("hair"), _share(small)
    if hair.sum() >= LEAST * (2 * unit) ** 2:
        down, across = np.gradient(blurred(hair, 0.04 * unit))
        if (4 * hair * (1 - hair)).sum() > BLUR * unit * np.hypot(down, across).sum():
            raise Failure("where this hair ends is not sure: it is soft, thin, covered or cut off")
        if (hair * (1 - share)).sum() > MIXED * hair.sum():
            raise Failure(
                "this hair looks so much like what is around it that its edge is not found"
            )
    alpha = _solved(small)
    lab = to_oklab(small.pixels)
    hues = lab[alpha > 0.95][:, 1:]
    if len(hues) and np.sqrt(((hues - np.median(hues, 0)) ** 2).sum(1).mean()) > HUES:
        raise Failure("this hair has several colours: it would become blotchy")
    down, across = np.gradient(blurred(alpha, 0.04 * unit))
    if (4 * alpha * (1 - alpha)).sum() > WIDEST * unit * np.hypot(down, across).sum():
        raise Failure("the edge of this hair is not found: it is soft, thin, curly or covered")
    own, _ = _parsed(small)  # a ribbon is not missed
    missed = own * (1 - alpha)
    deep = (smoothstep(blurred(own, 0.06 * unit), 0.7, 0.9) * (1 - alpha)).sum()
    pieces = (blurred(missed, 0.04 * unit) > 0.5).sum()
    if deep > LOST[0] * alpha.sum() or pieces > LOST[1] * alpha.sum():
        raise Failure("parts of this hair are not found: they would keep their colour")
    ground = (1 - smoothstep(alpha, 0.0, 0.1)) * (1 - small.part(*BARE))
    like_ground, _ = _distance(lab, ground, 0.15 * unit)
    like_hair, _ = _distance(lab, (alpha > 0.9).astype(np.float32), 0.3 * unit)
    behind = smoothstep(blurred(ground, 0.15 * unit), 0.02, 0.1)
    behind = alpha * behind * (like_ground < BEHIND[0]) * (like_hair > BEHIND[1])
    if behind.sum() > BEHIND[2] * alpha.sum():
        raise Failure("what is behind this hair shows through it")
    around = smoothstep(blurred(alpha, 0.12 * unit), 0.02, 0.1) * (alpha < 0.1)
    if (around * (like_hair < ALIKE)).sum() > CONFUSED * around.sum():
        raise Failure("this hair looks so much like what is around it that its edge is not found")


def hair_alpha(view: View) -> Floats:
    """How much of each pixel is hair, [h, w] in 0..1. Raises Failure where there is next to none.

    On a small copy the parser's hair becomes a trimap, and the band between is solved by the
    matting Laplacian. In each window alpha is then an affine function of the colours, which carries
    it to the photo's own pixels.
    """
    small = view.at(FINE)
    alpha = _solved(small)
    if small is view:
        return alpha
    key = "carried", *view.shape
    if key not in view.mattes:
        carried = guided(small.pixels, alpha, 2, 1e-4, view.pixels)
        view.mattes[key] = _decided(carried)
    return view.mattes[key]


def _solved(view: View) -> Floats:
    """The same for the small copy itself."""
    key = "solved", *view.shape
    if key not in view.mattes:
        hair, never = _parsed(view)
        if hair.sum() < LEAST * (2 * view.eye_distance) ** 2:
            raise Failure(NO_HAIR)
        sure, outside, guess, trust = _trimap(view, hair, never)
        known = np.maximum(sure, outside)
        wanted = np.where(known > 0.05, sure > outside, guess).astype(np.float32)
        weights = np.where(known > 0.05, SURE * known, trust).astype(np.float32)
        alpha = _decided(alpha_matte(view.pixels, wanted, weights))
        skin = smoothstep(view.part("skin", "nose"), 0.2, 0.7)
        alpha = alpha * (1 - skin * (1 - smoothstep(alpha, *VEIL)))
        view.mattes[key] = np.maximum(alpha, _rim(view, alpha) * (1 - never))
    return view.mattes[key]


def _rim(view: View, alpha: Floats) -> Floats:
    """What is hair by its colour just beyond the edge of the hair found so far, [h, w] in 0..1: it
    lies on the way from the colour of the ground nearby to that of the hair (as in Gastal and
    Oliveira 2010), and would keep the old colour as a rim."""
    unit, lab = view.eye_distance, to_oklab(view.pixels)
    near = smoothstep(blurred(alpha, RIM * unit), 0.05, 0.3)
    sure = smoothstep(alpha, 0.9, 1.0)
    bare = 1 - smoothstep(blurred(alpha, 1.5 * RIM * unit), 0.0, 0.05)
    ground = weighted_mean(lab, bare, 0.12 * unit)
    apart = weighted_mean(lab, sure, 0.12 * unit) - ground
    power = (apart**2).sum(2) + np.float32(1e-5)
    way = ((lab - ground) * apart).sum(2) / power
    off = ((lab - ground - way[..., None] * apart) ** 2).sum(2)
    told = power / (power + TELL**2) * np.exp(-off / (2 * OFF_IT**2))
    return near * told * smoothstep(way, *ON_THE_WAY)


def hue_beyond(view: View) -> Floats:
    """Which part of the hue that hair adds to the ground's a pixel has beyond what is known to be
    hair, [h, w] in 0..1: of a small copy, around the hair and off the person."""
    unit, alpha, hues = view.eye_distance, _solved(view), to_oklab(view.pixels)[..., 1:]
    person = smoothstep(blurred(view.part(*BARE, *FEATURES, "cloth"), 0.02 * unit), 0.1, 0.4)
    near = smoothstep(blurred(alpha, HALO * unit), 0.01, 0.1) * (1 - person)
    bare = (1 - smoothstep(blurred(alpha, 1.5 * HALO * unit), 0.0, 0.05)) * (1 - person)
    ground = weighted_mean(hues, bare, 0.2 * unit)
    way = weighted_mean(hues, smoothstep(alpha, 0.9, 1.0), 0.15 * unit) - ground
    power = (way**2).sum(2) + np.float32(1e-5)
    share = ((hues - ground) * way).sum(2) / power
    off = ((hues - ground - share[..., None] * way) ** 2).sum(2)
    told = power / (power + HUE_TELLS**2) * np.exp(-off / (2 * HUE_OFF**2))
    return near * told * (smoothstep(share, 0.05, 0.6) - alpha).clip(0)


def _decided(alpha: Floats) -> Floats:
    return ((alpha - FLOOR) / (1 - 2 * FLOOR)).clip(0, 1).astype(np.float32)


def _share(view: View) -> Floats:
    """Which part of what has a pixel's colour thereabouts the parser takes for hair, [h, w]."""
    key = "share", *view.shape
    if key not in view.mattes:
        hair = view.part("hair", "hat") if dark_cap(view) else view.part("hair")
        near = blurred(hair, VOTED * view.eye_distance) > 0.02
        view.mattes[key] = share_of(hair, view, near & (view.part(*FEATURES) < 0.3))
    return view.mattes[key]


def _parsed(view: View) -> tuple[Floats, Floats]:
    """The parser's hair [h, w], without what has another colour, and what is never hair."""
    cap = dark_cap(view)
    hair = view.part("hair", "hat") if cap else view.part("hair").copy()
    never = view.part(*(name for name in FEATURES if not (cap and name == "hat")))
    there = hair > 0.02
    unlike = np.zeros_like(hair)
    lab = to_oklab(view.pixels)
    unlike[there] = 1 - _alike(lab[there], lab, hair)
    # A ribbon or a flower, but not a lone strand.
    unlike = smoothstep(blurred(unlike, 0.03 * view.eye_distance), 0.45, 0.7)
    return hair * (1 - unlike), np.maximum(never, unlike)


def _trimap(view: View, hair: Floats, never: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Where it is surely hair, surely none, how likely elsewhere, [h, w] in 0..1 each, and how much
    that counts."""
    unit = view.eye_distance
    lab = to_oklab(view.pixels)
    face = view.part(*BARE)
    bare = smoothstep(blurred(face * (1 - hair), 0.05 * unit), 0.85, 0.97)
    share = blurred(_share(view), 0.02 * unit)
    # What has another colour deep in the hair, and is small, is a highlight.
    deep = smoothstep(blurred(hair, DEEP * unit), 0.9, 0.98)
    share = np.maximum(share, deep * smoothstep(blurred(share, DEEP * unit), 0.3, 0.6))
    sure = smoothstep(blurred(hair, INSIDE * unit), 0.85, 0.97) * (1 - never)
    sure *= smoothstep(share, *HAIR)
    far = 1 - smoothstep(blurred(hair, BEYOND * unit), 0.0, 0.08)
    outside = np.maximum(far, bare)
    like_hair, spread = _distance(lab, sure, 0.3 * unit)
    like_rest, other = _distance(lab, outside, 0.2 * unit)
    never = np.maximum(never, 1 - smoothstep(share, *NOT_HAIR))
    outside = np.maximum(outside, never * (1 - sure))
    odds = (like_rest - like_hair) / 2 + 0.75 * np.log(other / spread)
    likely = 1 / (1 + np.exp(-odds.clip(-20, 20)))
    # Ears are so small that none of them is far from the parser's border.
    ears = smoothstep(view.part("left_ear", "right_ear"), 0.5, 0.9)
    outside = np.maximum(outside, ears * (1 - smoothstep(likely, 0.3, 0.7)))
    by_parser = smoothstep(blurred(hair, 0.08 * unit), 0.25, 0.8)
    # Between curls the ground shines through: there the pixel's place on the way from the hair's
    # colour to the ground's tells, if these are far apart (Gastal and Oliveira 2010).
    ground = outside * (1 - face)
    through = smoothstep(blurred(ground, 0.3 * unit), 0.02, 0.15) * (1 - smoothstep(face, 0.2, 0.5))
    through *= 1 - deep
    fore = weighted_mean(lab, sure * (1 - 0.99 * through), 0.25 * unit)
    apart = weighted_mean(lab, ground, 0.15 * unit) - fore
    power = (apart**2).sum(2)
    lost = smoothstep(((lab - fore) * apart).sum(2) / (power + 1e-5), 0.15, 0.85)
    through *= power / (power + TELL**2 + 3 * spread)
    sure = sure * (1 - smoothstep(through * lost, 0.05, 0.3))
    # Light differs from side to side: what is hair here, by place and colour, is believed to be so.
    known = smoothstep(share, *HAIR) * smoothstep(blurred(hair, 0.03 * unit), 0.5, 0.9)
    guess = by_parser * np.maximum(likely, known)
    guess += through * (by_parser * (1 - lost) - guess)
    return sure, outside, guess, GUESS * (1 + 20 * through**2)


def _distance(lab: Floats, weights: Floats, sigma: float) -> tuple[Floats, Floats]:
    """How far each colour is from the mean of those nearby that count, squared and in their
    variance, and that variance: [h, w] each."""
    mean = weighted_mean(lab, weights, sigma)
    off = ((lab - mean) ** 2).sum(2)
    variance = weighted_mean(off, weights, sigma) + SPREAD**2
    return off / variance, variance


def dark_cap(view: View) -> bool:
    """Whether what the parser takes for a hat is hair: of its colours, and less than there is hair.
    It mistakes the dark top of a head."""
    hair, hat = view.part("hair"), view.part("hat")
    there = hat > 0.3
    if hat.sum() > hair.sum():
        return False
    if there.sum() < 20:
        return True
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
