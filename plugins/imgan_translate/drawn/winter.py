"""Winter: snow where it lies, at the photo's own size.

Plants are found by hue. Even ones are ground: a sheet of snow covers them, lit as the ground was,
its shadows blue, rolling and grained as snow is, stalks showing through. Rough ones are leaves:
they lose their green, and carry snow where the crown faces up. The sky pales, and everything else
keeps its lightness in a colder light. Masks are made on a small copy; edges are the photo's.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imgan.errors import Skip
from imgan.images.codecs import rows
from imgan.images.fields import Floats, guided, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.fields import Enlarged, noise, softened
from imgan_translate.drawn.skies import sky, steepness
from imgan_translate.drawn.snowfall import flakes

SIZE = 800
"""Longer side, in pixels, of the copy on which masks are made, at most."""

GREEN, STRAW = (98, 110, 170, 192), (88, 97, 112, 120)
"""Hues in Oklab, in degrees, of plants: where they begin, are certain, and end again."""

ROUGH = 0.0115, 0.016
"""Gradients of lightness, by a thousandth of the longer side, from which on plants are leaves to a
part, and wholly."""

LEAST = 0.02
"""The part of a photo that is to be plants, at least; leaves count half."""

LIT = 0.94
"""Lightness of snow in the sun."""

SNOW = np.array([-0.002, -0.006], np.float32)
"""a and b of snow in the light."""

SHADE = np.array([-0.012, -0.08], np.float32)
"""What is added to them in the shade, by lightness lost."""

BARK = np.array([0.006, 0.012], np.float32)
"""a and b of twigs and withered leaves."""


@dataclass(frozen=True)
class Cover:
    """Where what lies, [h, w] each on the small copy, 0..1: `ground` and `leaves` are plants,
    `frost` what faces up within leaves and rock, and `sky`. `snow` is the lightness of the sheet,
    `around` the photo's, softened."""

    ground: Floats
    leaves: Floats
    frost: Floats
    sky: Floats
    snow: Floats
    around: Floats


@dataclass(frozen=True)
class Winter:
    """Lays snow on a photo [H, W, 3] sRGB, at its size; with `snowfall` above 0 (1: dense) it is
    still falling, each `seed` its own flakes.

    Raises Skip where there is nothing for snow to lie on and none falls.
    """

    snowfall: float = 0.0
    seed: int = 0

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        small = reduced(photo, SIZE) / np.float32(255)
        planes, lit = _cover(small)
        meter(0.1)
        if not self.snowfall and (planes.ground + planes.leaves / 2).mean() < LEAST:
            raise Skip(
                "no grass, bush or tree found for snow to lie on; with --snowfall it falls",
                code="no-ground",
            )
        height, width = photo.shape[:2]
        grain = _grain(height, width)
        falling = flakes(height, width, self.snowfall, self.seed) if self.snowfall else None
        flake = np.array([lit, *SNOW], np.float32)

        def laid(band: Enlarged) -> Bytes:
            own = to_oklab(photo[band.start : band.stop] / np.float32(255))
            cover = Cover(*(band(p)[..., None] for p in vars(planes).values()))
            lab = _laid(own, cover, band(grain)[..., None])
            if falling is not None:
                lab += band(falling)[..., None] * (flake - lab)
            return np.rint(255 * from_oklab(lab)).clip(0, 255).astype(np.uint8)

        bands = [Enlarged(cut.start, cut.stop, height, width) for cut in rows(height, width, 2**18)]
        result = np.empty_like(photo)
        with ThreadPoolExecutor() as pool:
            for band, pixels in zip(bands, pool.map(laid, bands), strict=True):
                result[band.start : band.stop] = pixels
                meter(0.1 + 0.9 * band.stop / height)
        return result


def _laid(own: Floats, cover: Cover, grain: Floats) -> Floats:
    """Pixels in Oklab [rows, W, 3] under their cover [rows, W, 1]."""
    light, colour = own[..., :1], own[..., 1:]
    detail = light - cover.around
    # Stalks that are much darker than what is around them stand out of the snow.
    stalks = smoothstep(-detail, 0.1, 0.22)
    sheet = cover.snow + 0.12 * detail.clip(-0.1, 0.1) + grain
    sheet = sheet - 0.5 * stalks * (sheet - light).clip(min=0)
    frosted = cover.snow - 0.05 + 0.4 * detail.clip(-0.15, 0.1)
    bare = 0.08 + 0.78 * light
    twigs = bare + cover.frost * (np.maximum(frosted, bare) - bare)
    rest = light + cover.sky * (0.12 * (0.9 - light).clip(min=0))
    light = rest + cover.ground * (sheet - rest) + cover.leaves * (twigs - rest)

    white = SNOW + SHADE * (LIT - cover.snow).clip(min=0)
    cold = (0.72 - 0.2 * cover.sky) * colour + [-0.002, -0.008]
    brown = BARK + 0.12 * colour
    brown = brown + cover.frost * (white - brown)
    cold = cold + cover.leaves * (brown - cold)
    cold = cold + cover.ground * (1 - 0.5 * stalks) * (white - cold)
    return np.concatenate([light.clip(0, 0.985), cold], 2).astype(np.float32)


