"""A painter's palette as a few statistics of his colours, and photos brought to it.

All colours are Oklab: lightness L in 0..1, and a, b. No picture is kept, only the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.images.fields import Floats, smoothstep
from imgan.images.palettes import color_transfer

LEVELS = np.linspace(0.02, 0.98, 9)
"""The shares of the picture at which `Palette.lightness` is given."""

DARKEST = 0.75
"""Black becomes this part of the lightness of a palette's darkest 2 %."""

DISTINCT = 1e-4
"""What is added to variances of a and b: below it a picture counts as one colour."""

SATURATED = 1.25
"""From this many times a palette's chroma on, chroma is compressed."""

CAST = 0.006
"""How far, in a and b, the mean colour moves at most: walls stay the colour that they are."""

VIVID = 0.07, 0.16
"""Chroma from which on, and to which, a colour keeps more and more of what it is in the photo."""

HUED = 0.02, 0.06
"""Chroma over which what is dark loses the shade."""

DAY = 0.2, 0.45
"""Mean lightness of photos of the night and of the day."""


@dataclass(frozen=True)
class Palette:
    """Lightness at `LEVELS`; mean (a, b) and covariance (aa, ab, bb) of the colours; and the
    chroma that 3 % of them exceed."""

    lightness: tuple[float, ...]
    mean: tuple[float, float]
    covariance: tuple[float, float, float]
    chroma: float

    @classmethod
    def of(cls, lab: Floats) -> Palette:
        """The palette of colours [..., 3] in Oklab, such as a painter's works side by side."""
        colours = lab.reshape(-1, 3).astype(np.float64)
        (aa, ab), (_, bb) = np.cov(colours[:, 1:].T, bias=True)
        return cls(
            lightness=tuple(np.quantile(colours[:, 0], LEVELS).round(3).tolist()),
            mean=tuple(colours[:, 1:].mean(0).round(5).tolist()),
            covariance=(round(float(aa), 6), round(float(ab), 6), round(float(bb), 6)),
            chroma=round(float(np.quantile(np.hypot(colours[:, 1], colours[:, 2]), 0.97)), 4),
        )


@dataclass(frozen=True)
class Repaint:
    """How far a photo goes towards a palette: `light` and `colour` in 0..1, and the least and the
    most by which contrasts of colour may be multiplied, so that no noise becomes a patch."""

    light: float = 0.7
    colour: float = 0.65
    gain: tuple[float, float] = (0.7, 1.5)
    darker: float = 0.06
    lighter: float = 0.12
    """How far lightness goes at most: a white sky stays light, and a night stays a night."""
    shade: tuple[float, float] = (0.0, 0.0)
    """a and b that black gets, and what is dark a part of: shadows have a colour of their own."""

    def __call__(self, lab: Floats, palette: Palette) -> Floats:
        """A photo [H, W, 3] in Oklab in the painter's colours.

        Lightness by matching quantiles. Chroma by the affine map between two clouds of colour
        around grey that moves them least (`color_transfer`), its gains limited; hues are the
        photo's, but for a cast towards the palette's mean.
        """
        own = Palette.of(lab)
        tones = np.interp(
            lab[..., 0],
            [0, *own.lightness, 1],
            [DARKEST * palette.lightness[0], *palette.lightness, 1],
        )
        change = (tones - lab[..., 0]).clip(-self.darker, self.lighter * self._day(own))
        chroma = np.hypot(lab[..., 1], lab[..., 2])
        # What is vivid has its colour from the light that it has.
        vivid = smoothstep(chroma, *VIVID)
        light = lab[..., 0] + self.light * (1 - 0.8 * vivid) * change
        photo, wanted = (_moments(p) for p in (own, palette))
        gains, axes = np.linalg.eigh(color_transfer(photo, wanted))
        matrix = (axes * gains.clip(*self.gain)) @ axes.T
        towards = (np.array(palette.mean) - np.array(own.mean)) / 2
        towards = towards * min(1, CAST / max(float(np.hypot(*towards)), 1e-6))
        moved = lab[..., 1:] @ matrix.T
        gain = np.hypot(moved[..., 0], moved[..., 1]) / np.maximum(chroma, 1e-6)
        share = self.colour * (1 - vivid)[..., None]
        colours = lab[..., 1:] + share * ((gain[..., None] - 1) * lab[..., 1:] + towards)
        shade = (1 - 2 * light[..., None]).clip(min=0) * np.array(self.shade)
        colours = colours + (1 - smoothstep(chroma, *HUED))[..., None] * shade
        chroma = np.hypot(colours[..., 0], colours[..., 1])[..., None]
        limit = SATURATED * palette.chroma
        compressed = np.minimum(chroma, limit) + 0.8 * np.maximum(chroma - limit, 0)
        colours = colours * (compressed / np.maximum(chroma, 1e-6))
        return np.concatenate([light[..., None], colours], 2).astype(np.float32)

    def _day(self, own: Palette) -> float:
        """How much of the day's light there is, 0.2..1: a night stays a night."""
        return float(0.2 + 0.8 * smoothstep(np.array(own.lightness).mean(keepdims=True), *DAY)[0])


def _moments(palette: Palette) -> Floats:
    """[2, 2]: of a and b around grey, which stays grey."""
    aa, ab, bb = palette.covariance
    spread = np.array([[aa + DISTINCT, ab], [ab, bb + DISTINCT]])
    return spread + np.outer(palette.mean, palette.mean)
