"""What gram.py does, as functions from picture to picture. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.tensors import Bytes
from imgan.images.upsampling import LUMA, keep_color, reduced, with_detail
from imgan.operations import Process, Result, Runtime
from imgan.training.perceptual import load
from imgan_stylize import Reconstruct, Search, Stylize, Texture
from imgan_stylize.frames import Film
from imgan_stylize.gram import Painter, choose, split_layers
from imgan_stylize.sheet import CELL, sheet

RECONSTRUCTED = 512
"""The longer side of a picture that is made anew, where --size does not say."""

CONTENT_LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
"""Across the table of `--grid layers`."""


def open_transfer(operation: Stylize, runtime: Runtime, size: int) -> Process:
    """Load the features; returns what stylises one picture of any size.

    The work is done at `size` on the longer side, and carried up to the picture's own.
    """
    film = None if operation.frames is None else Film()
    painter = _painter(operation, runtime, film)
    painter.require({operation.content_layer, *split_layers(operation.style_layers)})
    styles = [style.pixels for style in operation.style]

    def process(picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        small = reduced(photo, size)
        content, looks = small, styles
        if operation.keep_color:
            content = grey(small)
            looks = [matched(style, content) for style in styles]
        painted, loss = painter.stylise(
            content, looks, operation.shares, operation, operation.strength
        )
        result = with_detail(photo, small, painted)
        if operation.keep_color:
            result = keep_color(photo, result)
        extras = {}
        if film is not None and operation.frames is not None:
            last = keep_color(small, painted) if operation.keep_color else painted
            extras[operation.frames] = film.clip(last)
        own = picture.with_pixels(from_srgb(result, picture.source))
        return Result(own, _facts(painted, loss), extras=extras)

    return process


def open_texture(operation: Texture, runtime: Runtime) -> Process:
    """Load the features; returns what makes a texture of a painting."""
    painter = _painter(operation, runtime)
    layers = split_layers(operation.style_layers)
    painter.require(layers)

    def process(picture: Picture) -> Result:
        painting = to_srgb(picture.pixels, picture.source)
        result, loss = painter.texture(
            painting, operation.sides, layers, operation.stroke, operation.tile
        )
        return Result(_anew(picture, result), _facts(result, loss))

    return process


def open_reconstruction(operation: Reconstruct, runtime: Runtime) -> Process:
    """Load the features; returns what makes a picture anew from one layer, or a row of all."""
    painter = _painter(operation, runtime)
    layers = painter.features.layers if operation.grid else (operation.layer,)
    painter.require(layers)
    size = operation.size or (CELL if operation.grid else RECONSTRUCTED)

    def process(picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        made = []
        for part, name in enumerate(layers):
            painter.meter = runtime.meter.part(part / len(layers), (part + 1) / len(layers))
            made.append(painter.reconstruct(photo, name, size))
        if not operation.grid:
            return Result(_anew(picture, made[0][0]), _facts(*made[0]))
        by_name = dict(zip(layers, made, strict=True))
        facts = {name: round(loss, 6) for name, (_, loss) in by_name.items()}
        return Result(_anew(picture, by_scale(reduced(photo, size), by_name)), facts)

    return process


def open_table(operation: Stylize, runtime: Runtime) -> Process:
    """Load the features; returns what makes the table of content layers and style layers: across,
    where the photo is matched; down, one style layer more in each row."""
    painter = _painter(operation, runtime)
    layers = split_layers(operation.style_layers)
    painter.require({*CONTENT_LAYERS, *layers})
    cells = len(layers) * len(CONTENT_LAYERS)
    style, size = operation.style[0].pixels, operation.size or CELL

    def process(picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        lines: list[list[Bytes]] = []
        for depth in range(1, len(layers) + 1):
            lines.append([])
            for content in CONTENT_LAYERS:
                done = (depth - 1) * len(CONTENT_LAYERS) + len(lines[-1])
                painter.meter = runtime.meter.part(done / cells, (done + 1) / cells)
                cell = replace(
                    operation, content_layer=content, style_layers=",".join(layers[:depth])
                )
                pixels, _ = painter.stylise(reduced(photo, size), [style], [1], cell)
                lines[-1].append(pixels)
        down = [layers[0], *(f"to {layer}" for layer in layers[1:])]
        return Result(_anew(picture, sheet(lines, down, CONTENT_LAYERS)), {"cells": cells})

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


def _painter(search: Search, runtime: Runtime, film: Film | None = None) -> Painter:
    device = choose(runtime.device)
    return Painter(load(search.features).to(device), search, device, runtime.meter, film)


def _anew(picture: Picture, pixels: Bytes) -> Picture:
    """Another picture in the file's colour space, without its alpha: sizes differ."""
    return picture.with_pixels(from_srgb(pixels, picture.source), None)


def _facts(pixels: Bytes, loss: float) -> dict[str, object]:
    height, width = pixels.shape[:2]
    return {"worked_at": f"{width}x{height}", "loss": round(loss, 6)}