def _cover(small: Floats) -> tuple[Cover, float]:
    """Of the small copy in sRGB; and how light snow is at most."""
    lab = to_oklab(small)
    light = lab[..., 0]
    unit = max(small.shape) / 1000
    steep = steepness(light, unit)
    texture = softened(steep, 4 * unit) ** 2
    plants = _plants(lab, texture, unit)
    # Dark plants may as well be their own reflection in water; firs are dark in winter too.
    plants *= smoothstep(_mean(light, plants, 6 * unit), 0.17, 0.27)
    rough = _rough(light, steep, plants, unit)
    skies = sky(lab, texture, unit)
    radius = max(2, round(6 * unit))
    ground, leaves = (
        np.maximum(smoothstep(guided(small, mask, radius, 4e-4), 0.15, 0.85), 0.95 * mask)
        for mask in (plants * (1 - rough), plants * rough)
    )
    both = np.maximum(ground + leaves, 1)
    ground, leaves = ground / both, leaves / both
    # At dusk and at night snow is no lamp.
    lit = min(LIT, 0.5 + 0.5 * float(np.quantile(light, 0.95)))
    # Shadows on the ground stay shadows, paler: against what is brightest on the ground around it.
    shaded = _mean(light, ground, 3 * unit)
    brightest = np.quantile(shaded[ground > 0.5], 0.9) if (ground > 0.5).mean() > 0.01 else 0.6
    snow = lit - 0.62 * (brightest - shaded).clip(0, 0.45)
    covered = np.maximum(ground, leaves)
    around = _mean(light, covered, 5 * unit)
    crowns = light + (1 - leaves) * (_mean(light, leaves, 8 * unit) - light)
    # What is rough and near is grass and low bushes, and lies under more snow.
    frost = _facing_up(crowns, unit)
    frost += 0.5 * smoothstep(_places(light), 0.5, 0.85) * (1 - frost)
    return Cover(ground, leaves, frost, skies, snow, around), lit


def _places(plane: Floats) -> Floats:
    """[H, 1]: how far down each row is, 0..1."""
    return np.linspace(0, 1, len(plane), dtype=np.float32)[:, None]


def _mean(plane: Floats, weights: Floats, sigma: float) -> Floats:
    """[H, W]: the mean of a plane around each place, as far as `weights` go; so what lies beside a
    region casts no halo into it. Far from them, the plain mean."""
    least = np.float32(0.01)
    total = softened(weights * plane, sigma) + least * softened(plane, sigma)
    return total / (softened(weights, sigma) + least)


def _plants(lab: Floats, texture: Floats, unit: float) -> Floats:
    """[H, W], 0..1: where plants are; flowers and fallen leaves among them count."""
    light, a, b = np.moveaxis(lab, 2, 0)
    chroma = np.hypot(a, b)
    hue = np.degrees(np.arctan2(b, a)) % 360
    # What is dark has less chroma to show.
    chroma = chroma / (0.35 + light).clip(max=1)
    green = _within(hue, GREEN) * smoothstep(chroma, 0.022, 0.05)
    # An evening sky has straw's colours, and no stalks.
    straw = _within(hue, STRAW) * smoothstep(chroma, 0.04, 0.075)
    straw *= smoothstep(light, 0.15, 0.3) * smoothstep(texture, 0.002, 0.005)
    plants = softened(np.maximum(green, straw), 1.5 * unit)
    # Flowers and fallen leaves within a meadow are meadow.
    filled = smoothstep(softened(plants, 9 * unit), 0.3, 0.6)
    return smoothstep(np.maximum(plants, filled), 0.22, 0.5)


def _within(hue: Floats, reach: tuple[float, float, float, float]) -> Floats:
    first, certain, last, end = reach
    return smoothstep(hue, first, certain) * (1 - smoothstep(hue, last, end))


def _rough(light: Floats, steep: Floats, plants: Floats, unit: float) -> Floats:
    """[H, W], 0..1: how much plants are leaves. `steep`: roots of gradients."""
    # Inside plants, so that their outline is no texture.
    inside = smoothstep(softened(plants, 3 * unit), 0.6, 0.95) + np.float32(0.02)
    texture = (softened(inside * steep, 10 * unit) / softened(inside, 10 * unit)) ** 2
    # What is near is rougher than what is far; what is dark and not near is no meadow.
    near = smoothstep(_places(light), 0.5, 0.85)
    nearer = 0.004 * smoothstep(_places(light), 0.6, 1)
    rough = softened(smoothstep(texture - nearer, *ROUGH), 12 * unit)
    dark = 1 - smoothstep(_mean(light, plants, 9 * unit), 0.34, 0.44)
    rough = np.maximum(rough, dark * (1 - near))
    return softened(rough, 5 * unit)


def _facing_up(light: Floats, unit: float) -> Floats:
    """[H, W], 0..1: what is lighter than what lies below it: clumps of leaves, ledges of rock."""
    facing = np.zeros_like(light)
    for size, share in ((2.2, 0.35), (6.0, 0.5)):
        clumps = softened(light, size * unit)
        below = np.roll(clumps, -max(1, round(1.6 * size * unit)), 0)
        wide = softened(light, 4 * size * unit)
        facing += (
            share * smoothstep(clumps - below, -0.01, 0.07) * smoothstep(clumps - wide, -0.04, 0.06)
        )
    height, width = light.shape
    drift = 0.5 + 0.5 * np.tanh(noise(height, width, 0.03, np.random.default_rng(0)))
    return (facing * (0.65 + 0.35 * drift)).clip(0, 1).astype(np.float32)


def _grain(height: int, width: int) -> Floats:
    """[h, w]: the lightness of rolling and grained snow, around 0: long waves that come nearer
    downwards, and grains."""
    rng = np.random.default_rng(1)
    h, w = max(8, 900 * height // max(height, width)), max(8, 900 * width // max(height, width))
    fine = rng.standard_normal((h, w), np.float32)
    near = np.linspace(0.3, 1, h, dtype=np.float32)[:, None]
    waves = np.zeros((h, w), np.float32)
    for part, share in ((0.12, 0.012), (0.04, 0.008)):
        long = noise(4 * h, w, part, rng)[::4]
        waves += share * long
    return (near * (waves + 0.011 * softened(fine, 0.8))).astype(np.float32)
