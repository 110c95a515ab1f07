"""`imgan edit --sheet`: pictures of one face to choose from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from imgan import batch, faces, store
from imgan.errors import Failure, Misuse
from imgan.images import Picture, Samples, open_picture, save_picture
from imgan.job import Job
from imgan.metadata import COMPOSITE
from imgan.plan import make_plan
from imgan.session import open_session
from imgan_edit import Edit, Sheet
from imgan_edit.attributes import SLUGS, check, parse
from imgan_edit.place import Place
from imgan_edit.run import STEPS, change, editor
from imgan_edit.vector import Bytes, Floats, Vector

TILE, LABEL, COLUMNS = 128, 16, 7
"""The sheet: sides of its faces, height of the lines under them, faces in a row."""


def write_sheet(job: Job, wish: Edit, kind: Sheet) -> None:
    """One picture of the face as it is, and with each of the 40 attributes added, or with the
    attributes named at each strength that `--auto-strength` tries.

    Of several faces it takes the leftmost, or the one that `--face` picks.
    """
    if wish.receipt is not None or wish.max_drift is not None or wish.auto_strength:
        raise Misuse("--sheet only shows: leave --receipt, --max-drift and --auto-strength out")
    changes, labels = _strengths(wish) if kind is Sheet.strength else _attributes(wish)
    place, card = Place.of(wish), editor(wish)
    tasks = make_plan(job, f"{kind}-sheet").tasks
    if len(tasks) != 1:
        raise Misuse("--sheet takes one picture: name it, or - for standard input")
    (task,) = tasks
    picture = open_picture(sys.stdin.buffer.read() if task.source is None else task.source)
    try:
        found = place.find(picture)
    except Failure as failure:
        raise Failure(f"{task.name}: {failure}") from failure
    face = found.faces[found.chosen[0]]
    networks = Vector(open_session(store.path(card), job.device))
    crops = np.repeat(faces.align(picture, face, networks.size)[None], len(changes), 0)
    portrait = Picture(faces.align(picture, face, TILE))
    whole = faces.whole(TILE, TILE)
    tiles = [
        faces.paste(portrait, whole, moved, mask).pixels
        for moved, mask in zip(*networks(crops, changes), strict=True)
    ]
    sheet = Picture(_sheet([portrait.pixels, *tiles], ["as it is", *labels]))
    if not wish.no_provenance:
        sheet = replace(sheet, source=replace(sheet.source, made=COMPOSITE))
    save_picture(
        sheet,
        sys.stdout.buffer if task.target is None else task.target,
        quality=job.quality,
        overwrite=job.overwrite,
        format=job.format or (batch.PIPE_FORMAT if task.target is None else None),
    )


def _attributes(wish: Edit) -> tuple[Floats, Sequence[str]]:
    """A change for each row [N, 40], and its label."""
    if wish.add or wish.remove:
        raise Misuse("--sheet attributes shows every attribute: leave --add and --remove out")
    return wish.strength * np.eye(len(SLUGS), dtype=np.float32), SLUGS


def _strengths(wish: Edit) -> tuple[Floats, Sequence[str]]:
    added, removed = parse(wish.add or []), parse(wish.remove or [])
    check(added, removed)
    if not added and not removed:
        raise Misuse("--sheet strength: name what it shows with --add or --remove")
    strengths = [wish.strength * part for part in STEPS]
    changes = np.stack([change(added, removed, strength) for strength in strengths])
    return changes, [f"strength {strength:g}" for strength in strengths]


def _sheet(tiles: Sequence[Samples], labels: Sequence[str]) -> Bytes:
    """Tiles in rows, each above its label."""
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        row, column = divmod(index, COLUMNS)
        x, y = column * TILE, row * (TILE + LABEL)
        sheet.paste(Image.fromarray(tile), (x, y))
        draw.text((x + TILE / 2, y + TILE + LABEL / 2), label, "black", anchor="mm")
    return np.asarray(sheet)
