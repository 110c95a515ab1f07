"""`imgan stylize --method patches`: the photo is laid out of patches of the painting.

After Elad and Milanfar 2017 (Style transfer via texture synthesis), which goes back to the texture
optimisation of Kwatra et al. 2005. From coarse to fine, and from large patches to small ones:

1. each patch of the picture finds the patch of the style that is nearest to it;
2. the picture becomes the weighted mean of what overlaps (equation 6: weights |distance|^(r - 2));
3. it goes a little back to the photo, more so where the photo has edges (their equation 8).

Strokes, dots and hatching come over as they are, since they are pieces of the painting, and the
photo decides where they lie. No network is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from imgan.errors import Misuse
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.fields import Floats, boxed, resized
from imgan.images.palettes import color_transfer
from imgan.images.tensors import Bytes
from imgan.images.upsampling import keep_color, reduced, with_detail
from imgan.operations import Meter, Result, Runtime
from imgan_stylize import Stylize

Indices = NDArray[np.intp]


class Pass(NamedTuple):
    """One stage: how many times smaller than the picture, the side of a patch, how often."""

    reduction: int
    side: int
    times: int


PASSES = (
    *(Pass(4, 24, 2), Pass(4, 12, 2)),
    *(Pass(2, 24, 2), Pass(2, 12, 2)),
    *(Pass(1, 20, 1), Pass(1, 10, 1)),
)

PATCHES = 5000
"""Patches that are drawn from the styles for one pass."""

DIMENSIONS = 24
"""Principal components in which patches are compared (their section IV)."""

COARSE = 8
"""Patches are compared at this many pixels a side, or a little more."""

STAY, EDGES = 0.12, 1.0
"""How much the photo weighs against the patches: everywhere, and in addition at its edges."""

RARE = 0.02
"""How much dearer a patch becomes that is taken often, so that all of the palette is used."""

SMALLEST, LARGEST = 16, 2048
"""The range of `size`."""

FRAME = 0.02
"""Of a style's sides nothing is taken: reproductions have frames and worn borders."""


def open_patches(operation: Stylize, runtime: Runtime, size: int) -> Painter:
    """What paints a picture out of patches of the styles, at `size` pixels on the longer side, or
    at the photo's own size if that is smaller.

    Raises Misuse for a size that is out of range.
    """
    if not SMALLEST <= size <= LARGEST:
        raise Misuse(f"--size {size}: --method patches works at {SMALLEST} to {LARGEST} pixels")
    styles = [_within(style.pixels) for style in operation.style]
    return Painter(
        Styles(styles, operation.shares),
        operation.strength,
        size,
        operation.keep_color,
        runtime.meter,
    )


def _within(style: Bytes) -> Bytes:
    height, width = style.shape[:2]
    top, left = (round(side * FRAME) for side in (height, width))
    return style[top : height - top, left : width - left]


