"""A face as effects see it, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images.fields import REDUCED, Floats, Place, resized
from imgan_edit.regions.zones import Frame


class Painter(Protocol):
    """`regions.painter`'s."""

    def __call__(self, view: View, frame: Frame, hole: Floats, there: Floats, thing: str) -> Floats:
        """The view [h, w, 3], its hole [h, w] in 0..1 coarsely painted with a thing, at the pixels
        that are `there` [h, w]."""


class PartMasks(Protocol):
    """The soft masks of a face, [h, w] in 0..1, by the names of the classes of `imgan_parse`."""

    def __getitem__(self, name: str, /) -> Floats:
        """One, at the view's size."""

    def at(self, height: int, width: int) -> PartMasks:
        """All of them smaller."""

    def piece(self, name: str, place: Place) -> Floats:
        """Rows and columns of one."""


class Masks(dict[str, Floats]):
    """Masks that are there as arrays."""

    def at(self, height: int, width: int) -> Masks:
        """All of them at another size."""
        return Masks({name: resized(mask, height, width) for name, mask in self.items()})

    def piece(self, name: str, place: Place) -> Floats:
        """Rows and columns of one."""
        return self[name][place]


@dataclass(frozen=True)
class Cut:
    """A part of larger masks."""

    whole: PartMasks
    shape: tuple[int, int]
    """Height and width of the whole."""
    place: Place
    """Rows and columns of it."""
    made: dict[str, Floats] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str, /) -> Floats:
        if name not in self.made:
            self.made[name] = self.whole.piece(name, self.place)
        return self.made[name]

    def piece(self, name: str, place: Place) -> Floats:
        """Rows and columns of a part of it."""
        return self.whole.piece(name, within(self.place, place))

    def at(self, height: int, width: int) -> Cut:
        """The same part of smaller masks, to half a pixel."""
        rows, columns = self.place
        down, across = height / (rows.stop - rows.start), width / (columns.stop - columns.start)
        shape = round(self.shape[0] * down), round(self.shape[1] * across)
        top = min(round(rows.start * down), shape[0] - height)
        left = min(round(columns.start * across), shape[1] - width)
        place = slice(top, top + height), slice(left, left + width)
        return Cut(self.whole.at(*shape), shape, place)


class Photo(NamedTuple):
    """What a view shows as long as nothing is changed in it."""

    pixels: Floats
    """The view's own."""
    srgb: NDArray[np.uint8]
    """[h, w, 3]."""


