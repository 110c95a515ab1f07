"""Noise to pictures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Misuse
from imgan.images import Picture
from imgan.images.tensors import decode
from imgan.models.sessions import Session
from imgan.operations import Process, Result, Runtime
from imgan_generate import Generate
from imgan_generate.style import StyleGenerator, draw, is_style_based

LATENT = 100
TRUNCATION = 0.7
"""Of styles, unless told otherwise: fewer odd pictures, and less variety."""


def open_generating(operation: Generate, runtime: Runtime) -> Process:
    """Load the generator. Raises Misuse for the truncation of one without styles."""
    (card,) = operation.cards(runtime.models)
    session, seed = runtime.session(card), int(operation.seed or 0)
    if operation.truncation is not None and not is_style_based(session):
        raise Misuse(f"--truncation is for style-based generators, and {card.name} is none")
    cells = operation.cells
    count = cells[0] * cells[1] if cells else operation.count

    def process(number: int) -> Result:
        if cells:
            pixels = sheet(sample(session, count, seed, operation.truncation), cells[0])
        else:
            (pixels,) = sample(session, 1, seed, operation.truncation, number)
        return Result(Picture(np.ascontiguousarray(pixels)), {"seed": seed})

    return process


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


def sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures [N, h, w, 3] as one, row by row; what is left over is white."""
    rows = math.ceil(len(pictures) / columns)
    _, height, width, _ = pictures.shape
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[: len(pictures)] = pictures
    cells = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * height, columns * width, 3)
