"""Noise to pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Misuse
from imgan.images import Picture
from imgan.images.sheets import sheet
from imgan.images.tensors import Floats, decode
from imgan.models.sessions import Session
from imgan.operations import Process, Result, Runtime
from imgan_generate import LATENT, Generate
from imgan_generate.labelled import LabelledGenerator, is_labelled, swapped
from imgan_generate.labels import label, rows
from imgan_generate.style import StyleGenerator, draw, is_style_based

TRUNCATION = 0.7
"""Of styles, unless told otherwise: fewer odd pictures, and less variety."""


def open_generating(operation: Generate, runtime: Runtime) -> Process:
    """Load the generator. Raises Misuse for the truncation of one without styles, and attributes of
    one that takes none."""
    card, *encoders = operation.cards(runtime.models)
    session, seed = runtime.session(card), int(operation.seed or 0)
    if operation.truncation is not None and not is_style_based(session):
        raise Misuse(f"--truncation is for style-based generators, and {card.name} is none")
    if is_labelled(session):
        generator = LabelledGenerator.of(session, card)
        if operation.swap:
            encoder = runtime.session(encoders[0])
            photos = operation.swap
            return lambda number: _result(sheet(swapped(generator, encoder, photos), 4))
        return _labelled(operation, generator, seed)
    if operation.attributes or operation.swap:
        raise Misuse(f"{card.name} takes no attributes: --model names one that does, as icgan")
    cells = _cells(operation)

    def process(number: int) -> Result:
        if cells:
            pixels = sheet(sample(session, math.prod(cells), seed, operation.truncation), cells[0])
        else:
            (pixels,) = sample(session, 1, seed, operation.truncation, number)
        return _result(pixels, seed=seed)

    return process


def _cells(operation: Generate) -> tuple[int, int] | None:
    cells = operation.cells
    if cells is None:
        return None
    columns, rows = cells
    if rows is None:
        raise Misuse(f"--grid {columns}: name rows, too, as {columns}x4")
    return columns, rows


def _labelled(operation: Generate, generator: LabelledGenerator, seed: int) -> Process:
    """Faces with attributes, one by one or on a sheet: of a row the attributes are the same, and of
    a column z is (Perarnau et al. 2016, figure 4)."""
    several, cells = operation.attributes or [], operation.cells
    columns, height = cells or (operation.count, 1)
    y = rows(several, generator.attributes) if cells else _one(several, generator.attributes)
    if height is not None and height > len(y):
        raise Misuse(f"--grid {operation.grid}: the attributes make {len(y)} rows")
    y = y[:height]
    z = np.random.default_rng(seed).standard_normal((columns, LATENT), np.float32)

    def process(number: int) -> Result:
        if not cells:
            return _result(generator.pictures(z[number : number + 1], y)[0], seed=seed)
        each = np.tile(z, (len(y), 1)), y.repeat(columns, 0)
        return _result(sheet(generator.pictures(*each), columns), seed=seed)

    return process


def _one(several: Sequence[str], known: Sequence[str]) -> Floats:
    return label(several[0] if several else "", known)[None]


def _result(pixels: NDArray[np.uint8], **facts: object) -> Result:
    return Result(Picture(np.ascontiguousarray(pixels)), facts)


def sample(
    session: Session, count: int, seed: int, truncation: float | None = None, first: int = 0
) -> NDArray[np.uint8]:
    """Pictures [count, S, S, 3] for z from N(0, 1).

    Styles are truncated to `truncation`, 0.7 unless it is given. Each picture is its own run of the
    network, so that picture k of a seed is the same to the bit however many are asked for; those
    before `first` are left out.
    """
    if is_style_based(session):
        style = StyleGenerator(session)
        z, noise = (part[first:] for part in draw(style, first + count, seed))
        psi = TRUNCATION if truncation is None else truncation
        return style.pictures(style.wide(style.styles(z, psi)), noise)
    noise = np.random.default_rng(seed).standard_normal((first + count, 1, LATENT), np.float32)
    return decode(np.stack([session.run(z)[0] for z in noise[first:]]))
