"""What the commands ask for, as operations on pictures; patches.py and gram.py have the methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from imgan.images import Picture, to_srgb
from imgan.images.codecs import rows
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Process, Result, Runtime
from imgan.recipes import resolve
from imgan.references import Reference
from imgan_stylize import Grid, Method, Stylize
from imgan_stylize.patches import open_patches
from imgan_stylize.sheet import CELL, sheet

STYLIZED = {Method.patches: 768, Method.gram: 1024}
"""The longer side of pictures that are worked on, where --size does not say."""


def open_stylizing(operation: Stylize, runtime: Runtime) -> Process:
    """Look at the styles; returns what stylises a picture, or makes a table.

    Raises Failure for a style or a mask that cannot be read.
    """
    if operation.grid is Grid.layers:
        table: Process = resolve("imgan_stylize.optimise:open_table")(operation, runtime)
        return table
    if operation.grid is Grid.styles:
        return styles_table(operation, runtime)
    process = _painting(operation, runtime)
    return process if operation.mask is None else masked(process, operation.mask)


def _painting(operation: Stylize, runtime: Runtime) -> Process:
    size = operation.size or STYLIZED[operation.method]
    if operation.method is Method.patches:
        return open_patches(operation, runtime, size)
    painting: Process = resolve("imgan_stylize.optimise:open_transfer")(operation, runtime, size)
    return painting


def masked(process: Process, mask: Reference) -> Process:
    """A process whose result counts where the mask is white, and partly where it is grey.

    The mask is stretched over each picture. Where it is black there, the pixels stay to the bit.
    """
    cover = Image.fromarray(mask.pixels).convert("L")

    def within(picture: Picture) -> Result:
        result = process(picture)
        done = result.picture
        height, width = picture.pixels.shape[:2]
        weights = np.asarray(cover.resize((width, height), Image.Resampling.BILINEAR))
        mixed = np.empty_like(picture.pixels)
        for band in rows(height, width):
            weight = weights[band][..., None].astype(np.uint32)
            photo, painted = picture.pixels[band], done.pixels[band]
            mixed[band] = (painted * weight + photo * (255 - weight) + 127) // 255
        return replace(result, made=done.with_pixels(mixed))

    return within


def styles_table(operation: Stylize, runtime: Runtime) -> Process:
    """What makes one sheet of all photos: a row for each, a column for each style."""
    size = operation.size or CELL
    alone = replace(operation, size=size, grid=None, style_weight=None)
    painters = [_painting(replace(alone, style=[style]), runtime) for style in operation.style]

    def process(photos: Sequence[Picture]) -> Result:
        names: list[str] = []
        lines: list[list[Bytes]] = []
        for done, picture in enumerate(photos):
            photo = reduced(to_srgb(picture.pixels, picture.source), size)
            painted = [paint(Picture(photo)).picture for paint in painters]
            lines.append([photo, *(to_srgb(p.pixels, p.source) for p in painted)])
            names.append(picture.source.name)
            runtime.meter((done + 1) / len(photos))
        top = [np.full((1, 1, 3), 255, np.uint8), *(style.pixels for style in operation.style)]
        across = ["", *(style.name for style in operation.style)]
        return Result(Picture(sheet([top, *lines], down=["", *names], across=across)))

    return process
