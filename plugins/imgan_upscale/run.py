"""Enlarging pictures with a network that takes and gives [N, 3, H, W] RGB in 0..1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Misuse
from imgan.images import Picture, Source, from_srgb, to_srgb
from imgan.images.tensors import Pixels, Planes, quantise, to_planes
from imgan.images.tiles import run_tiled
from imgan.models.sessions import Session
from imgan.operations import Meter, Result
from imgan_upscale import TILE
from imgan_upscale.degradation import Degradation

SIGMA = 2.0
"""Low frequencies are what a Gaussian of this many input pixels leaves."""

REACH = round(3 * SIGMA)
"""Input pixels on each side that the Gaussian sees."""


@dataclass(frozen=True)
class Blend:
    """Networks of one scale as one: the sum of what they give, each by its part of 1.

    Twice the time of a single one. Two sets of weights in one ONNX graph, blended there, measured
    1.35 times, but such a file would have to be exported from two runs at once.
    """

    parts: tuple[tuple[Session, float], ...]

    @property
    def name(self) -> str:
        return " and ".join(session.name for session, _ in self.parts)

    def run(self, array: Planes) -> Planes:
        """[N, 3, H, W] to [N, 3, scale H, scale W]. Raises what `Session.run` raises."""
        (first, part), *others = self.parts
        result: Planes = first.run(array)
        if others:
            result *= part
        for session, part in others:
            result += part * session.run(array)
        return result


def native_scale(session: Session | Blend) -> int:
    """How much larger the network's output is than its input."""
    return int(session.run(np.zeros((1, 3, 16, 16), np.float32)).shape[2]) // 16


class Upscaler:
    """Enlarges pictures: colours by the network, alpha by bicubic interpolation.

    `tile` is the side in pixels of what the network sees at once. Raises Misuse when the network's
    own scale is not `scale` or a multiple of it.

    Tiles overlap by `run_tiled`'s 32 pixels: the compact network with eight blocks sees 18, the
    lock 8 more.
    """

    def __init__(
        self, session: Session | Blend, scale: int, meter: Meter | None = None, tile: int = TILE
    ) -> None:
        own = native_scale(session)
        if own % scale:
            raise Misuse(f"x{scale}: the model {session.name} enlarges {own} times: ask for x{own}")
        self.session = session
        self.scale = scale
        self.meter = meter or Meter()
        self.tile = tile

    def __call__(self, picture: Picture) -> Result:
        red, green, blue = np.moveaxis(picture.pixels, 2, 0)
        grey = bool((red == green).all() and (green == blue).all())
        convert = not _is_srgb(picture.source)

        def enlarge(tile: Pixels) -> Planes:
            large = self._in_own_colours(tile, picture.source) if convert else self._network(tile)
            if grey:
                large[:] = large.mean(axis=0)
            lock_colours(large, to_planes(tile))
            return large

        pixels = run_tiled(
            picture.pixels, enlarge, scale=self.scale, tile=self.tile, meter=self.meter
        )
        alpha = None if picture.alpha is None else self._alpha(picture.alpha)
        return Result(picture.with_pixels(pixels, alpha), {"scale": self.scale})

    def _network(self, tile: Pixels) -> Planes:
        """sRGB in, sRGB out; a network's larger result is brought down to `scale`."""
        large: Planes = self.session.run(to_planes(tile)[None])[0]
        height, width = (self.scale * side for side in tile.shape[:2])
        if large.shape[1] > height:
            # Antialiased; against the truth it measured better than the mean, and than bicubic.
            down = Image.Resampling.LANCZOS
            large = np.stack([_resize(plane, height, width, down) for plane in large])
        return large

    def _in_own_colours(self, tile: Pixels, source: Source) -> Planes:
        large = self._network(to_srgb(tile, source))
        srgb = np.empty((*large.shape[1:], 3), np.uint8)
        quantise(large, srgb)
        return to_planes(from_srgb(srgb, source))

    def _alpha(self, alpha: Pixels) -> Pixels:
        height, width = alpha.shape
        return _resize(alpha, height * self.scale, width * self.scale)


class ByDegradation:
    """Enlarges each picture by the network that suits it: `clean`, or `restoring` where there are
    traces of JPEG, noise or blur. The first of those is told."""

    def __init__(self, clean: Upscaler, restoring: Upscaler, names: tuple[str, str]) -> None:
        self.clean = clean
        self.restoring = restoring
        self.names = names
        self._told = False

    def __call__(self, picture: Picture) -> Result:
        degradation = Degradation.of(picture)
        reason = degradation.reason
        result = (self.restoring if reason else self.clean)(picture)
        name = self.names[bool(reason)]
        facts = {**result.facts, "model": name, "degradation": degradation.facts}
        notes = result.notes
        if reason and not self._told:
            notes += (f"{reason} found: enlarged by {name}; --model takes another",)
            self._told = True
        return replace(result, facts=facts, notes=notes)


def _is_srgb(source: Source) -> bool:
    """Whether networks can see the pixels as they are, in all their bits."""
    pixel = np.zeros((1, 1, 3), np.uint8)
    return to_srgb(pixel, source) is pixel


def lock_colours(large: Planes, small: Planes) -> None:
    """Give `large` [3, sH, sW] the low frequencies of `small` [3, H, W]; works in place.

    large += up(G * (small - mean(large))), where G is the Gaussian, `mean` that of each s x s block
    and `up` linear. What is finer than G stays as it was: nothing is blurred, and no edge rings.
    """
    scale = large.shape[1] // small.shape[1]
    drift = _smooth(small - _means(large, scale))
    for plane, correction in zip(large, drift, strict=True):
        wide = np.empty((len(correction), plane.shape[1]), np.float32)
        for phase, between in enumerate(_between(correction.T, scale)):
            wide[:, phase::scale] = between.T
        for phase, between in enumerate(_between(wide, scale)):
            plane[phase::scale] += between


def _means(planes: Planes, side: int) -> Planes:
    """The mean of each block of side x side pixels."""
    channels, height, width = planes.shape
    columns = planes.reshape(channels, height // side, side, width).sum(axis=2)
    blocks = columns.reshape(channels, height // side, width // side, side)
    # Over so short an axis a product is ten times as fast as a mean.
    return blocks @ np.full(side, 1 / side**2, np.float32)


def _smooth(planes: Planes) -> Planes:
    """The Gaussian of SIGMA; beyond the edges their pixels go on."""
    offsets = np.arange(-REACH, REACH + 1)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        margins = [(REACH, REACH) if a == axis else (0, 0) for a in range(3)]
        windows = sliding_window_view(np.pad(planes, margins, "edge"), len(weights), axis)
        planes = windows @ weights
    return planes


def _between(plane: NDArray[np.float32], scale: int) -> Iterator[NDArray[np.float32]]:
    """Every `scale`-th row of the plane stretched downwards `scale` times, from row 0, 1 ... on.

    Linear interpolation between pixel centres. A whole stretched plane would not fit into the
    processor's cache.
    """
    above = np.concatenate([plane[:1], plane[:-1]])
    below = np.concatenate([plane[1:], plane[-1:]])
    for phase in range(scale):
        offset = (phase + 0.5) / scale - 0.5
        yield plane + abs(offset) * ((below if offset > 0 else above) - plane)


def _resize(
    plane: NDArray[Any],
    height: int,
    width: int,
    method: Image.Resampling = Image.Resampling.BICUBIC,
) -> NDArray[Any]:
    """A plane [H, W] of any dtype in another size, antialiased when it shrinks."""
    return np.asarray(Image.fromarray(plane).resize((width, height), method))
