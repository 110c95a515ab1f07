"""Another colour for the hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, opened, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.flow import along, hair_flow, strands
from imgan_edit.regions.matte import hair_matte
from imgan_edit.regions.view import Change, View

FINE = 64.0
"""Distance of the eyes, in pixels, at which light and shade of the hair are measured."""

SHADE = 0.07
"""What is coarser than this, of the eyes' distance, is light and shade; finer are strands."""

QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)

STEEPEST = 2.3
"""How many times as far apart light and shade may become: more would show the camera's noise."""

FLARE = 0.04
"""Lightness that every dark strand has of its surroundings, so that grain is no contrast."""

HAIRLINE = 1.2
"""How much single strands stand out where hair begins to grow."""

STREAK = 0.07
"""Over so much of a strand, in distances of the eyes, its lightness is taken from the photo."""

CRUSHED = 0.125
"""Lightness of hair in which no strands are to be seen."""

ROOTS = 0.28
"""How much darker lightened hair is where it meets the skin, as a part of its lightness."""

SKIN_LIGHT, SKIN_CHROMA = 0.86, 0.05
"""In Oklab, the lightest twentieth of a well lit skin, and the chroma of a skin in colour."""

SKINS = (0.02, 0.07), (0.025, 0.08)
"""Between what a and b of skins are in white light; the rest is the light's."""


@dataclass(frozen=True)
class Dye:
    """A colour of hair, as hair of that colour was measured in some forty photos of CelebA each."""

    tones: tuple[float, ...]
    """Oklab's lightness of its light and shade at `QUANTILES` of the hair, in a well lit photo."""
    chroma: tuple[tuple[float, float, float], ...]
    """Lightness, a and b of its strands, from the darkest to the lightest."""
    strands: float
    """Standard deviation of the logarithm of lightness between a strand and its neighbours."""
    drawn: float
    """The least of that which is drawn: strands of other colours than those beside them."""
    own: float
    """The part of the photo's own differences of colour that stays."""
    keeps: str = ""
    """Hair that is so "light" or "dark" already keeps its lightness."""


DYES = {
    "black": Dye(
        (0.08, 0.11, 0.14, 0.19, 0.26, 0.35, 0.48),
        ((0.1, 0.001, 0.003), (0.3, 0.005, 0.005), (0.5, 0.004, 0.005), (0.9, 0.0, 0.0)),
        0.22, 0.03, 0.1, "dark",
    ),
    "blond": Dye(
        (0.31, 0.42, 0.52, 0.64, 0.74, 0.81, 0.88),
        ((0.1, 0.016, 0.02), (0.3, 0.026, 0.038), (0.4, 0.029, 0.05), (0.5, 0.029, 0.057),
         (0.6, 0.025, 0.06), (0.7, 0.019, 0.06), (0.8, 0.012, 0.052), (0.9, 0.006, 0.038)),
        0.15, 0.05, 0.3, "light",
    ),
    "brown": Dye(
        (0.15, 0.2, 0.26, 0.34, 0.44, 0.52, 0.62),
        ((0.1, 0.014, 0.014), (0.2, 0.019, 0.019), (0.3, 0.025, 0.028), (0.4, 0.03, 0.037),
         (0.5, 0.032, 0.042), (0.6, 0.031, 0.045), (0.75, 0.026, 0.045), (0.9, 0.01, 0.03)),
        0.17, 0.03, 0.4,
    ),
    "gray": Dye(
        (0.29, 0.39, 0.48, 0.59, 0.69, 0.77, 0.86),
        ((0.1, 0.003, 0.004), (0.4, 0.003, 0.008), (0.7, 0.002, 0.009), (0.9, 0.0, 0.006)),
        0.2, 0.13, 0.12,
    ),
}  # fmt: skip
"""By name."""


