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

LATENT = 100
STREAM = "-"


def write_faces(
    count: int,
    seed: int | None,
    grid: bool,
    output: str | None,
    overwrite: bool,
    model: str,
    device: str,
) -> None:
    """Sample `count` faces and write them, a file each or one sheet.

    Raises Misuse when several faces would go to one file, Failure when a file exists already.
    """
    card = store.find(store.installed(), model, "generate")
    seed = secrets.randbelow(2**32) if seed is None else seed
    targets = _targets(1 if grid else count, seed, output)
    if not overwrite and (there := [t for t in targets if t is not None and t.exists()]):
        raise Failure(f"{there[0]} exists; --overwrite to replace")
    session = open_session(store.path(card), device)
    faces = sample(session, count, seed)
    pictures = [sheet(faces)] if grid else list(faces)
    for target, pixels in zip(targets, pictures, strict=True):
        picture = Picture(np.ascontiguousarray(pixels), source=Source(made=TRAINED))
        if target is None:
            save_picture(picture, sys.stdout.buffer, format="png")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        save_picture(picture, target, overwrite=overwrite)
        print(target)


def sample(session: Session, count: int, seed: int) -> NDArray[np.uint8]:
    """Faces [count, 64, 64, 3] for z from N(0, 1).

    Each face is its own run of the network, so that face k of a seed is the same to the bit however
    many are asked for.
    """
    noise = np.random.default_rng(seed).standard_normal((count, 1, LATENT), np.float32)
    return decode(np.stack([session.run(z)[0] for z in noise]))


def sheet(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces [N, h, w, 3] as one picture, nearly square, row by row; what is left over is white."""
    columns = math.ceil(math.sqrt(len(faces)))
    rows = math.ceil(len(faces) / columns)
    _, height, width, _ = faces.shape
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[: len(faces)] = faces
    cells = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * height, columns * width, 3)


def _targets(files: int, seed: int, output: str | None) -> list[Path | None]:
    """Where each file goes; None is standard output."""
    names = [f"face-{seed}.png"]
    if files > 1:
        names = [f"face-{seed}-{number}.png" for number in range(1, files + 1)]
    if output == STREAM:
        if files > 1:
            raise Misuse("standard output takes one picture: ask for one face, or for a --grid")
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
