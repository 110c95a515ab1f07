"""Prints from wood blocks: flat areas of few inks, shaded softly, with drawn contours.

Areas and contours are smooth fields on a small copy, enlarged and cut there: so their edges are
sharp at any size.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.images.codecs import rows as cut
from imgan.images.fields import Floats, blurred, boxed, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.fields import Enlarged, Generator, slopes, softened
from imgan_translate.drawn.palettes import Palette, Repaint

SIZE = 900
"""Longer side, in pixels, of the copy on which areas and contours are found, at most."""

SIDE, LARGER = 3000, 3
"""Longer side up to which a picture is printed larger than it is, and how many times at most."""

TEXTURE = 3e-3
"""Variance (in Oklab) below which the photo's texture is not printed."""

HUE = np.array([1, 2, 2], np.float32)
"""How much differences of L, a and b count when colours are told apart."""

DARKER = 0.007, 0.02
"""How much darker (in L) than around a line is that begins to be drawn, and that is."""

ROWS = 64
"""Rows of the result that are printed at once."""

SAMPLE = 6000
"""Pixels among which the centres of clusters are found."""


@dataclass(frozen=True)
class Woodblock:
    """Prints a photo [H, W, 3] sRGB, at its size.

    `inks`, Oklab, is what areas are printed with, `contour` the ink of lines. `areas`: how many
    colours there are. `purity`: how far each goes to its nearest inks, and `shading` how much of
    the photo's own smooth light is left within it.
    """

    palette: Palette
    inks: tuple[tuple[float, float, float], ...]
    contour: tuple[float, float, float]
    repaint: Repaint
    areas: int = 12
    purity: float = 0.75
    shading: float = 0.7

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        rng = np.random.default_rng(0)
        small = reduced(photo, SIZE)
        unit = max(small.shape) / 1000
        lab = self.repaint(to_oklab(small / np.float32(255)), self.palette)
        flat = _flattened(lab, max(1, round(5 * unit)))
        centres, labels = clusters(flat, self.areas, rng)
        inked = self._inked(centres)
        # What a colour loses by being one is smooth within an area, so it crosses no edge.
        shade = self.shading * softened(flat - centres[labels], 14 * unit)
        colours = 255 * from_oklab(inked)
        shade = 255 * from_oklab((inked[labels] + shade).astype(np.float32)) - colours[labels]
        shade = softened(shade, 2 * unit)

        shares = [softened((labels == k).astype(np.float32), 1.6 * unit) for k in range(self.areas)]
        contours = _contours(lab[..., 0], unit)
        meter(0.2)
        line = 255 * from_oklab(np.array(self.contour, np.float32))

        def ink(planes: Enlarged) -> Bytes:
            pixels = colours[planes.largest(shares)] + planes.stacked(shade)
            fibre = 0.7 * (planes(grain) + planes(threads))[..., None]
            drawn = smoothstep(planes(contours), 0.35, 0.6)[..., None]
            drawn = drawn * (0.92 + 0.06 * fibre).clip(0, 1)
            pixels += 2.2 * fibre
            pixels += drawn * (line - pixels)
            return np.rint(pixels).clip(0, 255).astype(np.uint8)

        height, width = photo.shape[:2]
        larger = max(1.0, min(LARGER, SIDE / max(height, width)))
        sides = round(height * larger), round(width * larger)
        grain, threads = _paper(*sides, rng)
        printed = np.empty((*sides, 3), np.uint8)
        most = ROWS * sides[1]
        with ThreadPoolExecutor() as pool:
            bands = [Enlarged(rows.start, rows.stop, *sides) for rows in cut(*sides, most)]
            for band, pixels in zip(bands, pool.map(ink, bands), strict=True):
                printed[band.start : band.stop] = pixels
                meter(0.2 + 0.8 * band.stop / sides[0])
        if sides == (height, width):
            return printed
        return np.asarray(
            Image.fromarray(printed).resize((width, height), Image.Resampling.LANCZOS)
        )

    def _inked(self, centres: Floats) -> Floats:
        """Colours [K, 3] on their way to the inks around them."""
        inks = np.array(self.inks, np.float32)
        distance = ((HUE * (centres[:, None] - inks)) ** 2).sum(2)
        weights = np.exp((distance.min(1, keepdims=True) - distance) / 0.003)[..., None]
        near = (weights * inks).sum(1) / weights.sum(1)
        return (centres + self.purity * (near - centres)).astype(np.float32)


