"""`imgan edit --sheet`: pictures of one face to choose from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from imgan import faces
from imgan.batch import run as batch
from imgan.batch.job import Job
from imgan.batch.plan import make_plan
from imgan.errors import Failure, Misuse
from imgan.images import Picture, Source, open_picture, save_picture
from imgan.images.codecs import Samples
from imgan.images.metadata import COMPOSITE
from imgan.images.tensors import Bytes, Floats
from imgan_edit import Edit, Sheet
from imgan_edit.attributes import check, parse
from imgan_edit.engines import Editor, open_editor
from imgan_edit.judge import Judge
from imgan_edit.occlusion import Finder
from imgan_edit.place import Place
from imgan_edit.run import STEPS, change, find_card
from imgan_edit.stroke import strokes

TILE, LABEL, COLUMNS = 128, 16, 7
"""The sheet: sides of its faces, height of the lines under them, faces in a row."""


def write_sheet(job: Job, wish: Edit, kind: Sheet) -> None:
    """One picture of the face as it is, and with each attribute that the engine knows added,
    or with the attributes named at each strength that `--auto-strength` tries.

    Of several faces it takes the leftmost, or the one that `--face` picks.
    """
    if wish.receipt is not None or wish.max_drift is not None or wish.auto_strength:
        raise Misuse("--sheet only shows: leave --receipt, --max-drift and --auto-strength out")
    editor = open_editor(find_card(wish), job.device)
    draft = _strengths if kind is Sheet.strength else _attributes
    changes, labels = draft(wish, editor)
    place = Place.of(wish)
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
    portrait = Picture(faces.align(picture, face, TILE), source=Source(grey=picture.source.grey))
    whole = faces.whole(TILE, TILE)
    if any(map(editor.implies, changes)):
        chances = Judge.open(job.device).sees(portrait, whole)
        changes = np.stack([editor.completed(change, chances) for change in changes])
    hidden = Finder.open(job.device).hidden(portrait, whole)
    drawn = strokes(editor, portrait, whole, changes, hidden)
    tiles = [stroke.on(portrait).pixels for stroke in drawn]
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


def _attributes(wish: Edit, editor: Editor) -> tuple[Floats, Sequence[str]]:
    """A change for each row [N, 40], and its label."""
    if wish.add or wish.remove:
        raise Misuse("--sheet attributes shows every attribute: leave --add and --remove out")
    return np.stack([change({slug: 1}, {}, wish.strength) for slug in editor.knows]), editor.knows


def _strengths(wish: Edit, editor: Editor) -> tuple[Floats, Sequence[str]]:
    added, removed = parse(wish.add or []), parse(wish.remove or [])
    check(added, removed)
    if not added and not removed:
        raise Misuse("--sheet strength: name what it shows with --add or --remove")
    editor.check([*added, *removed])
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
