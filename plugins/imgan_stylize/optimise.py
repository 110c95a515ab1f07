"""What gram.py does, as functions from picture to picture. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgan.batch.job import Meter
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.tensors import Bytes
from imgan.images.upsampling import LUMA, keep_color, reduced, with_detail
from imgan.training.perceptual import Features, load
from imgan_stylize import Search, Transfer
from imgan_stylize.frames import Film
from imgan_stylize.gram import Painter, choose, split_layers
from imgan_stylize.sheet import sheet

if TYPE_CHECKING:
    from imgan.batch.job import Process

CONTENT_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
"""Across the table of `--grid layers`."""


def start_transfer(
    styles: Sequence[Bytes],
    weights: Sequence[float],
    transfer: Transfer,
    strength: float,
    colours_stay: bool,
    size: int,
    device: str,
    overwrite: bool,
    meter: Meter,
) -> Process:
    """Load the features; returns what stylises one picture of any size.

    The work is done at `size` on the longer side, and carried up to the picture's own.
    """
    film = None if transfer.frames is None else Film()
    painter = Painter(_features(transfer, device), transfer, choose(device), meter, film)
    painter.require({transfer.content_layer, *split_layers(transfer.style_layers)})

    def process(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        photo = to_srgb(picture.pixels, picture.source)
        small = reduced(photo, size)
        content, looks = small, list(styles)
        if colours_stay:
            content = grey(small)
            looks = [matched(style, content) for style in styles]
        painted, loss = painter.stylise(content, looks, weights, transfer, strength)
        result = with_detail(photo, small, painted)
        if colours_stay:
            result = keep_color(photo, result)
        if film is not None and transfer.frames is not None:
            last = keep_color(small, painted) if colours_stay else painted
            film.write(transfer.frames, last, overwrite)
        return picture.with_pixels(from_srgb(result, picture.source)), _facts(painted, loss)

    return process


def start_texture(
    search: Search,
    size: tuple[int, int],
    style_layers: str,
    stroke: int,
    tile: bool,
    device: str,
    meter: Meter,
) -> Process:
    """Load the features; returns what makes a texture of `size` (height, width) of a painting."""
    painter = Painter(_features(search, device), search, choose(device), meter)
    layers = split_layers(style_layers)
    painter.require(layers)

    def process(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        painting = to_srgb(picture.pixels, picture.source)
        result, loss = painter.texture(painting, size, layers, stroke, tile)
        return _anew(picture, result), _facts(result, loss)

    return process


def start_reconstruction(
    search: Search, layer: str | None, size: int, device: str, meter: Meter
) -> Process:
    """Load the features; returns what makes a picture anew from one layer, or a row of all."""
    painter = Painter(_features(search, device), search, choose(device), meter)
    layers = painter.features.layers if layer is None else (layer,)
    painter.require(layers)

    def process(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        photo = to_srgb(picture.pixels, picture.source)
        made = []
        for part, name in enumerate(layers):
            painter.meter = _part(meter, part, len(layers))
            made.append(painter.reconstruct(photo, name, size))
        if layer is not None:
            return _anew(picture, made[0][0]), _facts(*made[0])
        by_name = dict(zip(layers, made, strict=True))
        facts = {name: round(loss, 6) for name, (_, loss) in by_name.items()}
        return _anew(picture, by_scale(reduced(photo, size), by_name)), facts

    return process


def start_table(style: Bytes, transfer: Transfer, size: int, device: str, meter: Meter) -> Process:
    """Load the features; returns what makes the table of content layers and style layers: across,
    where the photo is matched; down, one style layer more in each row."""
    painter = Painter(_features(transfer, device), transfer, choose(device))
    layers = split_layers(transfer.style_layers)
    painter.require({*CONTENT_LAYERS, *layers})
    cells = len(layers) * len(CONTENT_LAYERS)

    def process(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        photo = to_srgb(picture.pixels, picture.source)
        lines: list[list[Bytes]] = []
        for depth in range(1, len(layers) + 1):
            lines.append([])
            for content in CONTENT_LAYERS:
                done = (depth - 1) * len(CONTENT_LAYERS) + len(lines[-1])
                painter.meter = _part(meter, done, cells)
                cell = replace(
                    transfer, content_layer=content, style_layers=",".join(layers[:depth])
                )
                pixels, _ = painter.stylise(reduced(photo, size), [style], [1], cell)
                lines[-1].append(pixels)
        down = [layers[0], *(f"to {layer}" for layer in layers[1:])]
        return _anew(picture, sheet(lines, down, CONTENT_LAYERS)), {"cells": cells}

    return process


def by_scale(photo: Bytes, made: Mapping[str, tuple[Bytes, float]]) -> Bytes:
    """A table of what layers know: a row for each scale, beside the photo."""
    scales = sorted({name.partition("_")[0] for name in made})
    lines = [
        [photo, *(pixels for name, (pixels, _) in made.items() if name.startswith(f"{scale}_"))]
        for scale in scales
    ]
    most = max(map(len, lines))
    return sheet(lines, scales, ["photo", *map(str, range(1, most))])


def grey(picture: Bytes) -> Bytes:
    """The luminance of a picture [H, W, 3], three times."""
    return _bytes(picture @ LUMA)


def matched(style: Bytes, photo: Bytes) -> Bytes:
    """The luminance of a style, with mean and deviation of the photo's.

    The luminance-only transfer of Gatys et al. (arXiv:1606.05897).
    """
    own, wanted = style @ LUMA, photo @ LUMA
    return _bytes((own - own.mean()) * (wanted.std() / max(own.std(), 1.0)) + wanted.mean())


def _bytes(luminance: NDArray[np.floating]) -> Bytes:
    plane = np.rint(luminance).clip(0, 255).astype(np.uint8)
    return np.repeat(plane[..., None], 3, axis=2)


def _features(search: Search, device: str) -> Features:
    return load(search.features).to(choose(device))


def _part(meter: Meter, part: int, parts: int) -> Meter:
    """A meter for one of several equal parts."""
    return Meter(lambda share: meter((part + share) / parts))


def _anew(picture: Picture, pixels: Bytes) -> Picture:
    """Another picture in the file's colour space, without its alpha: sizes differ."""
    return picture.with_pixels(from_srgb(pixels, picture.source), None)


def _facts(pixels: Bytes, loss: float) -> dict[str, object]:
    height, width = pixels.shape[:2]
    return {"worked_at": f"{width}x{height}", "loss": round(loss, 6)}
