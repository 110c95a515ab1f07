"""Another colour for the hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, mean_of, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.matte import FINE, check_hair, hair_matte, hue_beyond
from imgan_edit.regions.view import Change, View

SHADE = 0.07
"""What is coarser than this, of the eyes' distance, is light and shade; finer are strands."""

SLOPE = 0.5, 1.6
"""How many times as far apart lightnesses may become: less is a helmet, more is chrome, and shows
the camera's noise."""

LIFT = 0.17, 0.5
"""By how much hair can be lightened, as a constant and a part of its own lightness: what is nearly
black shows no strands that light hair could be made of."""

CRUSHED, FLAT = 0.17, 0.16
"""Hair whose lightness has less than the first as its median is not lightened, nor hair whose dark
and light strands would be less than the second apart."""

SHORT = 0.03
"""By how much hair may stay darker than the dye: on black hair that is a film of paint."""

BLEACHED = 0.12, 0.6, 0.1
"""Of hair that becomes lighter by more than the first, no more than the last part may stay as dark
as the second part of what the rest becomes."""

LIT = 0.95
"""The exposure above which a dark skin is not taken for a dark photo there."""

FALL = 0.3
"""By how much hair may become darker: of what is much lighter, each strand that was not found
stands out."""

ROOTS = 0.3
"""The part of being lightened that hair has not where it meets the skin."""

SAME = 0.03, 0.1
"""Colours that are nearer in Oklab than a constant and a part of their lightness are the same, if
differences of a and b count twice."""

SKIN_LIGHT, SKIN_CHROMA = 0.86, 0.05
"""In Oklab, the lightest twentieth of a well lit skin, and the chroma of a skin in colour."""

SKINS = (0.02, 0.07), (0.025, 0.08)
"""Between what a and b of skins are in white light; the rest is the light's."""


@dataclass(frozen=True)
class Dye:
    """A colour of hair, as hair of that colour was measured in some forty photos of CelebA each."""

    middle: float
    """The median of Oklab's lightness, in a well lit photo."""
    apart: float
    """How far the darkest and the lightest tenth of the hair are apart."""
    ends: tuple[float, float]
    """The least and the most lightness: these are approached and not reached."""
    chroma: tuple[tuple[float, float, float], ...]
    """Lightness, a and b of its strands, from the darkest to the lightest."""
    own: float
    """The part of the photo's own differences of colour that stays."""
    keeps: str = ""
    """Hair that is so "light" or "dark" already keeps its lightness."""


DYES = {
    "black": Dye(
        0.2, 0.19, (0.06, 0.6),
        ((0.1, 0.001, 0.003), (0.3, 0.005, 0.005), (0.5, 0.004, 0.005), (0.9, 0.0, 0.0)),
        0.1, "dark",
    ),
    "blond": Dye(
        0.62, 0.38, (0.14, 0.94),
        ((0.1, 0.016, 0.017), (0.3, 0.028, 0.034), (0.4, 0.03, 0.041), (0.5, 0.029, 0.046),
         (0.6, 0.025, 0.049), (0.7, 0.019, 0.049), (0.8, 0.012, 0.043), (0.9, 0.006, 0.034)),
        0.4, "light",
    ),
    "brown": Dye(
        0.34, 0.31, (0.08, 0.8),
        ((0.1, 0.014, 0.014), (0.2, 0.019, 0.019), (0.3, 0.025, 0.028), (0.4, 0.03, 0.037),
         (0.5, 0.032, 0.042), (0.6, 0.031, 0.045), (0.75, 0.026, 0.045), (0.9, 0.01, 0.03)),
        0.4,
    ),
}  # fmt: skip
"""By name."""


