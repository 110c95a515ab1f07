"""What was changed in a face's square, brought back to the photo."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from imgan.faces.alignment import (
    Face,
    Floats,
    bounds,
    magnification,
    placement,
    scaling,
    shift,
    transform,
)
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.codecs import rows

BAND = 2**18
"""Pixels that are pasted at once: few enough for the processor's caches."""


def spread(
    picture: Picture, face: Face, mask: Floats, margin: float = 0
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """A mask [size, size] over the photo: the rows and columns of its square, as far as they are in
    the photo, and the weights there, enlarged by linear interpolation as `paste` does."""
    seat = Seat.of(picture, face, len(mask), margin)
    return seat.place, seat.fine(seat.coarse(mask), slice(0, seat.shape[0]))


def paste(
    picture: Picture, face: Face, difference: Floats, cover: Floats, margin: float = 0
) -> Picture:
    """The photo less `cover` of itself, plus `difference`, in the face that `align` gave.

    `difference` [size, size, 3] is in sRGB, in 255ths, `cover` [size, size] in 0..1; both should be
    0 along the border, and are enlarged to the photo's pixels by linear interpolation. Pixels where
    both are 0 stay equal to the bit. Elsewhere only the change goes through 8-bit sRGB, so that the
    photo keeps what it has beyond that: 16 bits, a wide gamut. Its grain is never covered.
    """
    seat = Seat.of(picture, face, len(cover), margin)
    planes = [seat.coarse(plane) for plane in (cover, *np.moveaxis(difference, 2, 0))]
    pixels = picture.pixels.copy()
    whole = pixels[seat.place]
    noise = _noise(to_srgb(_middle(whole), picture.source))
    for band in rows(*seat.shape, BAND):
        lost, *added = (seat.fine(plane, band) for plane in planes)
        region = whole[band]
        before = to_srgb(region, picture.source)
        covered = before - _texture(before).clip(-noise, noise)
        after = before + np.stack(added, 2) - lost[..., None] * covered
        after = _whole_numbers(after, before.dtype)
        if before is not region:  # something was converted
            old, new = (from_srgb(srgb, picture.source) for srgb in (before, after))
            after = _whole_numbers(region + (new.astype(np.int32) - old), region.dtype)
        region[...] = after
    return picture.with_pixels(pixels)


def soft_mask(size: int, rim: float) -> Floats:
    """Where an edit counts, [size, size] in 0..1: a rounded square that fades to 0 at the border.

    With r = (x^4 + y^4)^(1/4), which is 1 on the border's pixels and above it in the corners, the
    weight is 1 up to r = 1 - rim and then a smooth step.
    """
    side = np.linspace(-1, 1, size, dtype=np.float32) ** 4
    radius = (side[:, None] + side) ** 0.25
    t = ((1 - radius) / rim).clip(0, 1)
    faded: Floats = t * t * (3 - 2 * t)
    return faded


def _texture(rgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    """What a picture has beyond its means over 3 x 3 pixels."""
    blurred = Image.fromarray(rgb).filter(ImageFilter.BoxBlur(1))
    return np.subtract(rgb, np.asarray(blurred), dtype=np.int16)


def _noise(rgb: NDArray[np.uint8]) -> int:
    """How far a picture's grain reaches: three standard deviations, by a median, since that hardly
    sees edges and strands."""
    return round(3 * 1.4826 * float(np.median(np.abs(_texture(rgb))))) if rgb.size else 0


def _middle(pixels: NDArray[Any]) -> NDArray[Any]:
    """256 x 256 pixels of a picture, or what there is."""
    top, left = (max(0, side - 256) // 2 for side in pixels.shape[:2])
    return pixels[top : top + 256, left : left + 256]


class Seat(NamedTuple):
    """Where a face's square [size, size] lies in a photo."""

    place: tuple[slice, slice]
    """The rows and columns that it reaches, maybe none."""
    to_square: Floats
    """The matrix from their coordinates to the square's."""
    step: int
    """As many of their pixels a side are interpolated at once, which is much faster; the square's
    own are twice as large."""

    @classmethod
    def of(cls, picture: Picture, face: Face, size: int, margin: float) -> Seat:
        matrix = placement(face, size, margin)
        left, top, right, bottom = bounds(matrix, size)
        height, width = picture.pixels.shape[:2]
        down, across = (
            slice(*np.clip(ends, 0, length).tolist())
            for ends, length in (((top, bottom), height), ((left, right), width))
        )
        step = max(1, int(magnification(face, size, margin) / 2))
        return cls((down, across), matrix @ shift(across.start, down.start), step)

    @property
    def shape(self) -> tuple[int, int]:
        down, across = self.place
        return down.stop - down.start, across.stop - across.start

    def coarse(self, plane: Floats) -> Image.Image:
        """A plane [size, size] as the place sees it, every `step` pixels; 0 beyond the square."""
        height, width = (max(1, math.ceil(side / self.step)) for side in self.shape)
        image = Image.fromarray(np.asarray(plane, np.float32))
        matrix = self.to_square @ scaling(self.step)
        return transform(image, matrix, (width, height), Image.Resampling.BILINEAR)

    def fine(self, coarse: Image.Image, band: slice) -> NDArray[np.float32]:
        """A band of the place's rows, every pixel."""
        height, width = band.stop - band.start, self.shape[1]
        if not height or not width:
            return np.zeros((height, width), np.float32)
        box = (0, band.start / self.step, width / self.step, band.stop / self.step)
        return np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR, box))


def _whole_numbers(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    return values.round().clip(0, np.iinfo(kind).max).astype(kind)
