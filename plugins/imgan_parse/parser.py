"""The parts of a face in a photo, as soft masks at the photo's own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.faces import Face, align, magnification
from imgan.faces.alignment import bounds, placement, shift, transform
from imgan.images import Picture, to_srgb
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models import store
from imgan.models.sessions import Session, open_session
from imgan_parse import CLASSES, MIRRORED, MODEL, Parse
from imgan_parse.matte import Matte


class Look(NamedTuple):
    """A square that the network sees."""

    size: int
    """Its side in pixels, a multiple of `imgan_parse.STEP`."""
    margin: float
    """What it shows around CelebA's square, of that one's side."""


MARGIN = 0.2
"""What of a face the network was taught to see, around CelebA's square."""

LOOKS = ((Look(160, 0.55), 1.0), (Look(160, MARGIN), 0.7), (Look(192, -0.1), 0.5))
"""What is looked at, one laid over the other with a share: from afar, where large and long hair is;
as the network was taught; and from near, for eyes, brows and lips, which are small."""

FADE = 0.04
"""The rim of a square, of its side, where it counts less and less."""

WORK = 224
"""Pixels a side of CelebA's square in the copy of the photo on which edges are looked for."""

CELL = 3.0
"""Windows in which a part has one colour after another: pixels of that copy between two."""

DECIDED = 3.0
"""The power of what the looks think together: little is left of what they hardly believe."""

FAINT = 0.02
"""A class that is nowhere likelier than this is not there."""


class Parts(Mapping[str, Floats]):
    """The soft masks of one face, by the names of `imgan_parse.CLASSES`.

    A mask is [h, w] in 0..1 at the size of `pixels`, 1 where the part is. It is made when it is
    asked for, and kept. All of them together are about 1 everywhere.
    """

    def __init__(self, box: tuple[int, int, int, int], pixels: Bytes, masks: Floats) -> None:
        """`masks` [19, height, width] are what the network saw in the pixels, smaller or as large,
        and `pixels` [h, w, 3] the photo's in `box`, as sRGB."""
        self.box = box
        """x, y, width, height in the photo."""
        self.pixels = pixels
        self._there = [i for i, mask in enumerate(masks) if mask.max() > FAINT]
        height, width = masks.shape[1:]
        self._matte = Matte(_resized(pixels, height, width), masks[self._there], CELL)
        self._made: dict[str, Floats] = {}
        self._smaller: dict[tuple[int, int], Parts] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._made:
            self._made[name] = self._mask(CLASSES.index(name), self.pixels)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(CLASSES)

    def __len__(self) -> int:
        return len(CLASSES)

    def piece(self, name: str, place: tuple[slice, slice]) -> Floats:
        """Rows and columns of a mask, which alone are made."""
        index = CLASSES.index(name)
        if name in self._made or index not in self._there:
            return self[name][place]
        return self._matte.plane(self._there.index(index), self.pixels, place)

    def _mask(self, index: int, pixels: Bytes) -> Floats:
        if index not in self._there:
            return np.zeros(pixels.shape[:2], np.float32)
        return self._matte.plane(self._there.index(index), pixels)

    def at(self, height: int, width: int) -> Parts:
        """The same at another, smaller size [height, width], which takes less time; one for all who
        ask for that size."""
        if (height, width) not in self._smaller:
            smaller = copy(self)
            smaller.pixels = _resized(self.pixels, height, width)
            smaller._made, smaller._smaller = {}, {}
            self._smaller[height, width] = smaller
        return self._smaller[height, width]

    def part(self, *names: str) -> Floats:
        """Where any of these classes is, [h, w] in 0..1."""
        total = np.zeros(self.pixels.shape[:2], np.float32)
        for name in names:
            total += self[name]
        return total.clip(0, 1)


