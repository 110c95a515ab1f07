"""`imgan edit --sheet`: pictures of one face to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from imgan import faces
from imgan.images import Picture, Source
from imgan.images.codecs import Samples
from imgan.images.tensors import Bytes, Floats
from imgan.operations import Process, Result, Runtime
from imgan_edit import Edit, Sheet
from imgan_edit.engines import Editor, open_editor
from imgan_edit.judge import Judge
from imgan_edit.occlusion import Finder
from imgan_edit.place import Place
from imgan_edit.run import STEPS, change
from imgan_edit.stroke import strokes

TILE, LABEL, COLUMNS = 128, 16, 7
"""The sheet: sides of its faces, height of the lines under them, faces in a row."""


def open_sheet(operation: Edit, runtime: Runtime) -> Process:
    """What makes one picture of a face: as it is, and with each attribute that the engine knows
    added, or with the attributes named at each strength that `--auto-strength` tries.

    Of several faces it takes the leftmost, or the one that `--face` picks. Raises Misuse for
    attributes that the editor does not know.
    """
    editor = open_editor(operation.editor(runtime.models), runtime)
    draft = _strengths if operation.sheet is Sheet.strength else _attributes
    changes, labels = draft(operation, editor)
    place = Place.of(operation)
    finder = Finder.open(runtime)
    judge = Judge.open(runtime) if any(map(editor.implies, changes)) else None

    def process(picture: Picture) -> Result:
        found = place.find(picture)
        face = found.faces[found.chosen[0]]
        portrait = Picture(
            faces.align(picture, face, TILE), source=Source(grey=picture.source.grey)
        )
        whole = faces.whole(TILE, TILE)
        done = changes
        if judge is not None:
            chances = judge.sees(portrait, whole)
            done = np.stack([editor.completed(change, chances) for change in changes])
        drawn = strokes(editor, portrait, whole, done, finder.hidden(portrait, whole))
        tiles = [stroke.on(portrait).pixels for stroke in drawn]
        sheet = _sheet([portrait.pixels, *tiles], ["as it is", *labels])
        return Result(Picture(sheet, source=Source(format=picture.source.format)))

    return process


def _attributes(operation: Edit, editor: Editor) -> tuple[Floats, Sequence[str]]:
    """A change for each row [N, 40], and its label."""
    changes = [change({slug: 1}, {}, operation.strength) for slug in editor.knows]
    return np.stack(changes), editor.knows


def _strengths(operation: Edit, editor: Editor) -> tuple[Floats, Sequence[str]]:
    added, removed = operation.added, operation.removed
    editor.check([*added, *removed])
    strengths = [operation.strength * part for part in STEPS]
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
