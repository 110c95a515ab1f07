"""Prints from wood blocks: flat areas of few inks, shaded softly, with drawn contours.

Areas and contours are smooth fields on a small copy, enlarged: so a print looks the same at any
size.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from imgan.images.codecs import rows as cut
from imgan.images.fields import Floats, blurred, guided, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.fields import (
    Enlarged,
    Generator,
    simplified,
    slopes,
    softened,
    without_texture,
)
from imgan_translate.drawn.palettes import Palette, Repaint
from imgan_translate.drawn.skies import sky, steepness

SIZE = 1300
"""Longer side, in pixels, of the copy on which areas and contours are found, at most."""

SIDE, LARGER = 2000, 2
"""Longer side up to which a picture is printed larger than it is, and how many times at most."""

AREAS = 2.4, 2.4, 4.8
"""In thousandths of the longer side: what is smaller is not printed."""

HUE = np.array([1, 3, 3], np.float32)
"""How much differences of L, a and b count when inks are chosen."""

BLEND = 0.005
"""Squared difference over which one ink goes over into the next."""

DARKER = 0.004, 0.012
"""How much darker (in L) than around a line is that begins to be drawn, and that is."""

WHOLE = 0.45, 0.7
"""The part of a line, along its direction, that is to be there for it to begin to be drawn, and to
be drawn: shorter ones are crumbs."""

REACH = 7, 22
"""How far along a line its darkness is averaged, and then its presence, to each side; in
thousandths of the longer side."""

BAND = 0.3
"""The part of the height over which the sky is wiped darker towards the upper border (bokashi)."""

EVEN = 12
"""In thousandths of the longer side, how far what varies less than `SPREAD` (in L, a and b) goes
over into one another, as colours on wet paper do: or it would be blots."""

SPREAD = 0.07, 0.03, 0.03

BRIDGE = 10
"""How far from a line's end it goes on over a gap, in thousandths of the longer side."""

STEP = 1.5
"""Pixels between places along a line."""

ROWS = 64
"""Rows of the result that are printed at once."""


@dataclass(frozen=True)
class Woodblock:
    """Prints a photo [H, W, 3] sRGB, at its size.

    `inks`, Oklab, is what areas are printed with, `contour` the ink of lines, `heaven` that of the
    upper sky. `purity`: how far colours go to the nearest inks.
    """

    palette: Palette
    inks: tuple[tuple[float, float, float], ...]
    contour: tuple[float, float, float]
    heaven: tuple[float, float, float]
    repaint: Repaint
    purity: float = 0.6

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        rng = np.random.default_rng(0)
        small = reduced(photo, SIZE)
        unit = max(small.shape) / 1000
        own = to_oklab(small / np.float32(255))
        lab = self.repaint(own, self.palette)
        flat = lab
        for size in AREAS:
            flat = simplified(flat, size * unit)
        even = _evened(flat, EVEN * unit)
        areas = even + self.purity * (self._inked(even) - even)
        wiped = 0.85 * _upper_sky(small / np.float32(255), own, unit)
        areas += wiped[..., None] * (np.array(self.heaven, np.float32) - areas)
        colours = 255 * from_oklab(areas)
        contours = _contours(simplified(lab, AREAS[0] / 3 * unit)[..., 0], unit)
        meter(0.4)
        line = 255 * from_oklab(np.array(self.contour, np.float32))

        def ink(planes: Enlarged) -> Bytes:
            pixels = planes.stacked(colours)
            fibre = 0.7 * (planes(grain) + planes(threads))[..., None]
            drawn = smoothstep(planes(contours), 0.3, 0.6)[..., None]
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
                meter(0.4 + 0.6 * band.stop / sides[0])
        if sides == (height, width):
            return printed
        return np.asarray(
            Image.fromarray(printed).resize((width, height), Image.Resampling.LANCZOS)
        )

    def _inked(self, lab: Floats) -> Floats:
        """Colours [H, W, 3] as mixtures of the inks around them."""
        inks = np.array(self.inks, np.float32)
        distances = [((HUE * (lab - ink)) ** 2).sum(2) for ink in inks]
        nearest = np.minimum.reduce(distances)
        mixed, total = np.zeros_like(lab), np.zeros_like(nearest)
        for ink, distance in zip(inks, distances, strict=True):
            share = np.exp((nearest - distance) / np.float32(BLEND))
            mixed += share[..., None] * ink
            total += share
        return mixed / total[..., None]


