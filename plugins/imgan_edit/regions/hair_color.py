"""Another colour for the hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.matte import hair_matte
from imgan_edit.regions.view import Change, View

FINE = 64.0
"""Distance of the eyes, in pixels, at which light and shade of the hair are measured."""

SHADE = 0.1
"""What is coarser than this, of the eyes' distance, is light and shade; finer are strands."""

SKIN_LIGHT, SKIN_CHROMA = 0.86, 0.05
"""In Oklab, the lightest twentieth of a well lit skin, and the chroma of a skin in colour."""

SKINS = (0.02, 0.07), (0.025, 0.08)
"""Between what a and b of skins are in white light; the rest is the light's."""


@dataclass(frozen=True)
class Dye:
    """A colour of hair: what its shadows, its middle and its lights look like."""

    ramp: tuple[str, ...]
    """Colours of its strands from the darkest to the lightest, #rrggbb."""
    middle: float
    """Oklab's lightness of the hair's middle, in a well lit photo."""
    spread: float
    """Of its light and shade: the logarithm of lightness at the lightest tenth less that at the
    darkest."""
    strands: float
    """Standard deviation of the logarithm of lightness between a strand and its neighbours."""
    own: float
    """The part of the photo's own differences of colour that stays."""


DYES = {
    "black": Dye(("#060505", "#1b1817", "#37322f", "#6a6462", "#a9a5a4"), 0.19, 1.0, 0.24, 0.15),
    "blond": Dye(("#2e1c10", "#775434", "#c0986a", "#e4c89e", "#f8edd6"), 0.71, 0.55, 0.14, 0.35),
    "brown": Dye(("#100a07", "#38241a", "#65432f", "#92694d", "#c8a382"), 0.37, 0.6, 0.16, 0.45),
    "gray": Dye(("#161515", "#504e4d", "#918f8d", "#c4c3c1", "#f2f1f0"), 0.64, 0.5, 0.14, 0.1),
}
"""By name."""


def dyed(color: str) -> Dye:
    """The dye of a free colour, #rrggbb: its shadows are darker and its lights paler."""
    lab = to_oklab(np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32))
    middle = float(lab[0])
    light = (np.array([0.3, 0.65, 1, 1.3, 1.6], np.float32) * middle).clip(0, 0.97)
    chroma = np.array([0.5, 0.9, 1, 0.85, 0.5], np.float32)
    ramp = from_oklab(np.stack([light, chroma * lab[1], chroma * lab[2]], 1))
    codes = tuple("#" + bytes((255 * c).round().astype(np.uint8)).hex() for c in ramp)
    return Dye(codes, middle, 0.8 - 0.5 * middle, 0.24 - 0.2 * middle, 0.35)


def hair_color(view: View, amount: float, rng: np.random.Generator, dye: Dye) -> Change:
    """The hair dyed.

    Lightness is taken apart into what is coarse, light and shade, and what is left as a ratio, the
    strands. The coarse part goes through a line from the hair's middle to the dye's; the strands
    are brought to the contrast that hair of that lightness has, so that dark hair does not become
    fog nor light hair charcoal. The chroma is the dye's at that lightness, and some of the hair's
    own differences. `amount` moves every pixel that part of its way. Raises what `hair_matte` does.
    """
    matte = hair_matte(view)
    there = matte.alpha > 0
    small = view.at(FINE)
    weights = resized(matte.alpha, *small.shape)
    old = to_oklab(resized(matte.hair, *small.shape))
    coarse = weighted_mean(old, weights, SHADE * small.eye_distance)
    low = resized(coarse, *view.shape)[there]
    lab = to_oklab(matte.hair[there])
    lit = Light.of(small)

    # Light and shade, and strands, as logarithms of lightness.
    tone, strand = _log(low[:, 0]), _log(lab[:, 0]) - _log(low[:, 0])
    dark, middle, bright = _quantiles(_log(coarse[..., 0]), weights, (0.1, 0.5, 0.9))
    shade = (tone - middle) * np.clip((dye.spread / max(bright - dark, 0.05)) ** 0.7, 0.5, 2.5)
    target = dye.middle * lit.exposure
    lift = max(0.0, float(np.log((target + FLARE) / np.exp(middle))))
    # Sheen is of the light's own strength on hair of any colour, so it counts for less on lighter.
    shade = np.where(shade > 0, shade / (1 + 0.5 * lift), shade)
    shade = shade - ROOTS * lift * resized(_close_to_skin(small), *view.shape)[there]
    room = np.log(0.95 / target)
    contrast = float(np.sqrt((strand**2 * matte.alpha[there]).sum() / matte.alpha.sum()))
    gain = np.clip((dye.strands / max(contrast, 0.01)) ** 0.8, 0.35, 2.2)
    light = target * np.exp(
        _bent(shade, 1.6, 0.6 * room) + _bent(gain * strand, 4 * dye.strands, 0.7 * room)
    )

    mean = (coarse[..., 1:] * weights[..., None]).sum((0, 1)) / weights.sum()
    own = (lab[:, 1:] - low[:, 1:]) + 0.5 * (low[:, 1:] - mean)
    chroma = _chroma(dye, light / lit.exposure) + dye.own * own
    chroma = lit.colored * chroma + light[:, None] * lit.tint
    new = np.concatenate([light[:, None], chroma], 1)
    new = lab + min(amount, 1.0) * (new - lab)
    alpha = matte.alpha[there][:, None]
    pixels = view.pixels.copy()
    made, old_pixels = from_oklab(new).clip(0, 1), view.pixels[there]
    # Where there is less hair than the matte says, the sum would shine.
    low, high = np.minimum(made, old_pixels), np.maximum(made, old_pixels)
    pixels[there] = (old_pixels + alpha * (made - matte.hair[there])).clip(low, high)
    return Change(pixels, there.astype(np.float32))


FLARE = 0.07
"""Lightness that every dark strand has of its surroundings, so that grain is no contrast."""


ROOTS = 0.16
"""How much darker lightened hair is where it meets the skin, as a part of what it was lightened."""


def _close_to_skin(view: View) -> Floats:
    skin = view.part("skin", "left_ear", "right_ear", "neck")
    return smoothstep(blurred(skin, 0.09 * view.eye_distance), 0.0, 0.5)


def _log(light: Floats) -> Floats:
    return np.log(light + FLARE)


def _bent(values: Floats, below: float, above: float) -> Floats:
    """The values near 0 as they are, and none beyond -below or above."""
    return np.where(values < 0, below * np.tanh(values / below), above * np.tanh(values / above))


def _chroma(dye: Dye, light: Floats) -> Floats:
    """The dye's a and b [n, 2] at lightnesses [n]."""
    codes = [[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in dye.ramp]
    ramp = to_oklab(np.array(codes, np.float32))
    return np.stack([np.interp(light, ramp[:, 0], ramp[:, i]) for i in (1, 2)], 1)


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