def clusters(lab: Floats, count: int, rng: Generator) -> tuple[Floats, NDArray[np.intp]]:
    """`count` colours [K, 3] that stand for those of a picture [H, W, 3] in Oklab, and which of
    them is nearest to each pixel [H, W]: k-means++ (Arthur and Vassilvitskii 2007)."""
    points = (HUE * lab).reshape(-1, 3)
    sample = points[rng.integers(0, len(points), SAMPLE)].astype(np.float64)
    centres = sample[:1]
    while len(centres) < count:
        distance = _squares(sample, centres).min(1) + 1e-9
        following = sample[rng.choice(SAMPLE, p=distance / distance.sum())]
        centres = np.concatenate([centres, following[None]])
    for _ in range(12):
        near = _squares(sample, centres).argmin(1)
        weights = np.bincount(near, minlength=count)[:, None]
        sums = np.stack([np.bincount(near, axis, count) for axis in sample.T], 1)
        centres = np.where(weights > 0, sums / np.maximum(weights, 1), centres)
    centres = centres.astype(np.float32)
    return centres / HUE, _squares(points, centres).argmin(1).reshape(lab.shape[:2])


def _squares(points: Floats, centres: Floats) -> Floats:
    """[N, K]: squared distances, less what is equal for all centres."""
    whole = (points**2).sum(1)[:, None] + (centres**2).sum(1)
    return (whole - 2 * points @ centres.T).clip(min=0)


def _flattened(lab: Floats, radius: int) -> Floats:
    """The picture without its texture and with its edges: guided filters of it by itself, with one
    gain for all three channels (He et al. 2013)."""
    for _ in range(2):
        mean = boxed(lab, radius)
        variance = (boxed(lab**2, radius) - mean**2).sum(2, keepdims=True).clip(min=0)
        gain = variance / (variance + np.float32(TEXTURE))
        lab = boxed(gain, radius) * lab + boxed((1 - gain) * mean, radius)
    return lab


def _contours(light: Floats, unit: float) -> Floats:
    """[H, W], 0..1: lines that are darker than what is around them, averaged along their own
    direction (flow-based difference of Gaussians, Kang et al. 2007)."""
    sigma = max(0.7, 1.1 * unit)
    fine = blurred(light, sigma)
    darker = blurred(light, 1.6 * sigma) - fine
    dy, dx = slopes(fine)
    xx, xy, yy = np.moveaxis(softened(np.stack([dx * dx, dx * dy, dy * dy], 2), 2.5 * sigma), 2, 0)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)
    cosine, sine = np.cos(angle), np.sin(angle)
    height, width = light.shape
    total = darker.copy()
    steps = 7
    for sense in (1, -1):
        y, x = np.mgrid[:height, :width].astype(np.float32)
        dx, dy = sense * cosine, sense * sine
        for _ in range(steps):
            x, y = (x + unit * dx).clip(0, width - 1), (y + unit * dy).clip(0, height - 1)
            there = (y + 0.5).astype(np.int32), (x + 0.5).astype(np.int32)
            total += darker[there]
            new_x, new_y = cosine[there], sine[there]
            turn = np.where(new_x * dx + new_y * dy < 0, -1, 1).astype(np.float32)
            dx, dy = turn * new_x, turn * new_y
    return smoothstep(total / (2 * steps + 1), *DARKER)


def _paper(height: int, width: int, rng: Generator) -> tuple[Floats, Floats]:
    """The paper's fine grain and the long threads of the wood, as small planes of noise."""
    grain = max(1.0, 1.2 * max(height, width) / 1000)
    rows, columns = int(height / grain) + 1, int(width / grain) + 1
    fine = rng.standard_normal((rows, columns), np.float32)
    return fine, rng.standard_normal((rows // 2 + 1, 30), np.float32)