def dyed(color: str) -> Dye:
    """The dye of a free colour, #rrggbb: its shadows are darker and its lights paler."""
    lab = to_oklab(np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32))
    middle = float(lab[0])
    light = np.array([0.3, 0.65, 1, 1.3, 1.6]) * middle
    chroma = np.array([0.6, 0.9, 1, 0.9, 0.6])[:, None] * lab[1:]
    table = np.concatenate([light[:, None], chroma], 1)
    rows = tuple((float(x), float(a), float(b)) for x, a, b in table)
    ends = 0.3 * middle, middle + 0.85 * (1 - middle)
    return Dye(middle, 0.15 + 0.4 * middle, ends, rows, 0.3)


def hair_color(view: View, amount: float, rng: np.random.Generator, dye: Dye) -> Change:
    """The hair dyed.

    Its lightness goes through one curve that is nowhere steep, so that light, shade and strands
    stay the photo's own, and ends in shoulders, so that highlights do not glare (`Tone`). a and b
    are the dye's at that lightness, smoothed, and some of the hair's own differences. `amount`
    moves every pixel that part of its way. Raises what `hair_matte` and `check_hair` do, and
    Failure for hair that is too dark for the dye, or has its colour.
    """
    small = view.at(FINE)
    check_hair(small)
    matte = hair_matte(view)
    there = matte.alpha > 0
    lit = Light.of(small)
    lab = to_oklab(resized(matte.hair, *small.shape))
    # Near its border the hair's own colour is known least: that of its inside goes on there.
    weights = resized(matte.alpha, *small.shape) ** 3 + np.float32(1e-6)
    tone = Tone.of(lab[..., 0], weights, dye, lit.exposure)
    if tone.middle - tone.goal > FALL:
        raise Failure("this hair is so light that what is not found of it would stand out")

    coarse = weighted_mean(lab, weights, SHADE * small.eye_distance)
    mean = mean_of(lab, weights)
    if tone.goal > tone.middle + BLEACHED[0]:
        dark = tone(coarse[..., 0]) < BLEACHED[1] * tone.goal
        if (weights * dark).sum() > BLEACHED[2] * weights.sum():
            raise Failure("a part of this hair is so dark that it would stay so beside the rest")
    skin = blurred(small.part("skin", "left_ear", "right_ear", "neck"), 0.09 * small.eye_distance)
    roots = ROOTS * smoothstep(skin, 0.0, 0.5) * (tone.goal > tone.middle)
    light = coarse[..., 0] + (1 - roots) * (tone(coarse[..., 0]) - coarse[..., 0])
    # The dye's a and b, less that of the photo's own which is not a difference between strands.
    own = dye.own * lit.colored
    shift = lit.colored * _chroma(dye, light / lit.exposure)
    shift -= own * 0.5 * (coarse[..., 1:] + mean[1:])
    new_mean = mean_of(shift + own * lab[..., 1:] + light[..., None] * lit.tint, weights)
    differs = np.hypot(tone.goal - tone.middle, 2 * np.hypot(*(new_mean - mean[1:])))
    if differs < SAME[0] + SAME[1] * tone.goal:
        raise Failure("this hair has that colour already")
    fields = np.concatenate([shift, roots[..., None]], 2).astype(np.float32)
    fields = resized(fields, *view.shape)[there]

    old = to_oklab(matte.hair[there])
    light = old[:, 0] + (1 - fields[:, 2]) * (tone(old[:, 0]) - old[:, 0])
    chroma = fields[:, :2] + own * old[:, 1:] + light[:, None] * lit.tint
    new = from_oklab(np.concatenate([light[:, None], chroma], 1).astype(np.float32))
    pixels = view.pixels.copy()
    share = min(amount, 1.0) * matte.alpha[there][:, None]
    pixels[there] = (pixels[there] + share * (new - matte.hair[there])).clip(0, 1)
    hues = np.zeros((2, *view.shape, 2), np.float32)
    hues[:, there] = old[:, 1:], old[:, 1:] + min(amount, 1.0) * (chroma - old[:, 1:])
    return without_rim(view, small, pixels, matte.alpha, *hues)