class Parser:
    """The network, warm. It sees faces [N, 3, H, W] and gives logits of the classes."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def open(cls, device: str, model: str | None = None) -> Parser:
        """The shipped network, or another. Raises what `store.find` and `open_session` raise."""
        card = store.find(store.installed(), model or MODEL, Parse.name)
        return cls(open_session(store.path(card), device))

    def parse(
        self, picture: Picture, face: Face, box: tuple[int, int, int, int] | None = None
    ) -> Parts:
        """The parts of a face in a box (x, y, width, height) of the photo that lies within it; by
        default, in the smallest that holds all that the network saw."""
        (farthest, _), *_ = LOOKS
        edges = bounds(placement(face, farthest.size, farthest.margin), farthest.size)
        # As many pixels a side as are of use, or all there are.
        step = max(1.0, magnification(face, WORK))
        small, small_face = _copy(picture, face, _within(edges, picture.pixels.shape), step)
        x, y, width, height = box or _within(edges, picture.pixels.shape)
        pixels = to_srgb(picture.pixels[y : y + height, x : x + width], picture.source)
        shape = max(1, round(width / step)), max(1, round(height / step))
        to_photo = shift(x, y) @ np.diag([width / shape[0], height / shape[1], 1])
        masks = np.zeros((len(CLASSES), shape[1], shape[0]), np.float32)
        masks[0] = 1
        for look, share in LOOKS:
            matrix = placement(face, look.size, look.margin) @ to_photo
            left, top, across, down = _within(bounds(matrix, look.size), masks.shape[1:])
            seen = masks[:, top : top + down, left : left + across]
            matrix, size = matrix @ shift(left, top), (across, down)
            part = share * _rim(look.size)
            seen *= 1 - _moved(part, matrix, size)
            for mask, chances in zip(seen, self.chances(small, small_face, look), strict=True):
                if chances.max() > FAINT:
                    mask += _moved(part * chances, matrix, size)
        masks **= DECIDED
        masks /= masks.sum(0)
        return Parts((x, y, width, height), np.ascontiguousarray(pixels), masks)

    def chances(self, picture: Picture, face: Face, look: Look) -> Floats:
        """The probabilities of the classes [19, size, size] in the square that `align` gives: the
        mean of what is seen in it and in its mirror image."""
        square = align(picture, face, look.size, look.margin)
        logits = self.session.run(encode(np.stack([square, square[:, ::-1]])))
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        both: Floats = (chances[0] + chances[1][list(MIRRORED), :, ::-1]) / 2
        eyes = placement(face, look.size, look.margin) @ [*face.points[:2].mean(0), 1]
        _take_sides(both, round(eyes[0]))
        return both


def _copy(
    picture: Picture, face: Face, box: tuple[int, int, int, int], step: float
) -> tuple[Picture, Face]:
    """A box of a photo, `step` times smaller, in sRGB, and the face in it."""
    x, y, width, height = box
    pixels = to_srgb(picture.pixels[y : y + height, x : x + width], picture.source)
    shape = max(1, round(width / step)), max(1, round(height / step))
    scale = np.array([shape[0] / width, shape[1] / height])
    small = Picture(_resized(pixels, shape[1], shape[0]))
    return small, Face(face.box, (face.points - (x, y)) * scale, face.score)


def _resized(pixels: Bytes, height: int, width: int) -> Bytes:
    """[H, W, 3] at another, smaller size."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2))


def _take_sides(chances: Floats, middle: int) -> None:
    """Give what may be a left or a right eye, brow or ear to the side of `middle` (a column) on
    which it is, in place: the network sees what it is better than which of the two."""
    for left, right in enumerate(MIRRORED):
        if CLASSES[left].startswith("left"):
            either = chances[left] + chances[right]
            chances[left], chances[right] = either, either
            chances[left, :, middle:] = 0
            chances[right, :, :middle] = 0


def _moved(plane: Floats, matrix: NDArray[np.floating], shape: tuple[int, int]) -> Floats:
    """A square's plane as a copy of the photo (width, height) sees it; 0 beyond the square."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(transform(image, matrix, shape, Image.Resampling.BILINEAR))


def _within(edges: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom as x, y, width, height, as far as they lie in a photo."""
    left, top, right, bottom = edges
    height, width = shape[:2]
    left, right = min(max(left, 0), width - 1), max(min(right, width), 1)
    top, bottom = min(max(top, 0), height - 1), max(min(bottom, height), 1)
    return left, top, max(1, right - left), max(1, bottom - top)


def _rim(size: int) -> Floats:
    """1 in a square [size, size], and down to 0 along its border."""
    inside = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    slope = (inside / (FADE * size)).clip(0, 1).astype(np.float32)
    return np.minimum(slope[:, None], slope)
