"""Faces with the classes of their pixels, and how they are varied."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training.data import load_rgb
from imgan_parse import CLASSES, MIRRORED

HELD_OUT = 40
"""The last faces by file name, never learned from."""

RARE = {"glasses": 4.0, "hat": 3.0}
"""How much oftener faces with these are drawn."""

UNKNOWN = len(CLASSES)
"""The class of what no mask tells; in files it is 255."""

_SWAPPED = np.array([*MIRRORED, UNKNOWN], np.uint8)


class Square(NamedTuple):
    """Where pictures have the square of CelebA's alignment, which is `imgan.faces`'s."""

    centre: tuple[float, float]
    """In parts of the picture's sides."""
    side: float
    """Likewise."""
    farthest: float
    """The largest side of what is shown, in parts of the square."""


CELEBAHQ = Square((0.5, 0.45), 1.136, 1.6)
"""In CelebAMask-HQ's pictures, which end at the hair: more of them would be their mirrored rim."""

MARGIN = 0.55
"""What other faces show around the square, of its side, as `imgan.faces.align` gives them."""

ALIGNED = Square((0.5, 0.5), 1 / (1 + 2 * MARGIN), 1 + 2 * MARGIN)
"""In theirs, which are looked at from as far as the farthest look of `imgan_parse.parser`."""

NEAREST = 0.66
"""The least side of what is shown, in parts of the square."""


class ParsedFaces:
    """Pictures [H, W, 3] and the classes of their pixels [H, W], in memory.

    Raises Failure when a picture has no mask, or of another size, or with classes unknown.
    """

    def __init__(
        self,
        folder: Path,
        first: int | None = None,
        last: int | None = None,
        square: Square = CELEBAHQ,
    ) -> None:
        self.square = square
        self.names: list[str] = []
        self.images: list[Bytes] = []
        self.masks: list[Bytes] = []
        for path in pictures(folder / "images")[first:last]:
            mask = folder / "masks" / f"{path.stem}.png"
            if not mask.exists():
                raise Failure(f"{path}: there is no {mask}")
            image, classes = np.asarray(load_rgb(path)), np.asarray(Image.open(mask))
            classes = np.where(classes == 255, UNKNOWN, classes)
            if classes.shape != image.shape[:2] or classes.max() > UNKNOWN:
                raise Failure(
                    f"{mask}: not the classes 0 to {len(CLASSES) - 1} of {path}, or 255 where none "
                    "is known"
                )
            self.names.append(path.name)
            self.images.append(image)
            self.masks.append(_on_their_sides(classes.astype(np.uint8)))
        if not self.images:
            raise Failure(f"{folder}: no faces to train on")

    def __len__(self) -> int:
        return len(self.images)

    def shares(self) -> NDArray[np.float64]:
        """The share of every class of every face's pixels: [faces, classes]."""
        return np.stack(
            [np.bincount(m.ravel(), minlength=UNKNOWN + 1)[:UNKNOWN] / m.size for m in self.masks]
        )

    def varied(self, index: int, size: int, rng: np.random.Generator) -> tuple[Bytes, Bytes]:
        """A face as another photo might show it: [size, size, 3], and its classes [size, size]."""
        image, mask = self.images[index], self.masks[index]
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], _SWAPPED[mask[:, ::-1]]
        return _placed(image, mask, self.square, size, rng)


def _on_their_sides(classes: Bytes) -> Bytes:
    """The classes, with left and right exchanged where they are: in CelebAMask-HQ of one face in
    sixteen."""
    left, right = (
        np.nonzero(np.isin(classes, [CLASSES.index(side + part) for part in ("_eye", "_brow")]))[1]
        for side in ("left", "right")
    )
    if left.size and right.size and left.mean() > right.mean():
        return _SWAPPED[classes]
    return classes


def _placed(
    image: Bytes, mask: Bytes, square: Square, size: int, rng: np.random.Generator
) -> tuple[Bytes, Bytes]:
    """Turned, moved, nearer or farther, and in another light. Where that leaves the picture its
    edge goes on, as in `imgan.faces.align`, or the picture mirrored, whose classes are unknown."""
    side = len(image) * square.side * np.exp(rng.uniform(*np.log((NEAREST, square.farthest))))
    angle = np.radians(np.clip(rng.normal(0, 12), -30, 30))
    x, y = np.multiply(square.centre, len(image)) + rng.normal(0, 0.06, 2) * side
    border = len(image) // 2
    around = ((border, border), (border, border))
    if rng.random() < 0.5:
        wide = np.pad(image, (*around, (0, 0)), "edge")
        wide_mask = np.pad(mask, around, "edge")
    else:
        wide = np.pad(image, (*around, (0, 0)), "reflect")
        wide_mask = np.pad(mask, around, constant_values=UNKNOWN)
    seen, seen_mask = Image.fromarray(wide), Image.fromarray(wide_mask)
    c, s = np.cos(angle) * side / size, np.sin(angle) * side / size
    half = size / 2
    to_wide = (
        *(c, -s, x + border - c * half + s * half),
        *(s, c, y + border - s * half - c * half),
    )
    affine, shape = Image.Transform.AFFINE, (size, size)
    classes = seen_mask.transform(shape, affine, to_wide, Image.Resampling.NEAREST)
    if side / size > 1.4:  # Pillow's transform does not antialias
        seen = seen.reduce(2)
        to_wide = tuple(value / 2 for value in to_wide)
    face = seen.transform(shape, affine, to_wide, Image.Resampling.BICUBIC)
    return _lit(_worn(face, rng), rng), np.asarray(classes)


def _worn(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Sometimes blurred, sometimes through JPEG."""
    if rng.random() < 0.35:
        smaller = round(face.width * rng.uniform(0.35, 0.9))
        kernel = Image.Resampling.BICUBIC
        face = face.resize((smaller, smaller), kernel).resize(face.size, kernel)
    if rng.random() < 0.25:
        file = io.BytesIO()
        face.save(file, "JPEG", quality=int(rng.integers(25, 90)))
        face = Image.open(file).convert("RGB")
    return face


def _lit(face: Image.Image, rng: np.random.Generator) -> Bytes:
    """In another light: gains, contrast, saturation; sometimes grey, sometimes dark, with noise."""
    pixels = np.asarray(face, np.float32) / 255
    grey = pixels.mean(2, keepdims=True)
    saturation = 0.0 if rng.random() < 0.15 else rng.uniform(0.4, 1.5)
    pixels = grey + (pixels - grey) * np.float32(saturation)
    gains = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.08, 3))
    if rng.random() < 0.12:
        gains *= rng.uniform(0.2, 0.5)
    pixels = pixels * gains.astype(np.float32)
    pixels = pixels.mean() + (pixels - pixels.mean()) * np.float32(np.exp(rng.normal(0, 0.2)))
    pixels = pixels + np.float32(rng.normal(0, 0.06))
    if rng.random() < 0.3:
        noise = rng.standard_normal(pixels.shape, np.float32)
        pixels += noise * np.float32(rng.uniform(0.01, 0.06))
    levels: Bytes = (pixels * 255).round().clip(0, 255).astype(np.uint8)
    return levels
