"""The parts of a face in a photo, as soft masks at the photo's own size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from imgan.faces import Face, align
from imgan.faces.alignment import bounds, placement, scaling, shift, transform
from imgan.images import Picture, to_srgb
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models import store
from imgan.models.sessions import Session, open_session
from imgan_parse import CLASSES, MIRRORED, MODEL, OPERATION
from imgan_parse.matte import Matte

SIZE = 192
"""Side, in pixels, of the square that the network sees."""

MARGIN = 0.2
"""What it shows around CelebA's square, of that one's side: all of the hair, or of long hair what
hangs beside the face and the neck."""

FADE = 0.04
"""The rim of the square, of its side, towards which everything becomes background."""

FINER = 2.0
"""Pixels a side of the copy on which edges are looked for, for each of the network's."""

CELL = 4.0
"""Windows in which a part has one colour after another: pixels of that copy between two."""

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
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
        self._matte = Matte(np.asarray(small), masks[self._there], CELL)
        self._made: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._made:
            self._made[name] = self._mask(CLASSES.index(name), self.pixels)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(CLASSES)

    def __len__(self) -> int:
        return len(CLASSES)

    def _mask(self, index: int, pixels: Bytes) -> Floats:
        if index not in self._there:
            return np.zeros(pixels.shape[:2], np.float32)
        return self._matte.plane(self._there.index(index), pixels)

    def at(self, height: int, width: int) -> dict[str, Floats]:
        """All masks at another, smaller size [height, width], which takes less time."""
        pixels = np.asarray(
            Image.fromarray(self.pixels).resize((width, height), Image.Resampling.BOX)
        )
        return {name: self._mask(index, pixels) for index, name in enumerate(CLASSES)}

    def part(self, *names: str) -> Floats:
        """Where any of these classes is, [h, w] in 0..1."""
        total = np.zeros(self.pixels.shape[:2], np.float32)
        for name in names:
            total += self[name]
        return total.clip(0, 1)


class Parser:
    """The network, warm. It sees [N, 3, SIZE, SIZE] and gives logits of the classes."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def open(cls, device: str, model: str | None = None) -> Parser:
        """The shipped network, or another. Raises what `store.find` and `open_session` raise."""
        card = store.find(store.installed(), model or MODEL, OPERATION)
        return cls(open_session(store.path(card), device))

    def parse(
        self, picture: Picture, face: Face, box: tuple[int, int, int, int] | None = None
    ) -> Parts:
        """The parts of a face in a box (x, y, width, height) of the photo that lies within it; by
        default, in the smallest that holds all that the network saw."""
        chances = self.chances(picture, face)
        to_square = placement(face, SIZE, MARGIN)
        x, y, width, height = box or _within(bounds(to_square, SIZE), picture.pixels.shape)
        pixels = to_srgb(picture.pixels[y : y + height, x : x + width], picture.source)
        # As many pixels a side as are of use: FINER for each of the square's, or all there are.
        step = max(1.0, 1 / (FINER * np.sqrt(np.linalg.det(to_square))))
        shape = max(1, round(width / step)), max(1, round(height / step))
        to_box = scaling(1.0)
        to_box[0, 0], to_box[1, 1] = width / shape[0], height / shape[1]
        matrix = to_square @ shift(x, y) @ to_box
        masks = np.stack([
            np.asarray(transform(Image.fromarray(plane), matrix, shape, Image.Resampling.BILINEAR))
            for plane in chances * _rim(SIZE)
        ])  # fmt: skip
        masks[0] = 1 - masks[1:].sum(0)
        return Parts((x, y, width, height), np.ascontiguousarray(pixels), masks)

    def chances(self, picture: Picture, face: Face) -> Floats:
        """The probabilities of the classes [19, SIZE, SIZE] in the square that `align` gives with
        `MARGIN`: the mean of what is seen in it and in its mirror image."""
        square = align(picture, face, SIZE, MARGIN)
        logits = self.session.run(encode(np.stack([square, square[:, ::-1]])))
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        both: Floats = (chances[0] + chances[1][list(MIRRORED), :, ::-1]) / 2
        return both


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
