"""Winter: snow where it lies, at the photo's own size.

Green and straw-coloured places are found by hue. Even ones are ground, and covered; rough ones are
leaves: they turn brown, and carry snow on what faces up. Everything else keeps its colours in a
colder light. Masks are made on a small copy; detail and edges are the photo's.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imgan.images.codecs import rows
from imgan.images.fields import Floats, guided, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.fields import Enlarged, noise, slopes, softened

SIZE = 800
"""Longer side, in pixels, of the copy on which masks are made, at most."""

GREEN, STRAW = (128, 26), (95, 14)
"""Hues in Oklab, in degrees, of plants, and how far they reach."""

ROUGH = 0.008, 0.022
"""Gradients of lightness, by a thousandth of the longer side, from which on plants are leaves to a
part, and wholly."""

SNOW = np.array([-0.004, -0.016], np.float32)
"""a and b of snow under a sky."""

BARK = np.array([0.008, 0.012], np.float32)
"""And of twigs and withered leaves."""


@dataclass(frozen=True)
class Winter:
    """Lays snow on a photo [H, W, 3] sRGB, at its size."""

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        small = reduced(photo, SIZE) / np.float32(255)
        unit = max(small.shape) / 1000
        lab = to_oklab(small)
        radius = max(2, round(5 * unit))
        ground, leaves = (
            guided(small, mask, radius, 2e-4).clip(0, 1) for mask in _plants(lab, unit)
        )
        base = softened(lab[..., 0], 12 * unit)
        facing = _facing_up(lab[..., 0], base, unit)
        meter(0.1)

        def cover(band: Enlarged) -> Bytes:
            own = to_oklab(photo[band.start : band.stop] / np.float32(255))
            light, colour = own[..., :1], own[..., 1:]
            around, on_ground, on_leaves, frost = (
                band(plane)[..., None] for plane in (base, ground, leaves, facing)
            )
            detail = light - around
            snow = 0.87 + 0.3 * (around - 0.55) + 0.5 * detail
            snow = np.minimum(snow, 0.96 + 0.1 * (snow - 0.96))
            bare = 0.16 + 0.62 * light
            twigs = bare + frost * (0.86 + 0.4 * detail - bare)
            light = light + on_ground * (snow - light) + on_leaves * (twigs - light)
            cold = 0.75 * colour + SNOW / 2
            brown = BARK + 0.15 * colour
            cold = cold + on_ground * (0.05 * colour + SNOW - cold)
            cold = cold + on_leaves * (brown + frost * (SNOW - brown) - cold)
            covered = from_oklab(np.concatenate([light, cold], 2).astype(np.float32))
            return np.rint(255 * covered).clip(0, 255).astype(np.uint8)

        height, width = photo.shape[:2]
        bands = [Enlarged(cut.start, cut.stop, height, width) for cut in rows(height, width, 2**18)]
        result = np.empty_like(photo)
        with ThreadPoolExecutor() as pool:
            for band, pixels in zip(bands, pool.map(cover, bands), strict=True):
                result[band.start : band.stop] = pixels
                meter(0.1 + 0.9 * band.stop / height)
        return result


def _plants(lab: Floats, unit: float) -> tuple[Floats, Floats]:
    """[H, W] each, 0..1: where plants are ground, such as grass, and where they are leaves."""
    light, a, b = np.moveaxis(lab, 2, 0)
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    green = _near(hue, GREEN) * smoothstep(chroma, 0.025, 0.06)
    straw = _near(hue, STRAW) * smoothstep(chroma, 0.045, 0.09) * smoothstep(light, 0.3, 0.45)
    plants = smoothstep(softened(np.maximum(green, 0.9 * straw), 2 * unit), 0.25, 0.6)
    down, across = slopes(softened(light, 1.2 * unit))
    texture = unit * np.sqrt(softened(down**2 + across**2, 9 * unit))
    # What is near is rougher than what is far; what is dark and not quite even is in a crown.
    place = np.linspace(0, 1, len(light), dtype=np.float32)[:, None]
    rough = smoothstep(texture, *ROUGH) * (1 - 0.4 * smoothstep(place, 0.7, 1))
    dark = 1 - smoothstep(softened(light, 12 * unit), 0.3, 0.42)
    rough = softened(np.maximum(rough, dark * smoothstep(texture, 0.004, 0.011)), 5 * unit)
    return plants * (1 - rough), plants * rough


def _near(hue: Floats, reach: tuple[float, float]) -> Floats:
    middle, deviation = reach
    return np.exp(-(((hue - middle) / deviation) ** 2))


def _facing_up(light: Floats, base: Floats, unit: float) -> Floats:
    """[H, W], 0..1: what is lighter than what lies below it, as clumps of leaves are that face up,
    in drifts."""
    clumps = softened(light, 2 * unit)
    below = np.roll(clumps, -max(1, round(3.2 * unit)), 0)
    facing = smoothstep(clumps - below, 0, 0.07) * smoothstep(clumps - base, -0.05, 0.06)
    height, width = light.shape
    drift = 0.5 + 0.5 * np.tanh(noise(height, width, 0.02, np.random.default_rng(0)))
    return (facing * (0.6 + 0.4 * drift)).astype(np.float32)
