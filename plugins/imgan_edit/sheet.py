"""`imgan edit --sheet`: pictures of one face to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from imgan import faces
from imgan.errors import Failure
from imgan.faces import Face
from imgan.images import Picture, Source
from imgan.images.codecs import Samples
from imgan.images.tensors import Bytes, Floats
from imgan.operations import Process, Result, Runtime
from imgan_edit import Edit, Sheet
from imgan_edit.artists import Artist, RegionsArtist, open_artist
from imgan_edit.occlusion import Finder
from imgan_edit.run import STEPS, change
from imgan_edit.selection import FaceSelector

TILE, LABEL, COLUMNS = 128, 16, 7
"""The sheet: sides of its faces, height of the lines under them, faces in a row."""

PORTRAIT, AROUND = 256, 0.2
"""Of what is drawn at the photo's own size: sides of tiles, and what they show around CelebA's
square, of its own side."""


def open_sheet(operation: Edit, runtime: Runtime) -> Process:
    """What makes one picture of a face: as it is, and with each attribute that the engine knows
    added or taken away, or with the attributes named at each strength that `--auto-strength` tries.

    Of several faces it takes the leftmost, or the one that `--face` picks. What cannot be done on
    it is left out. Raises Misuse for attributes that the engine does not know.
    """
    artist = open_artist(operation, runtime)
    draft = _strengths if operation.sheet is Sheet.strength else _attributes
    wanted = draft(operation, artist)
    selector = FaceSelector.of(operation)
    finder = Finder.open(runtime)

    def process(picture: Picture) -> Result:
        found = selector.find(picture)
        photo, face = _portrait(picture, found.faces[found.chosen[0]], artist)
        hidden = finder.hidden(photo, face)
        notes: list[str] = []
        tiles, labels = [photo.pixels], ["as it is"]
        for number, (label, asked, part) in enumerate(wanted):
            runtime.meter(number / len(wanted))
            try:
                mark = artist(photo, face, asked, hidden, part)
            except Failure as failure:
                notes.append(f"{label}: {failure}: left out")
                continue
            tiles.append(mark.on(photo).pixels)
            labels.append(label)
        sheet = Picture(_sheet(tiles, labels), source=Source(format=picture.source.format))
        return Result(sheet, notes=tuple(notes))

    return process


def _portrait(picture: Picture, face: Face, artist: Artist) -> tuple[Picture, Face]:
    """The face in a square as large as a tile, as a photo of its own, and where it is in that."""
    drawn = isinstance(artist, RegionsArtist)
    side, margin = (PORTRAIT, AROUND) if drawn else (TILE, 0.0)
    pixels = faces.align(picture, face, side, margin)
    points = (faces.TEMPLATE + margin) / (1 + 2 * margin) * side
    box = (margin * side, margin * side, side - 2 * margin * side, side - 2 * margin * side)
    return Picture(pixels, source=Source(grey=picture.source.grey)), Face(box, points)


def _attributes(operation: Edit, artist: Artist) -> list[tuple[str, Floats, float]]:
    """A label, a change [41], and how much of it."""
    drawn = isinstance(artist, RegionsArtist)
    wanted = [(slug, there) for slug, there in artist.edits if there or drawn]
    return [
        (
            slug if there else f"no {slug}",
            change(*(({slug: 1}, {}) if there else ({}, {slug: 1})), operation.strength),
            1.0,
        )
        for slug, there in wanted
    ]


def _strengths(operation: Edit, artist: Artist) -> list[tuple[str, Floats, float]]:
    full = change(operation.added, operation.removed, operation.strength)
    return [(f"strength {operation.strength * part:g}", full, part) for part in STEPS]


def _sheet(tiles: Sequence[Samples], labels: Sequence[str]) -> Bytes:
    """Tiles in rows, each above its label."""
    rows, side = -(-len(tiles) // COLUMNS), len(tiles[0])
    sheet = Image.new("RGB", (COLUMNS * side, rows * (side + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        row, column = divmod(index, COLUMNS)
        x, y = column * side, row * (side + LABEL)
        sheet.paste(Image.fromarray(tile), (x, y))
        draw.text((x + side / 2, y + side + LABEL / 2), label, "black", anchor="mm")
    return np.asarray(sheet)
