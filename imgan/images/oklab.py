"""Oklab (Ottosson 2020): lightness 0..1 and two axes of colour as the eye has them.

Lightness and colour can be changed apart, and equal steps look equal. sRGB is in 0..1.
"""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
_FROM_CONES = np.linalg.inv(_TO_CONES).astype(np.float32)
_FROM_LAB = np.linalg.inv(_TO_LAB).astype(np.float32)

_STEPS = 4096
"""Entries of the tables that stand for the curves of sRGB."""


def _linear(srgb: Floats) -> Floats:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _display(linear: Floats) -> Floats:
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, bright)


_LINEAR = _linear(np.linspace(0, 1, _STEPS, dtype=np.float32)).astype(np.float32)


def to_linear(srgb: Floats) -> Floats:
    """Light from sRGB in 0..1, any shape, by a table of `_STEPS` entries."""
    return _LINEAR[(srgb.clip(0, 1) * (_STEPS - 1) + 0.5).astype(np.int32)]


def from_linear(light: Floats) -> Floats:
    """sRGB from light; what lies beyond 0..1 is cut off."""
    return _display(light.clip(0, 1)).astype(np.float32)


def to_oklab(srgb: Floats) -> Floats:
    """[..., 3] sRGB in 0..1 to L, a, b."""
    return np.cbrt(to_linear(srgb) @ _TO_CONES.T) @ _TO_LAB.T


def from_oklab(lab: Floats) -> Floats:
    """[..., 3] L, a, b to sRGB. A colour that no display shows keeps its lightness and hue, and
    loses as much chroma as it has to."""
    light = _light(lab)
    beyond = ((light < -1e-4) | (light > 1 + 1e-4)).any(-1)
    if beyond.any():
        lab = lab.copy()
        lab[beyond] = _in_gamut(lab[beyond])
        light = _light(lab)
    return from_linear(light)


def _light(lab: Floats) -> Floats:
    return (lab @ _FROM_LAB.T) ** 3 @ _FROM_CONES.T


def _in_gamut(lab: Floats, halvings: int = 6) -> Floats:
    """The same lightness and hue, and the largest part of the chroma that fits into sRGB."""
    low, high = np.zeros(len(lab), np.float32), np.ones(len(lab), np.float32)
    lab = np.concatenate([lab[:, :1].clip(0, 1), lab[:, 1:]], 1)
    for _ in range(halvings):
        middle = (low + high) / 2
        light = _light(lab * np.stack([np.ones_like(middle), middle, middle], 1))
        fits = ((light >= 0) & (light <= 1)).all(1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return lab * np.stack([np.ones_like(low), low, low], 1)
