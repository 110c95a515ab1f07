"""The engine: faces of a photo become views, and what effects make of those goes back into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.fields import Floats, Place
from imgan.images.upsampling import LUMA
from imgan_edit.regions.effects import chained
from imgan_edit.regions.view import Effect, Painter, Photo, View, within
from imgan_parse import parser
from imgan_parse.parser import Parser

MARGIN = max(look.margin for look, _ in parser.LOOKS)
"""What a view shows around CelebA's square, of its side: as much as the parser looks at."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """An edit of one face, ready for the photo."""

    place: tuple[slice, slice]
    """Rows and columns of the photo."""
    change: NDArray[np.int16]
    """[h, w, 3] there, of sRGB in 0..255."""
    where: NDArray[np.bool_]
    """[h, w]: elsewhere nothing changes."""
    notes: tuple[str, ...] = ()
    """What of it could not be done, and why."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.change.any()

    def on(self, picture: Picture) -> Picture:
        """The photo with the edit. What is beyond 8 bits of sRGB, depth and gamut, is kept: only
        the change goes through them."""
        pixels = picture.pixels.copy()
        region = pixels[self.place]
        before = to_srgb(region, picture.source)
        after = (before + self.change).clip(0, 255).astype(np.uint8)
        if before is not region:  # something was converted
            old, new = (from_srgb(srgb, picture.source) for srgb in (before, after))
            largest = np.iinfo(region.dtype).max
            moved = region.astype(np.int32) + new.astype(np.int32) - old
            after = moved.clip(0, largest).astype(region.dtype)
        region[self.where] = after[self.where]
        return picture.with_pixels(pixels)

    def moved(self, face: Face) -> Drawing:
        """Itself: it was made on the whole photo."""
        return self

    def touched(self, picture: Picture) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Rows and columns of the photo, and where in them it may change."""
        return self.place, self.where


@dataclass(frozen=True)
class Seat:
    """Where the view of a face lies in the photo: a box, turned by quarters."""

    place: tuple[slice, slice]
    turns: int
    """How often np.rot90 turns the box, so that the face is upright to within 45 degrees."""

    @classmethod
    def of(cls, picture: Picture, face: Face) -> Seat:
        """Of CelebA's square and `MARGIN` around it, as far as they lie in the photo."""
        height, width = picture.pixels.shape[:2]
        x, y = face.points[1] - face.points[0]
        middle = face.points.mean(0)
        half = (0.5 + MARGIN) * faces.magnification(face, 1)
        (left, top), (right, bottom) = np.floor(middle - half), np.ceil(middle + half)
        rows = slice(int(max(0, top)), int(min(height, bottom)))
        columns = slice(int(max(0, left)), int(min(width, right)))
        return cls((rows, columns), int(np.round(np.arctan2(y, x) / (np.pi / 2))) % 4)

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """What lies in the box [h, w, ...], turned."""
        return np.rot90(plane, self.turns)

    def back(self, plane: NDArray[Any]) -> NDArray[Any]:
        """And turned back."""
        return np.rot90(plane, -self.turns)

    def box(self, place: Place, shape: tuple[int, int]) -> Place:
        """Rows and columns of what lies turned, and is of that shape, in the box."""
        rows, columns = place
        height, width = shape
        for _ in range(self.turns):
            # np.rot90 backwards takes the top to the right edge.
            rows, columns = columns, slice(height - rows.stop, height - rows.start)
            height, width = width, height
        return rows, columns

    def points(self, points: Floats) -> Floats:
        """Points of the photo [n, 2] in the turned box."""
        rows, columns = self.place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        moved = points - (columns.start, rows.start)
        for _ in range(self.turns):
            # np.rot90 takes the right edge to the top.
            moved = np.stack([moved[:, 1], width - moved[:, 0]], 1)
            height, width = width, height
        return moved


class Sight(NamedTuple):
    """A face as effects see it, and where that is."""

    picture: Picture
    face: Face
    view: View
    seat: Seat


def see(picture: Picture, face: Face, networks: Parser, painter: Painter | None = None) -> Sight:
    """Find the parts of a face of a photo; `painter` is for what takes things away."""
    seat = Seat.of(picture, face)
    upright_pixels = np.ascontiguousarray(seat.turned(picture.pixels[seat.place]))
    crop = picture.with_pixels(upright_pixels, None)
    points = seat.points(face.points)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    upright = Face((x0, y0, x1 - x0, y1 - y0), points, face.score)
    height, width = crop.pixels.shape[:2]
    parts = networks.parse(crop, upright, (0, 0, width, height))
    box = seat.place[1].start, seat.place[0].start, width, height
    pixels = np.multiply(parts.pixels, 1 / 255, dtype=np.float32)
    view = View(pixels, points, parts, box, painter, photo=Photo(pixels, parts.pixels))
    return Sight(picture, face, view, seat)


def draw(
    sight: Sight,
    effects: Sequence[tuple[Effect, float]],
    rng: np.random.Generator,
    hidden: Floats | None = None,
) -> Drawing:
    """A face edited by effects, each so much; nothing where it is `hidden`, [k, k] in 0..1 of what
    `faces.align` gives. Raises Skip when none of them can be done well."""
    picture, face, view, seat = sight
    made, reasons = chained(view, effects, rng)
    change = made.pixels - view.pixels[made.box]
    change *= 255
    change = seat.back(change)
    where = seat.back(made.where > 0)
    place = within(seat.place, seat.box(made.box, view.shape))
    if picture.source.grey:
        change = np.repeat((change @ LUMA)[..., None], 3, 2)
    if hidden is not None and hidden.any():
        free = np.ones(picture.pixels.shape[:2], np.float32)
        covered, weights = faces.spread(picture, face, hidden)
        free[covered] -= weights
        change, where = change * free[place][..., None], where & (free[place] > 0)
    return Drawing(place, np.rint(change).astype(np.int16), where, reasons)