def _evened(lab: Floats, radius: float) -> Floats:
    """Colours [H, W, 3] that run into one another where they differ by less than `SPREAD`."""
    planes = zip(np.moveaxis(lab, 2, 0), SPREAD, strict=True)
    window = max(1, round(radius))
    return np.stack([without_texture(plane, window, spread**2) for plane, spread in planes], 2)


def _upper_sky(small: Floats, lab: Floats, unit: float) -> Floats:
    """[H, W], 0..1: the sky, less and less downwards; what has not its colour stays out, such as
    white domes and clouds."""
    texture = softened(steepness(lab[..., 0], unit), 4 * unit) ** 2
    above = guided(small, sky(lab, texture, unit), round(20 * unit), 2e-4)
    down = np.linspace(0, 1 / BAND, len(lab), dtype=np.float32)[:, None]
    above = smoothstep(above, 0.2, 0.55) * (1 - smoothstep(down, 0.1, 1))
    colour = (above[..., None] * lab).sum((0, 1)) / (above.sum() + 1)
    return above * (1 - smoothstep(np.linalg.norm(lab - colour, axis=2), 0.12, 0.25))


def _contours(light: Floats, unit: float) -> Floats:
    """[H, W], 0..1: lines that are darker than what is around them, averaged along their own
    direction (flow-based difference of Gaussians, Kang et al. 2007); of those the long ones, their
    gaps bridged."""
    sigma = max(0.7, 1.25 * unit)
    fine = blurred(light, sigma)
    darker = blurred(light, 1.6 * sigma) - fine
    dy, dx = slopes(fine)
    xx, xy, yy = np.moveaxis(softened(np.stack([dx * dx, dx * dy, dy * dy], 2), 3 * sigma), 2, 0)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)
    lines = smoothstep(_along(darker, angle, REACH[0] * unit), *DARKER)
    whole = lines * smoothstep(_along(lines, angle, REACH[1] * unit), *WHOLE)
    return np.maximum(whole, smoothstep(_along(whole, angle, BRIDGE * unit), 0.35, 0.6))


def _along(plane: Floats, angle: Floats, reach: float) -> Floats:
    """The plane [H, W] averaged along the lines that everywhere have the angle, over `reach` pixels
    to each side (line integral convolution, Cabral and Leedom 1993)."""
    height, width = plane.shape
    cosine, sine = np.cos(angle), np.sin(angle)
    total = plane.copy()
    steps = max(1, round(reach / STEP))
    for sense in (1, -1):
        y, x = np.mgrid[:height, :width].astype(np.float32)
        dx, dy = sense * cosine, sense * sine
        for _ in range(steps):
            x, y = (x + STEP * dx).clip(0, width - 1), (y + STEP * dy).clip(0, height - 1)
            there = (y + 0.5).astype(np.int32), (x + 0.5).astype(np.int32)
            total += plane[there]
            new_x, new_y = cosine[there], sine[there]
            turn = np.where(new_x * dx + new_y * dy < 0, -1, 1).astype(np.float32)
            dx, dy = turn * new_x, turn * new_y
    return total / (2 * steps + 1)


def _paper(height: int, width: int, rng: Generator) -> tuple[Floats, Floats]:
    """The paper's fine grain and the long threads of the wood, as small planes of noise."""
    grain = max(1.0, 1.2 * max(height, width) / 1000)
    rows, columns = int(height / grain) + 1, int(width / grain) + 1
    fine = rng.standard_normal((rows, columns), np.float32)
    return fine, rng.standard_normal((rows // 2 + 1, 30), np.float32)
