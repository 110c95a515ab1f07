"""Winter: snow where it lies, at the photo's own size.

What is where is seen on a small copy (`imgan_translate.drawn.scene`). Ground lies under a sheet of
snow, lit as the ground was: its large shadows stay, blue; what is small in it goes, but for dark
stalks near by. Trees lose their green, get darker, and carry snow on what faces up in them; rock
has some on its ledges. Sky, water and things keep their lightness, in a colder light. Photos in
which that will not look right are refused.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from imgan.errors import Skip
from imgan.images.codecs import rows
from imgan.images.fields import Floats, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.fields import Enlarged, noise, softened, without_texture
from imgan_translate.drawn.scene import SURE, Scene, glanced, seen
from imgan_translate.drawn.snowfall import flakes

SIZE = 800
"""Longer side, in pixels, of the copy on which masks are made, at most."""

LIT = 0.94
"""Lightness of snow in the sun."""

SNOW = np.array([-0.002, -0.006], np.float32)
"""a and b of snow in the light."""

SHADE = np.array([-0.012, -0.085], np.float32)
"""What is added to them in the shade, by lightness lost."""

BARK = np.array([0.004, 0.01], np.float32)
"""a and b of twigs and withered leaves."""

PLANTS = (75, 100, 150, 185)
"""Hues in Oklab, in degrees, of plants: where they begin, are certain, and end again."""


GROUND, THINGS = 0.1, 0.3
"""The part of a photo that is to be ground, at least, and may be things, at most."""

DECIDED = 0.4
"""The part of what might be ground that is to be sure to be, at least: less is a guess."""

PLAIN = 0.62
"""Mean probability, at least, of what each place most likely is: less is no landscape."""


@dataclass(frozen=True)
class Cover:
    """What lies where, [h, w] each on the small copy, 0..1: `ground`, `trees`, `rock` and `sky`,
    and `frost`, what faces up in trees and rock. `snow` is the lightness of the sheet; `around` the
    photo's in the ground, softened, and `crowns` in trees."""

    ground: Floats
    trees: Floats
    rock: Floats
    sky: Floats
    frost: Floats
    snow: Floats
    around: Floats
    crowns: Floats


@dataclass(frozen=True)
class Winter:
    """Lays snow on a photo [H, W, 3] sRGB, at its size; with `snowfall` above 0 (1: dense) it is
    still falling, each `seed` its own flakes.

    Raises Skip where it would not look like winter; with snow that falls it lies nowhere there.
    """

    snowfall: float = 0.0
    seed: int = 0

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        small = reduced(photo, SIZE) / np.float32(255)
        coarse, glance = glanced(small)
        why = unfit(coarse, glance)
        if why and not self.snowfall:
            raise Skip(
                f"it would not look like winter: {why}; with --snowfall snow falls",
                code="no-winter",
            )
        scene = seen(small, glance)
        if why:
            # Snow falls, and lies nowhere.
            scene = Scene(*(np.zeros_like(plane) for plane in vars(scene).values()))
        planes, lit = _cover(small, scene)
        meter(0.2)
        height, width = photo.shape[:2]
        grain = _grain(height, width)
        falling = flakes(height, width, self.snowfall, self.seed) if self.snowfall else None
        flake = np.array([lit, *SNOW], np.float32)

        def laid(band: Enlarged) -> Bytes:
            own = to_oklab(photo[band.start : band.stop] / np.float32(255))
            cover = Cover(*(band(p)[..., None] for p in vars(planes).values()))
            down = np.arange(band.start, band.stop, dtype=np.float32)[:, None, None] / height
            lab = _laid(own, cover, band(grain)[..., None], lit, down)
            if falling is not None:
                lab += band(falling)[..., None] * (flake - lab)
            return np.rint(255 * from_oklab(lab)).clip(0, 255).astype(np.uint8)

        bands = [Enlarged(cut.start, cut.stop, height, width) for cut in rows(height, width, 2**18)]
        result = np.empty_like(photo)
        with ThreadPoolExecutor() as pool:
            for band, pixels in zip(bands, pool.map(laid, bands), strict=True):
                result[band.start : band.stop] = pixels
                meter(0.2 + 0.8 * band.stop / height)
        return result


