"""Noise to pictures."""

from __future__ import annotations

import math
import secrets
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure, Misuse
from imgan.images import Picture, Source, format_of, save_picture
from imgan.images.metadata import TRAINED
from imgan.images.tensors import decode
from imgan.models import store
from imgan.models.sessions import Session, open_session
from imgan_generate.style import StyleGenerator, draw, is_style_based

LATENT = 100
STREAM = "-"
TRUNCATION = 0.7
"""Of styles, unless told otherwise: fewer odd pictures, and less variety."""


def write_faces(
    count: int,
    seed: int | None,
    truncation: float | None,
    grid: tuple[int, int] | None,
    output: str | None,
    overwrite: bool,
    model: str,
    device: str,
) -> None:
    """Sample `count` pictures and write them, a file each, or a sheet of `grid` columns and rows.

    Raises Misuse when several pictures would go to one file, Failure when a file exists already.
    """
    card = store.find(store.installed(), model, "generate")
    seed = secrets.randbelow(2**32) if seed is None else seed
    targets = _targets(1 if grid else count, seed, output)
    if not overwrite and (there := [t for t in targets if t is not None and t.exists()]):
        raise Failure(f"{there[0]} exists; --overwrite to replace")
    session = open_session(store.path(card), device)
    made = sample(session, grid[0] * grid[1] if grid else count, seed, truncation)
    pictures = [sheet(made, grid[0])] if grid else list(made)
    for target, pixels in zip(targets, pictures, strict=True):
        picture = Picture(np.ascontiguousarray(pixels), source=Source(made=TRAINED))
        if target is None:
            save_picture(picture, sys.stdout.buffer, format="png")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        save_picture(picture, target, overwrite=overwrite)
        print(target)


def sample(
    session: Session, count: int, seed: int, truncation: float | None = None
) -> NDArray[np.uint8]:
    """Pictures [count, S, S, 3] for z from N(0, 1).

    Styles are truncated to `truncation`, 0.7 unless it is given. Each picture is its own run of the
    network, so that picture k of a seed is the same to the bit however many are asked for.

    Raises Misuse for the truncation of a generator without styles.
    """
    if is_style_based(session):
        style = StyleGenerator(session)
        z, noise = draw(style, count, seed)
        psi = TRUNCATION if truncation is None else truncation
        return style.pictures(style.wide(style.styles(z, psi)), noise)
    if truncation is not None:
        raise Misuse(f"--truncation is for style-based generators, and {session.name} is none")
    noise = np.random.default_rng(seed).standard_normal((count, 1, LATENT), np.float32)
    return decode(np.stack([session.run(z)[0] for z in noise]))


def sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures [N, h, w, 3] as one, row by row; what is left over is white."""
    rows = math.ceil(len(pictures) / columns)
    _, height, width, _ = pictures.shape
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[: len(pictures)] = pictures
    cells = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * height, columns * width, 3)


def _targets(files: int, seed: int, output: str | None) -> list[Path | None]:
    """Where each file goes; None is standard output."""
    names = [f"face-{seed}.png"]
    if files > 1:
        names = [f"face-{seed}-{number}.png" for number in range(1, files + 1)]
    if output == STREAM:
        if files > 1:
            raise Misuse("standard output takes one picture: ask for one, or for a --grid")
        if sys.stdout.isatty():
            raise Misuse("a picture does not go to a terminal: redirect it, or name a file with -o")
        return [None]
    if output is None:
        return [Path(name) for name in names]
    folder = Path(output)
    if output.endswith("/") or folder.is_dir() or (files > 1 and not folder.suffix):
        return [folder / name for name in names]
    if files > 1:
        raise Misuse(f"-o {output} names a file, for {files} faces: name a folder, or add --grid")
    format_of(folder, "")
    return [folder]