def without_rim(
    view: View, small: View, pixels: Floats, alpha: Floats, old: Floats, new: Floats
) -> Change:
    """Dyed hair [h, w, 3], and what is left around it of its old hue: single hairs, and light that
    went through them. That changes from `old` a and b to `new` ones [h, w, 2], and no lightness:
    where it is wrong it is not seen."""
    left = resized(hue_beyond(small), *view.shape)
    around = left > 0.02
    weights = alpha**3 + np.float32(1e-6)
    turned = resized(new - old, *small.shape), resized(weights, *small.shape)
    shift = resized(weighted_mean(*turned, 0.15 * small.eye_distance), *view.shape)
    lab = to_oklab(pixels[around])
    lab[:, 1:] += left[around][:, None] * shift[around]
    pixels[around] = from_oklab(lab).clip(0, 1)
    return Change(pixels, ((alpha > 0) | around).astype(np.float32))


@dataclass(frozen=True)
class Tone:
    """A curve of lightness: straight about the hair's middle, with a shoulder on either side
    (tanh), so that it is monotone and nowhere steeper than `slope`."""

    middle: float
    goal: float
    """What becomes of `middle`."""
    slope: float
    ends: tuple[float, float]

    @classmethod
    def of(cls, light: Floats, weights: Floats, dye: Dye, exposure: float) -> Tone:
        """The curve that takes hair of such lightness [h, w] as near to the dye as is natural: what
        is dark becomes a dark one. Raises Failure where that is too flat for light hair."""
        dark, middle, bright = quantiles(light, weights, (0.1, 0.5, 0.9))
        goal = dye.middle * exposure
        if dye.keeps:
            goal = max(goal, middle) if dye.keeps == "light" else min(goal, middle)
        if goal > middle:
            most = middle + LIFT[0] + LIFT[1] * middle
            if max(goal, LIT * dye.middle) > most + SHORT:
                raise Failure("this hair is so dark that it would have to be bleached first")
            goal = min(goal, most)
        steep = float(np.clip(dye.apart * exposure / max(bright - dark, 1e-3), *SLOPE))
        flat = middle < CRUSHED or steep * (bright - dark) < FLAT
        if goal > middle + 0.12 and flat:
            raise Failure("this hair is so dark in the photo that no strands are seen to lighten")
        if goal == middle:
            steep = 1.0
        return cls(middle, goal, steep, (dye.ends[0] * exposure, max(dye.ends[1], goal + 0.02)))

    def __call__(self, light: Floats) -> Floats:
        """Of lightnesses, any shape."""
        off = self.slope * (light - self.middle)
        down, up = self.goal - self.ends[0], self.ends[1] - self.goal
        bent: Floats = np.where(off > 0, up * np.tanh(off / up), down * np.tanh(off / down))
        return self.goal + bent


def _chroma(dye: Dye, light: Floats) -> Floats:
    """The dye's a and b [..., 2] at lightnesses [...]."""
    marks, a, b = np.array(dye.chroma).T
    return np.stack([np.interp(light, marks, axis) for axis in (a, b)], -1)


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
        (lightest,) = quantiles(lab[..., 0], skin, (0.95,))
        light, *axes = ((lab * skin[..., None]).sum((0, 1)) / (skin.sum() + 1e-6)).tolist()
        beyond = [axis - np.clip(axis, *usual) for axis, usual in zip(axes, SKINS, strict=True)]
        colored = min(1.0, float(np.hypot(*axes)) / SKIN_CHROMA)
        return cls(
            float(np.clip(lightest / SKIN_LIGHT, 0.6, 1.06)),
            colored,
            (np.array(beyond) * colored / max(light, 0.2)).astype(np.float32),
        )


def quantiles(values: Floats, weights: Floats, parts: tuple[float, ...]) -> list[float]:
    """What such parts of all that is weighed are less than."""
    order = np.argsort(values, axis=None)
    sums = np.cumsum(weights.ravel()[order], dtype=np.float64)
    places = np.searchsorted(sums, np.array(parts) * sums[-1])
    return [float(values.ravel()[order[min(place, len(order) - 1)]]) for place in places]