def unfit(small: Floats, scene: Scene) -> str:
    """Why snow on it would not look like winter, if so: where there is no landscape, where it is
    hidden by other things, and in the light of a night or an evening."""
    lab = to_oklab(small)
    likely = np.stack([*vars(scene).values()], 2)
    sky, ground, trees, _, _, things = (
        likely.argmax(2)[..., None] == np.arange(len(vars(scene)))
    ).transpose(2, 0, 1)
    upper = slice(0, max(1, len(small) // 5))
    if ground.mean() < GROUND:
        return "too little grass or soil for snow to lie on"
    if ground[upper].mean() > 0.15:
        return "no landscape: the ground reaches the top of the picture"
    if (scene.ground > SURE).sum() < DECIDED * (scene.ground > 0.25).sum():
        return "it is not clear where the ground is"
    if things.mean() > THINGS or likely.max(2).mean() < PLAIN:
        return "no plain landscape"
    if np.quantile(lab[..., 0], 0.95) < 0.6 or (sky.any() and lab[sky, 0].mean() < 0.4):
        return "too dark for snow"
    if (sky.any() and lab[sky, 2].mean() > 0.02) or (trees.any() and lab[trees, 1].mean() > 0.02):
        return "an evening's or an autumn's colours are not winter's"
    return ""


def _laid(own: Floats, cover: Cover, grain: Floats, lit: float, down: Floats) -> Floats:
    """Pixels in Oklab [rows, W, 3] under their cover [rows, W, 1]; `down`: how far down they are,
    0..1."""
    light, colour = own[..., :1], own[..., 1:]
    ground, trees, rock, sky = (
        plane.clip(0, 1) for plane in (cover.ground, cover.trees, cover.rock, cover.sky)
    )
    detail = light - cover.around
    # Stalks that are much darker than what is around them stand out of the snow near by.
    stalks = 0.5 * smoothstep(-detail, 0.1, 0.22) * smoothstep(down, 0.55, 0.85)
    sheet = cover.snow + 0.1 * detail.clip(-0.1, 0.08) + grain
    sheet = sheet - stalks * (sheet - light).clip(min=0)
    # Leaves are brighter than twigs and needles.
    leafy = smoothstep(cover.crowns, 0.38, 0.6)
    twigs = light - cover.crowns
    bare = 0.05 + (0.74 - 0.16 * leafy) * light + 0.12 * twigs
    frost = 0.9 * smoothstep(cover.frost + twigs, 0.5, 0.95)
    frosted = lit - 0.1 + 0.5 * twigs.clip(-0.2, 0.1) - 0.3 * (0.55 - cover.crowns).clip(0)
    boughs = bare + frost * (frosted - bare).clip(min=0)
    ledges = 0.7 * smoothstep(cover.frost, 0.55, 0.9)
    cliff = light + ledges * (lit - 0.1 - light).clip(min=0)
    rest = light + sky * (0.08 * (0.9 - light).clip(min=0))
    light = rest + ground * (sheet - rest) + trees * (boughs - rest) + rock * (cliff - rest)

    hue = np.degrees(np.arctan2(colour[..., 1:], colour[..., :1])) % 360
    first, certain, last, end = PLANTS
    green = smoothstep(hue, first, certain) * (1 - smoothstep(hue, last, end)) * (1 - sky)
    cold = (0.75 - 0.58 * green - 0.08 * sky) * colour + [-0.002, -0.008]
    hoar = SNOW + SHADE * 0.1
    cold = cold + rock * ledges * (hoar - cold)
    withered = BARK * (0.4 + 0.6 * leafy) + (0.42 - 0.22 * leafy) * colour
    cold = cold + trees * (withered + frost * (hoar - withered) - cold)
    white = SNOW + SHADE * (lit - cover.snow).clip(min=0)
    cold = cold + ground * (1 - stalks) * (white - cold)
    return np.concatenate([light.clip(0, 0.985), cold], 2).astype(np.float32)


def _cover(small: Floats, scene: Scene) -> tuple[Cover, float]:
    """Of the small copy in sRGB; and how light snow is at most."""
    light = to_oklab(small)[..., 0]
    unit = max(small.shape) / 1000
    # What is small is a mistake: it stands among trees.
    ground = scene.ground * smoothstep(softened(scene.ground, 9 * unit), 0.2, 0.5)
    trees = scene.trees + scene.ground - ground
    # At dusk and at night snow is no lamp.
    lit = min(LIT, 0.5 + 0.5 * float(np.quantile(light, 0.95)))
    # Shadows on the ground stay shadows, paler: against what is bright on the ground.
    even = without_texture(_mean(light, ground, 2.5 * unit), max(2, round(10 * unit)), 2.5e-3)
    bright = np.quantile(even[ground > 0.5], 0.85) if (ground > 0.5).any() else 0.6
    snow = lit - 0.03 - 0.65 * (bright - even).clip(-0.05, 0.5)
    around = _mean(light, ground, 5 * unit)
    crowns = _mean(light, trees, 9 * unit)
    stands = (trees + scene.rock).clip(max=1)
    within = light + (1 - stands) * (_mean(light, stands, 6 * unit) - light)
    frost = _facing_up(within, unit)
    return Cover(ground, trees, scene.rock, scene.sky, frost, snow, around, crowns), lit


def _mean(plane: Floats, weights: Floats, sigma: float) -> Floats:
    """[H, W]: the mean of a plane around each place, as far as `weights` go; so what lies beside a
    region casts no halo into it. Far from them, the plain mean."""
    least = np.float32(0.01)
    total = softened(weights * plane, sigma) + least * softened(plane, sigma)
    return total / (softened(weights, sigma) + least)


def _facing_up(light: Floats, unit: float) -> Floats:
    """[H, W], 0..1: what is lighter than what lies below it and around it, by the spread of
    lightness there: clumps of leaves, ledges of rock."""
    facing = np.zeros_like(light)
    for size in (1.6, 4.0):
        clumps = softened(light, size * unit)
        below = np.roll(clumps, -max(1, round(1.5 * size * unit)), 0)
        wide = softened(light, 5 * size * unit)
        spread = np.sqrt(softened((light - wide) ** 2, 8 * size * unit)) + np.float32(0.02)
        facing += smoothstep((clumps - below) / spread, -0.1, 0.9) / 4
        facing += smoothstep((clumps - wide) / spread, -0.3, 1.0) / 4
    return facing


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