def dyed(color: str) -> Dye:
    """The dye of a free colour, #rrggbb: its shadows are darker and its lights paler."""
    lab = to_oklab(np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32))
    middle = float(lab[0])
    apart = np.array([-0.3, -0.22, -0.12, 0, 0.1, 0.18, 0.26]) * (0.55 + 0.5 * middle)
    tones = (middle + apart * np.where(apart < 0, 2 * middle, 1)).clip(0.03, 0.95)
    light = np.array([0.3, 0.65, 1, 1.3, 1.6]) * middle
    chroma = np.array([0.6, 0.9, 1, 0.9, 0.6])[:, None] * lab[1:]
    table = np.concatenate([light[:, None], chroma], 1)
    rows = tuple((float(x), float(a), float(b)) for x, a, b in table)
    return Dye(tuple(map(float, tones)), rows, 0.22 - 0.1 * middle, 0.04, 0.3)


def hair_color(view: View, amount: float, rng: np.random.Generator, dye: Dye) -> Change:
    """The hair dyed.

    Lightness is taken apart into what is coarse, light and shade, and what is left as a ratio, the
    strands. Light and shade get the distribution that hair of the dye's colour has. Strands are
    brought to the contrast of such hair: what the photo shows of them, gathered along the hair so
    that grain is not raised, and drawn ones where it shows too little. a and b are the dye's at
    that lightness, and some of the hair's own differences. `amount` moves every pixel that part of
    its way. Raises what `hair_matte` does.
    """
    matte = hair_matte(view)
    there = matte.alpha > 0
    small = view.at(FINE)
    unit = view.eye_distance
    lit = Light.of(small)
    lab = to_oklab(matte.hair)
    # Near its border the hair's own colour is known least: that of its inside goes on there.
    skin = _close_to_skin(small)
    alpha = resized(matte.alpha, *small.shape)
    inner, deep = (opened(alpha, radius * small.eye_distance) for radius in (0.04, 0.09))
    weights = alpha * (inner + skin * (deep - inner) + 1e-3)
    coarse = weighted_mean(resized(lab, *small.shape), weights, SHADE * small.eye_distance)
    low = resized(coarse, *view.shape)

    tone = _toned(coarse[..., 0], weights, dye, lit.exposure)
    if (
        np.median(tone - coarse[..., 0]) > 0.25
        and _quantiles(coarse[..., 0], weights, (0.5,))[0] < CRUSHED
    ):
        raise Failure("this hair is so dark in the photo that no strands are seen to lighten")
    roots: Floats = smoothstep(tone - coarse[..., 0], 0, 0.35) * skin
    tone = tone * (1 - ROOTS * roots)
    tone, roots, skin = (
        resized(plane.astype(np.float32), *view.shape) for plane in (tone, roots, skin)
    )

    strand = np.where(there, _log(lab[..., 0]) - _log(low[..., 0]), 0).astype(np.float32)
    strand = np.where(strand > 0, matte.alpha**2 * (1 - 0.8 * skin), 1) * strand
    flow = hair_flow(view, strand, matte.alpha)
    streak = along(strand, flow, STREAK * unit, there)
    gain = np.clip(dye.strands / max(_deviation(streak, matte.alpha), 0.01), 0.4, 1.9)
    strand = gain * streak + min(gain, 1.0) * (strand - streak)
    missing = max(0.0, dye.strands**2 - _deviation(strand, matte.alpha) ** 2) ** 0.5
    drawn = strands(flow, unit, there, rng)
    strand += max(missing, dye.drawn) * drawn

    broken = matte.alpha + HAIRLINE * roots * matte.alpha * (1 - matte.alpha) * drawn
    tone, strand, low, lab, drawn = (plane[there] for plane in (tone, strand, low, lab, drawn))
    room = np.log(0.97 / tone.clip(0.05, 0.9))
    light = tone * np.exp(np.where(strand < 0, _bent(strand, 0.9), _bent(strand, room)))
    mean = (coarse[..., 1:] * weights[..., None]).sum((0, 1)) / weights.sum()
    own = (lab[:, 1:] - low[:, 1:]) + 0.5 * (low[:, 1:] - mean)
    chroma = _chroma(dye, light / lit.exposure) * (1 + 0.12 * drawn[:, None]) + dye.own * own
    chroma = lit.colored * chroma + light[:, None] * lit.tint
    new = np.concatenate([light[:, None], chroma], 1).astype(np.float32)
    alpha = broken[there][:, None].clip(0, 1)
    made = alpha * from_oklab(new).clip(0, 1) + (1 - alpha) * matte.behind[there]
    pixels = view.pixels.copy()
    pixels[there] += min(amount, 1.0) * (made - pixels[there])
    return Change(pixels, there.astype(np.float32))


