"""From what a network adds to a small face to what is added to the photo, at its own resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.tensors import Bytes, Floats
from imgan.images.upsampling import LUMA
from imgan_edit.engines import Editor

GRID = 256
"""Side of the square on which an edit is sharpened, at most; from there on it is only enlarged."""

LINEAR = Image.Resampling.BILINEAR

FAINT = 60.0
"""A variance, in squares of 255ths over three channels: texture under it is not worth covering."""


@dataclass(frozen=True)
class Patch:
    """An edit of one face, ready for the photo: what `faces.paste` takes, on a grid [n, n]."""

    face: Face
    difference: Floats
    cover: Floats
    mask: Floats
    """Where an edit may change the face, 0..1."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return not (self.difference.any() or self.cover.any())

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it could not be done: a network does something to every face."""
        return ()

    def on(self, picture: Picture) -> Picture:
        """The photo with the edit."""
        return faces.paste(picture, self.face, self.difference, self.cover)

    def moved(self, face: Face) -> Patch:
        """The same edit for the whole photo, in which the face is this one."""
        return replace(self, face=face)

    def touched(self, picture: Picture) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Rows and columns of the photo, and where in them it may change."""
        place, weight = faces.spread(picture, self.face, self.mask)
        return place, weight > 0


def patches(
    editor: Editor, picture: Picture, face: Face, changes: Floats, hidden: Floats | None = None
) -> Iterator[Patch]:
    """What changes [N, 40] do to a face, one by one; nothing where it is `hidden`, [k, k]."""
    crop = faces.align(picture, face, editor.size)
    finer = max(1, min(round(faces.magnification(face, editor.size)), GRID // editor.size))
    mask = faces.soft_mask(finer * editor.size, editor.rim)
    if hidden is not None:
        mask *= 1 - _enlarged(hidden[..., None], len(mask) // len(hidden), LINEAR)[..., 0]
    for moved in editor(crop[None], changes):
        if picture.source.grey:
            # A grey photo stays grey: only the lightness moves (ITU-R BT.601).
            lightness = moved @ LUMA
            moved = np.repeat(lightness[..., None], 3, -1)
        difference, cover = enlarged(moved, crop, finer)
        yield Patch(face, mask[..., None] * difference, mask * cover, mask)


def enlarged(moved: Floats, crop: Bytes, finer: int) -> tuple[Floats, Floats]:
    """What is added to a face, and how much of itself the face loses, on a grid `finer` times as
    fine: [n, n, 3] in 255ths, [n, n] in 0..1.

    Edges: enlarged by bicubic interpolation, and then brought nearer to the least or the largest of
    the nine pixels around, whichever is nearer. No value leaves their range, so nothing rings.

    Texture: the photo's own is finer than the network sees and shines through what is added. Where
    the edit flattens the texture that the network does see (the slope of what is added against the
    face, both without their low frequencies, is below 0), it covers the finer one by that share.
    """
    if finer == 1:
        return moved, np.zeros(moved.shape[:2], np.float32)
    low, high = (_blurred(_nine(extreme, moved)) for extreme in (np.minimum, np.maximum))
    low, high = (_enlarged(planes, finer, LINEAR) for planes in (low, high))
    value = _enlarged(moved, finer)
    t = ((value - low) / (high - low).clip(1e-3)).clip(0, 1)
    sharp = low + (high - low) * t * t * (3 - 2 * t)
    face = crop.astype(np.float32)
    added, texture = (planes - _blurred(planes) for planes in (moved, face))
    both = np.stack([(texture * other).sum(2) for other in (added, texture)], 2)
    shared, power = np.moveaxis(_blurred(_blurred(both)), 2, 0)
    cover = _enlarged((-shared / (power + FAINT)).clip(0, 1)[..., None], finer)
    return sharp + cover * _enlarged(face, finer), cover[..., 0]


def _nine(join: Callable[[Floats, Floats], Floats], planes: Floats) -> Floats:
    """Each pixel of [S, S, C] joined with the eight around it."""
    for axis in (0, 1):
        before, here, after = _three(planes, axis)
        planes = join(join(before, here), after)
    return planes


def _blurred(planes: Floats) -> Floats:
    """By the binomial kernel of 3 x 3."""
    for axis in (0, 1):
        before, here, after = _three(planes, axis)
        planes = (before + 2 * here + after) * np.float32(0.25)
    return planes


def _three(planes: Floats, axis: int) -> tuple[Floats, Floats, Floats]:
    """Every pixel's neighbours along an axis and itself; beyond the border its own pixels go on."""
    wide = np.moveaxis(np.pad(planes, [(int(axis == k),) * 2 for k in range(3)], "edge"), axis, 0)
    return np.moveaxis(wide[:-2], 0, axis), planes, np.moveaxis(wide[2:], 0, axis)


def _enlarged(
    planes: Floats, times: int, kernel: Image.Resampling = Image.Resampling.BICUBIC
) -> Floats:
    size = (times * planes.shape[1], times * planes.shape[0])
    images = (Image.fromarray(np.ascontiguousarray(p)) for p in np.moveaxis(planes, 2, 0))
    return np.stack([np.asarray(image.resize(size, kernel)) for image in images], 2)
