"""Large pictures through a network a tile at a time: split, run, blend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.tensors import Pixels, Planes, quantise
from imgan.models.sessions import OutOfMemory

BLEND = 8
"""Pixels of the input over which one tile fades into the next."""


def run_tiled(
    pixels: Pixels,
    run: Callable[[Pixels], Planes],
    *,
    scale: int = 1,
    tile: int = 512,
    overlap: int = 32,
    meter: Callable[[float], None] = lambda share: None,
) -> Pixels:
    """A picture [H, W, 3] through `run`, `scale` times as large and of the same dtype.

    `run` takes tiles [h, w, 3] of the picture and returns [3, scale h, scale w] in 0..1. `tile` is
    the largest side of a tile and `overlap` the context on each of its inner sides that is thrown
    away, in pixels of the input: with an overlap of at least the network's receptive radius the
    result is that of the whole picture at once. All tiles have one shape, for which the runtime
    reuses its buffers, and it is no larger than that many tiles need.

    `meter` hears after every tile how far the picture is, 0..1; what it raises ends the work.

    Never more than a row of tiles is there in floating point. When `run` raises OutOfMemory, that
    tile and the ones after it are cut into tiles of half the side; Failure when they get too small.
    """
    if tile < smallest(overlap):
        raise ValueError(
            f"tiles of {tile} with an overlap of {overlap}: {smallest(overlap)} at least"
        )
    height, width = pixels.shape[:2]
    result = np.empty((height * scale, width * scale, 3), pixels.dtype)
    top = 0
    for rows in _Tiler(run, scale, tile, overlap, meter, _area(pixels)).rows(pixels):
        bottom = top + rows.shape[1]
        quantise(rows, result[top:bottom])
        top = bottom
        del rows  # before the next ones are made
    return result


def tile_count(height: int, width: int, tile: int, overlap: int = 32) -> int:
    """How many tiles `run_tiled` cuts a picture into."""
    return _cut(height, tile, overlap)[0] * _cut(width, tile, overlap)[0]


def work(height: int, width: int, tile: int, overlap: int = 32) -> int:
    """How many pixels `run_tiled` gives to the network, what tiles share counted each time."""
    return tile_count(height, width, tile, overlap) * largest(height, width, tile, overlap)


def largest(height: int, width: int, tile: int, overlap: int = 32) -> int:
    """How many pixels the network sees at once."""
    return _cut(height, tile, overlap)[1] * _cut(width, tile, overlap)[1]


def _cut(length: int, tile: int, overlap: int) -> tuple[int, int]:
    """How many tiles there are along one axis, and of what size: as few as can be, and then as
    small as so many can be."""
    if length <= tile:
        return 1, length
    shared = 2 * overlap + BLEND
    count = -((shared - length) // (tile - shared))
    return count, -(-(length + (count - 1) * shared) // count)


def smallest(overlap: int) -> int:
    """The smallest side of a tile: below it most of the work would be thrown away."""
    return 4 * (overlap + BLEND)


@dataclass
class _Tiler:
    run: Callable[[Pixels], Planes]
    scale: int
    tile: int
    overlap: int
    meter: Callable[[float], None]
    area: int
    """Pixels of the whole picture."""
    seen: int = 0
    """Pixels that were run, at most those of the picture: what tiles share counts once or twice."""

    def rows(self, pixels: Pixels) -> Iterator[Planes]:
        """The result from top to bottom, a row of tiles at a time."""
        height, width = pixels.shape[:2]
        down, across = self._spans(height), self._spans(width)
        if len(down) == len(across) == 1:
            yield self._one(pixels)
            return
        carried = np.empty((3, 0, width * self.scale), np.float32)
        for y, following in zip(down, [*down[1:], None], strict=True):
            strip = np.zeros((3, len(y.weights), width * self.scale), np.float32)
            strip[:, : carried.shape[1]] = carried
            for x in across:
                result = self._one(pixels[y.source, x.source])[:, y.kept, x.kept]
                weights = y.weights[:, None] * x.weights
                for plane, part in zip(strip, result, strict=True):
                    plane[:, x.target] += weights * part
            end = following.target.start if following else y.target.stop
            done = end - y.target.start
            carried = strip[:, done:].copy()
            yield strip[:, :done]

    def _one(self, pixels: Pixels) -> Planes:
        """One tile, through smaller ones where it does not fit into memory."""
        side = max(pixels.shape[:2])
        if side <= self.tile:
            try:
                result = self.run(pixels)
                self.seen = min(self.area, self.seen + _area(pixels))
                self.meter(self.seen / self.area)
                return result
            except OutOfMemory as error:
                self.tile = side // 2
                if self.tile < smallest(self.overlap):
                    raise Failure(
                        f"{error} runs out of memory on tiles of {side} pixels, the smallest that "
                        "make sense: close other programs, or try --device cpu"
                    ) from error
        return np.concatenate(list(self.rows(pixels)), axis=1)

    def _spans(self, length: int) -> list[_Span]:
        """The tiles along one axis, evenly spread; each fades into the next in the middle of what
        both see."""
        count, size = _cut(length, self.tile, self.overlap)
        starts = [i * (length - size) // max(count - 1, 1) for i in range(count)]
        fades = [(a + size + b - BLEND) // 2 for a, b in pairwise(starts)]
        begins = [0, *fades]
        ends = [*(fade + BLEND for fade in fades), length]
        return [
            _Span.scaled(start, size, begin, end, length, self.scale)
            for start, begin, end in zip(starts, begins, ends, strict=True)
        ]


def _area(pixels: Pixels) -> int:
    height, width = pixels.shape[:2]
    return height * width


@dataclass(frozen=True)
class _Span:
    """A tile along one axis: its pixels in the picture, the part of its result that is kept, where
    that goes in the whole result, and its weights there, which fade to zero towards a neighbour."""

    source: slice
    kept: slice
    target: slice
    weights: NDArray[np.float32]

    @classmethod
    def scaled(cls, start: int, size: int, begin: int, end: int, length: int, scale: int) -> _Span:
        """The span that sees `size` pixels from `start` on and answers for those in begin..end."""
        weights = np.ones((end - begin) * scale, np.float32)
        fade = (np.arange(BLEND * scale, dtype=np.float32) + 0.5) / (BLEND * scale)
        if begin > 0:
            weights[: len(fade)] = fade
        if end < length:
            weights[-len(fade) :] = 1 - fade
        return cls(
            source=slice(start, start + size),
            kept=slice((begin - start) * scale, (end - start) * scale),
            target=slice(begin * scale, end * scale),
            weights=weights,
        )
