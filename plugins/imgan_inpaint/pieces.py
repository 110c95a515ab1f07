"""A hole in pieces that are filled one after the other, each with what surrounds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan_inpaint.membrane import depth

Mask = NDArray[np.bool_]

CELL = 16
"""Parts of the hole nearer than this belong together, in pixels."""

CONTEXT = 1.5
"""A hole is filled from what is at most so many times its thickness away ..."""

LEAST = 96
"""... or so many pixels, if that is more."""

LONGEST = 6
"""A piece is at most so many times its context long: scratches are mended part by part."""


@dataclass(frozen=True)
class Piece:
    """A part of a hole: where it is, and how far around it is looked."""

    place: tuple[slice, slice]
    """Of the picture: the piece and its context."""
    own: Mask
    """[H, W] of `place`, the hole's pixels that are this piece's."""
    context: int
    thickness: int
    """Of the part of the hole that it belongs to, in pixels, nearly."""

    def within(self, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Piece:
        """The same with a place that holds a box (top, left, bottom, right), too, and from which
        all of it may be filled."""
        rows, columns = self.place
        top, left = max(0, min(rows.start, box[0])), max(0, min(columns.start, box[1]))
        bottom, right = (
            min(shape[0], max(rows.stop, box[2])),
            min(shape[1], max(columns.stop, box[3])),
        )
        own = np.pad(
            self.own,
            (
                (rows.start - top, bottom - rows.stop),
                (columns.start - left, right - columns.stop),
            ),
        )
        place = slice(top, bottom), slice(left, right)
        return Piece(place, own, max(own.shape), self.thickness)


def pieces(hole: Mask) -> Iterator[Piece]:
    """The pieces of a hole [H, W], from the upper left on."""
    labels = _components(_cells(hole))
    for label in range(1, labels.max() + 1):
        members = labels == label
        thickness = _thickness(hole, members)
        context = max(LEAST, round(CONTEXT * thickness))
        for tile in _tiles(members, LONGEST * context // CELL):
            yield _piece(hole, tile, context, thickness)


def _cells(mask: Mask) -> Mask:
    """Which squares of CELL pixels have any of a mask in them."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % CELL), (0, -width % CELL)))
    shape = padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL
    return np.asarray(padded.reshape(shape).any((1, 3)))


def _components(cells: Mask) -> NDArray[np.int32]:
    """The number of the group that each cell belongs to, from 1 on; 0 for none. Cells that touch,
    also at a corner, are one group."""
    labels = np.zeros(cells.shape, np.int32)
    count = 0
    for seed in np.argwhere(cells):
        if labels[tuple(seed)]:
            continue
        count += 1
        waiting = [tuple(seed)]
        labels[tuple(seed)] = count
        while waiting:
            y, x = waiting.pop()
            window = np.s_[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            for down, across in np.argwhere(cells[window] & (labels[window] == 0)):
                place = window[0].start + down, window[1].start + across
                labels[place] = count
                waiting.append(place)
    return labels


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _pixels(cells: tuple[slice, slice], around: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Cells as pixels, with so many around them, as far as there are."""
    down, across = (
        slice(max(0, CELL * part.start - around), min(length, CELL * part.stop + around))
        for part, length in zip(cells, shape, strict=True)
    )
    return down, across


def _thickness(hole: Mask, members: Mask) -> int:
    """Of a group of cells, in pixels, nearly: halved again and again until nothing is deep."""
    part = hole[_pixels(_box(members), 0, (hole.shape[0], hole.shape[1]))]
    scale = 1
    while True:
        deep = int(depth(part, 8).max())
        if deep < 8 or min(part.shape) < 16:
            return 2 * scale * deep
        height, width = (side // 2 * 2 for side in part.shape)
        # All four pixels are in the hole: what is thin goes.
        squares = part[:height, :width].reshape(height // 2, 2, width // 2, 2)
        part = np.asarray(squares.all((1, 3)))
        scale *= 2


def _tiles(members: Mask, side: int) -> Iterator[Mask]:
    """A group of cells, cut where it is longer than `side` cells."""
    down, across = _box(members)
    for top in range(down.start, down.stop, side):
        for left in range(across.start, across.stop, side):
            tile = np.zeros_like(members)
            window = np.s_[top : top + side, left : left + side]
            tile[window] = members[window]
            if tile.any():
                yield tile


def _piece(hole: Mask, tile: Mask, context: int, thickness: int) -> Piece:
    shape = hole.shape[0], hole.shape[1]
    place = _pixels(_box(tile), context, shape)
    whole = np.repeat(np.repeat(tile, CELL, 0), CELL, 1)[: shape[0], : shape[1]]
    return Piece(place, (hole & whole)[place], context, thickness)
