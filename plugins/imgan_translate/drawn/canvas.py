"""Strokes as paint: bristles, soft and ragged edges, relief and the light on it, at any size.

A layer of strokes is drawn in several goes. In each, every pixel learns which stroke lies on top
there (polygons in an image of numbers); where it is within its stroke says which bristle left paint
and how much, and that much of the paint covers what was there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from imgan.images.fields import Floats
from imgan.images.oklab import from_oklab
from imgan.images.tensors import Bytes
from imgan_translate.drawn.fields import Generator
from imgan_translate.drawn.strokes import Strokes

SIDES = 1200, 2400
"""Longer side, in pixels, of what is painted, at least and at most; then it is resized."""

GOES = 2
"""In which a layer's strokes are laid on."""

BRISTLE = 1.0
"""Width of a bristle's trace, in thousandths of the longer side; `RUN` is how far it stays."""

RUN = 9.0

RELIEF = 0.5
"""Distance, in the same, over which the relief's height is compared towards the light."""

ROWS = 64

BICUBIC = Image.Resampling.BICUBIC

_TEXTURE = 4096, 64
"""Half pixels across bristles, and steps of `RUN` along them; both wrap around."""


@dataclass(frozen=True)
class Canvas:
    """A painting that will be [height, width, 3]: what is painted so far as `pixels` [H, W, 3] in
    sRGB, 0..255, and their `relief` [H, W]; a `unit` is a thousandth of the longer side."""

    height: int
    width: int
    pixels: Floats
    relief: Floats
    unit: float
    texture: Floats
    rng: Generator

    @classmethod
    def on(cls, ground: Bytes, height: int, width: int, rng: Generator) -> Canvas:
        """With nothing on it yet: a ground [h, w, 3] is seen where no stroke will lie."""
        longer = max(height, width)
        scale = min(max(longer, SIDES[0]), SIDES[1]) / longer
        sides = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(Image.fromarray(ground).resize(sides, BICUBIC), np.float32)
        unit = max(sides) / 1000
        relief = np.zeros(sides[::-1], np.float32)
        return cls(height, width, pixels, relief, unit, _bristles(unit, rng), rng)

    def seen(self, height: int, width: int) -> Bytes:
        """[height, width, 3]: what is painted so far, resized."""
        painted = Image.fromarray(np.rint(self.pixels).clip(0, 255).astype(np.uint8))
        return np.asarray(painted.resize((width, height), Image.Resampling.BOX))

    def lay(self, strokes: Strokes, across: int) -> None:
        """Paint strokes, planned on a picture `across` pixels wide, over what is there."""
        with ThreadPoolExecutor() as threads:
            for go in range(GOES):
                scale = self.relief.shape[1] / across
                self._lay(strokes.part(go, GOES), scale, threads)

    def _lay(self, strokes: Strokes, scale: float, threads: ThreadPoolExecutor) -> None:
        count = len(strokes)
        if not count:
            return
        height, width = self.relief.shape
        top = Image.new("I", (width, height))
        draw = ImageDraw.Draw(top)
        outlines = scale * strokes.outlines(0.7 / scale)
        for number, outline in enumerate(outlines.reshape(count, -1)):
            draw.polygon(outline.tolist(), fill=number + 1)
        numbers = np.asarray(top)
        colour = 255 * from_oklab(strokes.colour)
        columns = [
            scale * strokes.x,
            scale * strokes.y,
            strokes.cosine,
            strokes.sine,
            strokes.curvature / scale,
            scale * strokes.half,
            scale * strokes.back,
            scale * strokes.ahead,
            self.rng.integers(0, _TEXTURE[0], count),
            *colour.T,
            *(255 * from_oklab(strokes.colour + strokes.streak) - colour).T,
        ]
        table = np.stack(columns, 1).astype(np.float32)

        def paint(start: int) -> None:
            self._paint(numbers[start : start + ROWS], table, start)

        list(threads.map(paint, range(0, height, ROWS)))

    def _paint(self, numbers: NDArray[np.int32], table: Floats, start: int) -> None:
        y, x = np.nonzero(numbers)
        if not len(y):
            return
        facts = table[numbers[y, x] - 1].T
        dx, dy = x.astype(np.float32) - facts[0], (y + start).astype(np.float32) - facts[1]
        along = dx * facts[2] + dy * facts[3]
        across = dy * facts[2] - dx * facts[3] - facts[4] / 2 * along**2
        half, back, ahead = facts[5:8]
        bristle = self._bristle(along, across, facts[8])
        end = self._bristle(np.float32(0) * along, across, facts[8] + 977)
        # Distances to the borders, in pixels: bristles end at different places, and run dry.
        side = half + 0.5 + 0.1 * half * (bristle.clip(-2, 2) - 1.5) - np.abs(across)
        ends = np.minimum(ahead - along, along - back) - half * (0.35 + 0.3 * end).clip(min=0)
        soft = 0.9 + 0.12 * half
        opaque = (side / soft).clip(0, 1) * (0.5 + ends / (2 * soft)).clip(0, 1)
        run = ((along - back) / (ahead - back)).clip(0, 1)
        opaque *= (1.25 - 0.5 * run**2 * (0.8 + 0.6 * bristle).clip(0, 2)).clip(0, 1)
        colours = facts[9:12] + 0.6 * bristle * facts[12:15]
        flank = (across / half).clip(-1, 1) ** 4
        thick = 0.5 * (1 - flank) + 0.22 * bristle + 0.15 * run
        place = y + start, x
        for channel in range(3):
            old = self.pixels[(*place, channel)]
            self.pixels[(*place, channel)] = old + opaque * (colours[channel] - old)
        old = self.relief[place]
        self.relief[place] = old + opaque * (thick - 0.8 * old)

    def finished(self, impasto: float) -> Bytes:
        """The painting [height, width, 3], its relief lit."""
        painted = self._lit(impasto)
        height, width = self.relief.shape
        if (height, width) == (self.height, self.width):
            return painted
        image = Image.fromarray(painted)
        larger = self.width / width
        if larger > 1:
            # Steps of pixels at the edges of strokes are not to be enlarged.
            image = image.filter(ImageFilter.GaussianBlur(0.7))
        image = image.resize((self.width, self.height), BICUBIC)
        if larger > 1:
            image = image.filter(ImageFilter.UnsharpMask(1.2 * larger, 120, 0))
        return np.asarray(image)

    def _lit(self, impasto: float) -> Bytes:
        """[H, W, 3]: in light from the upper left."""
        shift = max(1, round(RELIEF * self.unit))
        painted = np.empty(self.pixels.shape, np.uint8)
        for start in range(0, len(painted), ROWS):
            above = max(0, start - shift)
            relief = self.relief[above : start + ROWS]
            lower = np.pad(relief, ((shift, 0), (shift, 0)), "edge")[:-shift, :-shift]
            light = (impasto / 2 * (relief - lower)).clip(-0.14, 0.16)[start - above :, :, None]
            pixels = self.pixels[start : start + ROWS]
            pixels = pixels * (1 + light) + 18 * light.clip(min=0)
            painted[start : start + ROWS] = np.rint(pixels).clip(0, 255)
        return painted

    def _bristle(self, along: Floats, across: Floats, seed: Floats) -> Floats:
        """How much paint a bristle left, around 0 with deviation 1."""
        rows, columns = _TEXTURE
        row = (2 * across + seed).astype(np.int32) & (rows - 1)
        place = along / (RUN * self.unit) + 0.37 * seed
        column = np.floor(place)
        part = place - column
        column = column.astype(np.int32)
        here = self.texture[row, column & (columns - 1)]
        following: Floats = self.texture[row, (column + 1) & (columns - 1)]
        return here + part * (following - here)


def _bristles(unit: float, rng: Generator) -> Floats:
    """`_TEXTURE`: noise in bristles of `BRISTLE` units, that changes slowly along them."""
    rows, columns = _TEXTURE
    traces = rng.standard_normal((max(4, round(rows / (2 * BRISTLE * unit))), columns), np.float32)
    image = Image.fromarray(traces).resize((columns, rows), BICUBIC)
    texture = np.asarray(image)
    weights = (1, 2, 3, 2, 1)
    texture = sum(weight * np.roll(texture, by - 2, 1) for by, weight in enumerate(weights))  # type: ignore[assignment]
    return (texture / texture.std()).astype(np.float32)