@dataclass(frozen=True)
class Painter:
    """Paints pictures of any size. `strength` 0 gives the photo, 1 the painting; `keep_color`
    takes the photo's colours and the painting's brightness."""

    styles: Styles
    strength: float
    size: int
    keep_color: bool
    meter: Meter

    def __call__(self, picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        small = reduced(photo, self.size)
        height, width = small.shape[:2]
        facts = {"worked_at": f"{width}x{height}"}
        if self.strength == 0:
            return Result(picture, facts)
        made = with_detail(photo, small, self.paint(small))
        if self.keep_color:
            made = keep_color(photo, made)
        return Result(picture.with_pixels(from_srgb(made, picture.source)), facts)

    def paint(self, photo: Bytes) -> Bytes:
        """The photo [H, W, 3], as large as it is, out of patches."""
        pixels = photo.astype(np.float32) / 255
        wanted = self.styles.palette.bring(pixels)
        picture = wanted
        total, done = sum(stage.times for stage in PASSES), 0
        for stage in PASSES:
            height, width = (max(side // stage.reduction, 1) for side in photo.shape[:2])
            goal = resized(wanted, height, width)
            weight = STAY + EDGES * edges(goal)
            picture = resized(picture, height, width)
            library = self.styles.library(max(height, width), min(stage.side, height, width))
            for _ in range(stage.times):
                picture = laid(picture, library)
                done += 1
                if done < total:
                    picture = (picture + weight * goal) / (1 + weight)
                    picture = (picture + self.styles.palette.bring(picture)) / 2
                self.meter(done / total)
        picture = self.styles.palette.bring(picture)
        mixed = pixels + self.strength * (picture - pixels)
        return (mixed.clip(0, 1) * 255).round().astype(np.uint8)


@dataclass(frozen=True)
class Palette:
    """Mean [3] and covariance [3, 3] of colours."""

    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, pixels: Floats) -> Palette:
        colours = pixels.reshape(-1, 3)
        return cls(colours.mean(0), np.cov(colours.T, bias=True) + 1e-4 * np.eye(3))

    def bring(self, pixels: Floats) -> Floats:
        """A picture [H, W, 3] in 0..1 in this palette, by the affine map between two clouds of
        colour that moves them least (Pitie and Kokaram 2007)."""
        own = Palette.of(pixels)
        matrix = color_transfer(own.covariance, self.covariance)
        moved = (pixels.reshape(-1, 3) - own.mean) @ matrix + self.mean
        return moved.clip(0, 1).reshape(pixels.shape).astype(np.float32)


@dataclass(frozen=True)
class Library:
    """Patches of styles, and what they are compared by.

    `pixels` [P, 3] are all styles, one after the other; patch k begins at `start` [K] and its next
    row lies `pitch` [K] further. `mean` [D], `axes` [D, d] and `codes` [K, d] are the principal
    components of the patches, seen `coarse` times smaller.
    """

    side: int
    coarse: int
    pixels: Floats
    start: Indices
    pitch: Indices
    mean: Floats
    axes: Floats
    codes: Floats

    def nearest(self, pieces: Floats) -> tuple[Indices, Floats]:
        """For patches [N, D] the nearest of the library, and the distances a channel."""
        codes = (pieces - self.mean) @ self.axes
        half = (self.codes**2).sum(1) / 2
        price = half.copy()
        rng = np.random.default_rng(0)
        some = codes[rng.permutation(len(codes))[:1500]]
        fair = max(len(codes) / len(price), 1) * len(some) / len(codes)
        for _ in range(4):
            taken = np.bincount((some @ self.codes.T - price).argmax(1), minlength=len(price))
            price += RARE * np.median(half) * np.log1p(taken / fair / 3)
        found = np.concatenate(
            [(part @ self.codes.T - price).argmax(1) for part in _parts(codes, 2000)]
        )
        return found, np.sqrt(((codes - self.codes[found]) ** 2).sum(1) / len(self.mean))


def _parts(rows: Floats, most: int) -> Sequence[Floats]:
    return [rows[i : i + most] for i in range(0, len(rows), most)]


@dataclass(frozen=True)
class Styles:
    """Pictures whose patches are taken, each by its share."""

    pictures: Sequence[Bytes]
    shares: Sequence[float]
    palette: Palette = field(init=False)

    def __post_init__(self) -> None:
        own = [Palette.of(reduced(p, 512).astype(np.float32) / 255) for p in self.pictures]
        mean = np.sum([s * p.mean for s, p in zip(self.shares, own, strict=True)], 0)
        spread = [
            s * (p.covariance + np.outer(p.mean - mean, p.mean - mean))
            for s, p in zip(self.shares, own, strict=True)
        ]
        object.__setattr__(self, "palette", Palette(mean, np.sum(spread, 0)))

    def library(self, longest: int, side: int) -> Library:
        """Patches of `side` pixels of the styles, seen `longest` pixels on the longer side."""
        return _library(self, longest, side)

    def __hash__(self) -> int:
        return id(self)


@lru_cache(maxsize=2 * len(PASSES))
def _library(styles: Styles, longest: int, side: int) -> Library:
    """The photos of a batch are often as large as each other: their libraries are the same."""
    rng = np.random.default_rng(0)
    coarse = max(1, side // COARSE)
    side -= side % coarse
    pixels, starts, pitches, pieces, offset = [], [], [], [], 0
    for style, share in zip(styles.pictures, styles.shares, strict=True):
        scale = longest / max(style.shape[:2])
        height, width = (max(round(length * scale), side) for length in style.shape[:2])
        seen = resized(style.astype(np.float32) / 255, height, width)
        windows = _windows(_shrunk(seen, coarse), side // coarse)
        rows, columns = windows.shape[:2]
        chosen = rng.permutation(rows * columns)[: max(round(PATCHES * share), 1)]
        row, column = np.divmod(chosen, columns)
        pieces.append(windows[row, column].reshape(len(chosen), -1))
        starts.append(offset + row * coarse * width + column * coarse)
        pitches.append(np.full(len(chosen), width))
        pixels.append(seen.reshape(-1, 3))
        offset += height * width
    patches = np.concatenate(pieces)
    mean = patches.mean(0)
    _, axes = np.linalg.eigh((patches - mean).T @ (patches - mean))
    axes = np.ascontiguousarray(axes[:, ::-1][:, :DIMENSIONS])
    return Library(
        side,
        coarse,
        np.concatenate(pixels),
        np.concatenate(starts),
        np.concatenate(pitches),
        mean,
        axes,
        (patches - mean) @ axes,
    )


def laid(picture: Floats, library: Library) -> Floats:
    """The picture [H, W, 3] as the weighted mean of the library's patches, which overlap."""
    side = library.side
    step = max(side // 3, min(4, side))
    height, width = picture.shape[:2]
    # A patch begins before each border and one ends behind it, so that borders are as the rest.
    margins = [(step, step + -(length + 2 * step - side) % step) for length in (height, width)]
    wide = np.pad(picture, [*margins, (0, 0)], "symmetric")
    down, across = ((length - side) // step + 1 for length in wide.shape[:2])
    windows = _windows(_shrunk(wide, library.coarse), side // library.coarse)
    rows, columns = (
        (np.arange(count) * step // library.coarse).clip(max=most - 1)
        for count, most in zip((down, across), windows.shape[:2], strict=True)
    )
    pieces = windows[rows][:, columns].reshape(down * across, -1)
    found, distance = library.nearest(pieces)
    weights = ((distance + 0.02) ** -1.5).reshape(down, across).astype(np.float32)
    weights /= weights.mean()
    start, pitch = (table[found].reshape(down, across) for table in (library.start, library.pitch))
    rise = (np.minimum(np.arange(side) + 1, side - np.arange(side)) / (side / 2)) ** 2
    total = np.zeros_like(wide)
    weight = np.zeros((*wide.shape[:2], 1), np.float32)
    for i in range(side):
        for j in range(side):
            share = (weights * np.float32(rise[i] * rise[j]))[..., None]
            place = (
                slice(i, i + (down - 1) * step + 1, step),
                slice(j, j + (across - 1) * step + 1, step),
            )
            total[place] += share * library.pixels[start + i * pitch + j]
            weight[place] += share
    whole: Floats = total / weight
    return whole[step : step + height, step : step + width]


def edges(picture: Floats) -> Floats:
    """Where a picture [H, W, 3] has edges: [H, W, 1] in 0..1."""
    down, across = np.gradient(np.pad(boxed(picture.mean(2), 1), 1, "edge"))
    strength = boxed(np.hypot(down, across)[1:-1, 1:-1], 2)
    result: Floats = (strength / (np.quantile(strength, 0.97) + 1e-6)).clip(0, 1)[..., None]
    return result


def _shrunk(picture: Floats, factor: int) -> Floats:
    """Means over squares of `factor` pixels; what is left over at the end is not seen."""
    height, width = (length // factor for length in picture.shape[:2])
    whole = picture[: height * factor, : width * factor]
    means: Floats = whole.reshape(height, factor, width, factor, 3).mean((1, 3))
    return means


def _windows(picture: Floats, side: int) -> Floats:
    """All squares of `side` pixels: a view [rows, columns, 3, side, side]."""
    return sliding_window_view(picture, (side, side), axis=(0, 1))
