"""Strokes as paint: bristles, relief and the light on it, at any size.

Every pixel learns which stroke lies on top of it (polygons in an image of numbers), then all pixels
are shaded at once: where a pixel is within its stroke says which bristle left it and how thick the
paint is. Small pictures are painted larger and reduced, so edges are smooth.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imgan.images.fields import Floats
from imgan.images.oklab import from_oklab
from imgan.images.tensors import Bytes
from imgan.operations import Meter
from imgan_translate.drawn.fields import Generator
from imgan_translate.drawn.strokes import Strokes

SIDE = 3000
"""Longer side, in pixels, up to which a picture is painted larger than it is."""

LARGER = 3
"""And how many times larger at most."""

BRISTLE = 1.1
"""Width of a bristle's trace, in thousandths of the longer side; `RUN` is how far it stays."""

RUN = 6.0

RELIEF = 0.55
"""Distance, in the same, over which the relief's height is compared towards the light."""

ROWS = 64

_TEXTURE = 4096, 64
"""Pixels across bristles, and steps of `RUN` along them; both wrap around."""


def render(
    strokes: Strokes,
    ground: Bytes,
    height: int,
    width: int,
    impasto: float,
    rng: Generator,
    meter: Meter,
) -> Bytes:
    """A painting [height, width, 3] from strokes planned on a picture as large as `ground`
    [h, w, 3], which is seen where no stroke lies."""
    longer = max(height, width)
    larger = max(1.0, min(LARGER, SIDE / longer))
    sides = round(width * larger), round(height * larger)
    scale = sides[0] / ground.shape[1]
    top = Image.new("I", sides)
    draw = ImageDraw.Draw(top)
    for number, outline in enumerate((strokes.outlines(rng) * scale).reshape(len(strokes), -1)):
        draw.polygon(outline.tolist(), fill=number + 1)
    under = np.asarray(Image.fromarray(ground).resize(sides, Image.Resampling.BICUBIC))
    shade = _Shader.of(strokes, np.asarray(top), under, scale, max(sides) / 1000, impasto, rng)
    painted = np.empty_like(under)
    with ThreadPoolExecutor() as threads:
        for start, rows in threads.map(shade, range(0, sides[1], ROWS)):
            painted[start : start + len(rows)] = rows
            meter((start + len(rows)) / sides[1])
    if sides == (width, height):
        return painted
    return np.asarray(Image.fromarray(painted).resize((width, height), Image.Resampling.LANCZOS))


@dataclass(frozen=True)
class _Shader:
    """Paints rows of pixels. `table` [N + 1, 14] has a stroke's facts side by side, so that one
    look-up finds them all; row 0 is the ground."""

    top: NDArray[np.int32]
    under: Bytes
    table: Floats
    texture: Floats
    unit: float
    impasto: float

    @classmethod
    def of(
        cls,
        strokes: Strokes,
        top: NDArray[np.int32],
        under: Bytes,
        scale: float,
        unit: float,
        impasto: float,
        rng: Generator,
    ) -> _Shader:
        colour = 255 * from_oklab(strokes.colour)
        count = len(strokes)
        columns = [
            scale * strokes.x,
            scale * strokes.y,
            strokes.cosine,
            strokes.sine,
            strokes.curvature / scale,
            1 / (scale * strokes.half),
            rng.integers(0, _TEXTURE[0], count),
            rng.uniform(0, 0.5, count),
            *colour.T,
            *(255 * from_oklab(strokes.colour + strokes.streak) - colour).T,
        ]
        table = np.stack(columns, 1).astype(np.float32)
        table = np.concatenate([np.zeros((1, len(columns)), np.float32), table])
        return cls(top, under, table, _bristles(unit, rng), unit, impasto)

    def __call__(self, start: int) -> tuple[int, Bytes]:
        """`start` and the rows from there on."""
        shift = max(1, round(RELIEF * self.unit))
        above = max(0, start - shift)
        numbers = self.top[above : start + ROWS]
        facts = self.table[numbers]
        dx = np.arange(numbers.shape[1], dtype=np.float32) - facts[..., 0]
        dy = np.arange(above, above + len(numbers), dtype=np.float32)[:, None] - facts[..., 1]
        along = dx * facts[..., 2] + dy * facts[..., 3]
        across = dy * facts[..., 2] - dx * facts[..., 3] - facts[..., 4] / 2 * along**2
        bristle = self._bristle(along, across, facts[..., 6])
        flank = (across * facts[..., 5]).clip(-1.2, 1.2) ** 4
        relief = 0.55 * (1 - flank) + 0.22 * bristle + facts[..., 7]
        # Light from the upper left, compared with what stands there.
        lower = np.pad(relief, ((shift, 0), (shift, 0)), "edge")[:-shift, :-shift]
        light = (self.impasto / 2 * (relief - lower)).clip(-0.16, 0.2)[..., None]
        pixels = facts[..., 8:11] + 0.6 * bristle[..., None] * facts[..., 11:14]
        pixels = np.where(numbers[..., None] == 0, self.under[above : start + ROWS], pixels)
        pixels = pixels * (1 + light) + 18 * light.clip(min=0)
        return start, np.rint(pixels[start - above :]).clip(0, 255).astype(np.uint8)

    def _bristle(self, along: Floats, across: Floats, seed: Floats) -> Floats:
        """How much paint a bristle left, around 0 with deviation 1."""
        rows, columns = _TEXTURE
        row = (across + seed).astype(np.int32) & (rows - 1)
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
    traces = rng.standard_normal((max(4, round(rows / (BRISTLE * unit))), columns), np.float32)
    image = Image.fromarray(traces).resize((columns, rows), Image.Resampling.BICUBIC)
    texture = np.asarray(image)
    weights = (1, 2, 3, 2, 1)
    texture = sum(weight * np.roll(texture, by - 2, 1) for by, weight in enumerate(weights))  # type: ignore[assignment]
    return (texture / texture.std()).astype(np.float32)
