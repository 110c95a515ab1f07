"""Smooth planes, where speed counts for more than the exact width of a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from imgan.images.fields import Floats, blurred, boxed, resized, smoothstep

Generator = np.random.Generator


def softened(planes: Floats, sigma: float) -> Floats:
    """About a Gaussian of `sigma` pixels over [H, W] or [H, W, C]: two boxes, on a copy that is so
    small that the Gaussian has 2."""
    height, width = planes.shape[:2]
    factor = max(1.0, min(sigma / 2, height / 8, width / 8))
    radius = round(0.9 * sigma / factor)
    if radius == 0:
        return planes
    small = resized(planes, round(height / factor), round(width / factor))
    return resized(boxed(boxed(small, radius), radius), height, width)


def simplified(lab: Floats, sigma: float) -> Floats:
    """The picture without what is smaller than `sigma` pixels, its edges sharp: means of eight
    sectors around each place, those that vary least weighing most (Papari et al. 2007, after
    Kuwahara et al. 1976)."""
    if sigma < 0.5:
        return lab
    factor = max(1.0, min(sigma / 1.5, min(lab.shape[:2]) / 8))
    height, width = lab.shape[:2]
    if factor >= 1.5:
        small = resized(lab, round(height / factor), round(width / factor))
        return resized(simplified(small, sigma / factor), height, width)
    mean = blurred(lab, sigma)
    spread = blurred((lab**2).sum(2), sigma) - (mean**2).sum(2)
    spread = spread.clip(min=0)[..., None]
    reach = 1.5 * sigma
    weights = 1 / np.square(np.square(spread + np.float32(2e-5)))
    far = int(np.ceil(reach))
    edge = ((far, far), (far, far), (0, 0))
    mean, weights = np.pad(weights * mean, edge, "edge"), np.pad(weights, edge, "edge")
    total, weight = np.zeros_like(lab), np.zeros((height, width, 1), np.float32)
    for angle in np.arange(8) * np.pi / 4:
        down, across = round(reach * np.sin(angle)), round(reach * np.cos(angle))
        there = np.s_[far + down : far + down + height, far + across : far + across + width]
        total += mean[there]
        weight += weights[there]
    return total / weight


def without_texture(plane: Floats, radius: int, variance: float) -> Floats:
    """[H, W] through a guided filter by itself (He et al. 2013): what varies less than `variance`
    within `radius` pixels is evened, and edges stay."""
    mean = boxed(plane, radius)
    own = (boxed(plane**2, radius) - mean**2).clip(min=0)
    slope = own / (own + np.float32(variance))
    return boxed(slope, radius) * plane + boxed(mean - slope * mean, radius)


def faint(apart: Floats, sigma: float, *spreads: float) -> Floats:
    """How far differences from the surroundings [H, W] are seen, and are weak, within `sigma`
    pixels, 0..1. Four `spreads`, as deviations: 0 up to the first, 1 from the second to the third,
    and 0 from the last on."""
    none, all_, falls, strong = spreads
    spread = np.sqrt(softened(apart**2, sigma))
    return smoothstep(spread, none, all_) * (1 - smoothstep(spread, falls, strong))


def noise(height: int, width: int, part: float, rng: Generator) -> Floats:
    """[H, W]: smooth noise of deviation 1 at its points, so far apart, in parts of the longer
    side."""
    step = part * max(height, width)
    points = rng.standard_normal((int(height / step) + 3, int(width / step) + 3), np.float32)
    return resized(points, height, width)


def slopes(plane: Floats) -> tuple[Floats, Floats]:
    """The derivatives of [H, W] down and across, of a plane of any size."""
    padded = np.pad(plane, 1, "edge")
    down, across = (np.asarray(np.gradient(padded, axis=axis)) for axis in (0, 1))
    return down[1:-1, 1:-1], across[1:-1, 1:-1]


def steepness(light: Floats, unit: float) -> Floats:
    """[H, W]: roots of gradients by a thousandth of the longer side, which is `unit` pixels; so
    one edge is not texture. The square of their mean around a place is its texture."""
    return np.sqrt(unit * np.hypot(*slopes(softened(light, 1.2 * unit))))


@dataclass(frozen=True)
class Enlarged:
    """Small planes enlarged to [height, width], of which the rows from `start` to `stop`."""

    start: int
    stop: int
    height: int
    width: int

    def __call__(self, plane: Floats) -> Floats:
        """[rows, width] of a plane of any size, cubic."""
        rows, columns = plane.shape
        down = rows / self.height
        box = (0, self.start * down, columns, min(self.stop * down, rows))
        size = self.width, self.stop - self.start
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC, box))

    def stacked(self, planes: Floats) -> Floats:
        """[rows, width, C] of [h, w, C]."""
        return np.stack(
            [self(np.ascontiguousarray(plane)) for plane in np.moveaxis(planes, 2, 0)], 2
        )