def _toned(light: Floats, weights: Floats, dye: Dye, exposure: float) -> Floats:
    """Lightness [h, w] whose quantiles, where it weighs, become the dye's tones."""
    marks = np.array(_quantiles(light, weights, QUANTILES))
    tones = np.array(dye.tones) * exposure
    if dye.keeps:
        tones = (np.maximum if dye.keeps == "light" else np.minimum)(tones, marks)
    middle = len(marks) // 2
    wide = (tones[-2] - tones[1]) / max(STEEPEST * (marks[-2] - marks[1]), 1e-3)
    tones = tones[middle] + (tones - tones[middle]) / max(wide, 1)
    marks = np.maximum.accumulate(marks + np.arange(len(marks)) * 1e-4)
    # Beyond the marks as steep as between the two last ones, at most one for one.
    below, above = marks[0] - 0.1, marks[-1] + 0.1
    marks = np.concatenate([[below], marks, [above]])
    tones = np.concatenate([[max(tones[0] - 0.1, 0.02)], tones, [min(tones[-1] + 0.1, 0.97)]])
    return np.interp(light, marks, tones)


def _deviation(values: Floats, weights: Floats) -> float:
    return float(np.sqrt((values**2 * weights).sum() / weights.sum()))


def _close_to_skin(view: View) -> Floats:
    skin = view.part("skin", "left_ear", "right_ear", "neck")
    return smoothstep(blurred(skin, 0.09 * view.eye_distance), 0.0, 0.5)


def _log(light: Floats) -> Floats:
    return np.log(light.clip(0) + FLARE)


def _bent(values: Floats, most: Floats | float) -> Floats:
    """The values near 0 as they are, and none beyond `most`."""
    return most * np.tanh(values / most)


def _chroma(dye: Dye, light: Floats) -> Floats:
    """The dye's a and b [n, 2] at lightnesses [n]."""
    marks, a, b = np.array(dye.chroma).T
    return np.stack([np.interp(light, marks, axis) for axis in (a, b)], 1)


@dataclass(frozen=True)
class Light:
    """The light of a photo, as the skin in it shows."""

    exposure: float
    """1 is well lit."""
    colored: float
    """0 is a photo in grey, 1 one in colour."""
    tint: Floats
    """What coloured light adds to a and b, as a part of lightness."""

    @classmethod
    def of(cls, view: View) -> Light:
        skin = view.part("skin", "nose")
        lab = to_oklab(view.pixels)
        (lightest,) = _quantiles(lab[..., 0], skin, (0.95,))
        light, *axes = ((lab * skin[..., None]).sum((0, 1)) / (skin.sum() + 1e-6)).tolist()
        beyond = [axis - np.clip(axis, *usual) for axis, usual in zip(axes, SKINS, strict=True)]
        colored = min(1.0, float(np.hypot(*axes)) / SKIN_CHROMA)
        return cls(
            float(np.clip(lightest / SKIN_LIGHT, 0.6, 1.06)),
            colored,
            (np.array(beyond) * colored / max(light, 0.2)).astype(np.float32),
        )


def _quantiles(values: Floats, weights: Floats, parts: tuple[float, ...]) -> list[float]:
    order = np.argsort(values, axis=None)
    sums = np.cumsum(weights.ravel()[order], dtype=np.float64)
    places = np.searchsorted(sums, np.array(parts) * sums[-1])
    return [float(values.ravel()[order[min(place, len(order) - 1)]]) for place in places]