@dataclass(frozen=True, eq=False)
class View:
    """A crop of the photo around one face, which stands upright in it to within 45 degrees.

    Left is the viewer's left. Coordinates are continuous, (x, y) in pixels of the crop: pixel
    (column i, row j) covers [i, i + 1) x [j, j + 1).
    """

    pixels: Floats
    """[h, w, 3] sRGB in 0..1, at the photo's own size."""
    points: Floats
    """[5, 2]: left eye, right eye, tip of the nose, left and right corner of the mouth."""
    parts: PartMasks = field(repr=False)
    """Where its parts are."""
    box: tuple[int, int, int, int]
    """x, y, width, height of the crop in the photo, or in the photo turned by quarters."""
    painter: Painter | None = field(default=None, repr=False)
    """The network that paints what is hidden."""
    mattes: dict[tuple[str, int, int], Floats] = field(default_factory=dict, repr=False)
    """What was solved already, by name, height and width: its copies share it, and so do the
    effects that change colours, which come after all that moves pixels."""
    photo: Photo | None = field(default=None, repr=False)
    """The photo in 8 bits: of that, smaller copies are made faster."""
    _smaller: dict[tuple[int, int], View] = field(default_factory=dict, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def roll(self) -> float:
        """How far the head leans clockwise, in degrees."""
        x, y = self.points[1] - self.points[0]
        return float(np.degrees(np.arctan2(y, x)))

    @cached_property
    def yaw(self) -> float:
        """How far the head is turned to the viewer's right, in degrees, roughly: the tip of the
        nose stands half the eyes' distance before them."""
        left, right, nose = self.points[:3]
        across = right - left
        return float(np.degrees(np.arctan(2 * ((nose - left) @ across / (across @ across) - 0.5))))

    @cached_property
    def eye_distance(self) -> float:
        """Between the pupils, in pixels, as if the head were not turned: the unit of lengths."""
        across = float(np.hypot(*(self.points[1] - self.points[0])))
        return across / max(float(np.cos(np.radians(self.yaw))), 0.5)

    @cached_property
    def frame(self) -> tuple[Floats, Floats]:
        """Where each pixel lies in the face, [h, w] twice: to the right of the middle between the
        eyes, along the line through them, and below that line, in distances of the eyes."""
        height, width = self.shape
        middle = self.points[:2].mean(0)
        x = np.arange(width, dtype=np.float32) + np.float32(0.5 - middle[0])
        y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - middle[1])
        unit = np.float32(self.eye_distance)
        cos, sin = (np.float32(f(np.radians(self.roll))) for f in (np.cos, np.sin))
        return (cos * x + sin * y) / unit, (cos * y - sin * x) / unit

    def placed(self, points: Floats) -> Floats:
        """Pixels' places [n, 2] in the face, as `frame` has them."""
        dx, dy = ((points - self.points[:2].mean(0)) / self.eye_distance).T
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        return np.stack([cos * dx + sin * dy, cos * dy - sin * dx], 1)

    def pixels_of(self, right: Floats, below: Floats) -> tuple[Floats, Floats]:
        """Columns and rows, in whole pixels at their middles, of places of the `frame`."""
        x, y = self.points[:2].mean(0) - 0.5
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        unit = self.eye_distance
        return unit * (cos * right - sin * below) + x, unit * (cos * below + sin * right) + y

    def part(self, *names: str) -> Floats:
        """Where any of these parts is, [h, w] in 0..1."""
        total: Floats = np.sum([self.parts[name] for name in names], 0, np.float32)
        return total.clip(0, 1)

    def at(self, eye_distance: float) -> View:
        """The view on a smaller copy whose eyes are so many pixels apart; itself if they are no
        farther apart already."""
        factor = self.eye_distance / eye_distance
        height, width = (max(1, round(side / factor)) for side in self.shape)
        # The sides are whole, so the eyes of a copy are not quite as far apart as was asked for.
        if max(self.shape[0] - height, self.shape[1] - width) <= 1:
            return self
        if (height, width) not in self._smaller:
            scale = np.array([width / self.shape[1], height / self.shape[0]])
            self._smaller[height, width] = replace(
                self,
                pixels=self._resized(height, width),
                points=self.points * scale,
                parts=self.parts.at(height, width),
            )
        return self._smaller[height, width]

    def _resized(self, height: int, width: int) -> Floats:
        if self.photo is None or self.photo.pixels is not self.pixels:
            return resized(self.pixels, height, width)
        image = Image.fromarray(self.photo.srgb)
        small = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=REDUCED)
        return np.multiply(np.asarray(small), 1 / 255, dtype=np.float32)

    def cut(self, place: Place) -> View:
        """Rows and columns of the view, as a view of their own."""
        corner = np.array([place[1].start, place[0].start])
        x, y, *_ = self.box
        height, width = (side.stop - side.start for side in place)
        pixels, photo = self.pixels[place], None
        if self.photo is not None and self.photo.pixels is self.pixels:
            photo = Photo(pixels, np.ascontiguousarray(self.photo.srgb[place]))
        return View(
            pixels,
            self.points - corner,
            Cut(self.parts, self.shape, place),
            (x + int(corner[0]), y + int(corner[1]), width, height),
            photo=photo,
        )


def within(box: Place, place: Place) -> Place:
    """Rows and columns of a box, as those of what the box is cut out of."""
    rows, columns = (
        slice(outer.start + inner.start, outer.start + inner.stop)
        for outer, inner in zip(box, place, strict=True)
    )
    return rows, columns


def bounds(where: NDArray[np.bool_]) -> Place:
    """The rows and columns of the smallest box around all that is there, none if nothing is."""
    rows, columns = (np.flatnonzero(where.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, eq=False)
class Change:
    """What an effect makes of a view, or of a part of it."""

    pixels: Floats
    """[h, w, 3] sRGB in 0..1."""
    where: Floats
    """[h, w] in 0..1: how much of `pixels` replaces the photo. Where it is 0 the photo stays."""
    place: Place | None = None
    """The rows and columns of the view that these are; all if there are none."""

    @property
    def box(self) -> Place:
        """Its place in the view, if that is all, too."""
        return self.place or (slice(0, self.where.shape[0]), slice(0, self.where.shape[1]))

    def trimmed(self) -> Change:
        """Only the part that changes."""
        part = bounds(self.where > 0)
        return Change(self.pixels[part], self.where[part], within(self.box, part))

    def whole(self, view: View) -> Change:
        """All of the view."""
        if self.place is None:
            return self
        pixels, where = view.pixels.copy(), np.zeros(view.shape, np.float32)
        pixels[self.place], where[self.place] = self.pixels, self.where
        return Change(pixels, where)


Effect = Callable[[View, float, np.random.Generator], Change]
"""An effect takes how much of it is wanted, 1 being what one expects of its name, and what makes
its choices. It raises `Failure` for a face on which it cannot be done well."""


def frontal(view: View, most: float, what: str) -> None:
    """Raises Failure for a head that is turned by more than `most` degrees."""
    if abs(view.yaw) > most:
        raise Failure(
            f"{what} is not drawn well on a face turned by {abs(view.yaw):.0f} degrees "
            f"(at most {most:.0f})"
        )
