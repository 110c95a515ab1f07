"""The training of what paints fringes, beards and bare skin: conditional inpainting on real faces.

What a face has is hidden and painted again under the name of what was there. So a bearded face
teaches `beard`, a bare one `bare`, which takes beards away; no pair of pictures is needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, smoothstep
from imgan.images.tensors import Bytes
from imgan.training.celeba import ATTRIBUTES_FILE, read_attributes
from imgan.training.data import to_tensor
from imgan.training.perceptual import distance
from imgan_edit import RegionPainterSettings
from imgan_edit.regions.zones import CENTRE, FRAMES, ON, THINGS, UNIT, Frame, Zone, grid, planes
from imgan_inpaint.training.pggan import Filling
from imgan_parse import CLASSES
from imgan_parse.training.data import ParsedFaces

SAMPLES = 8
"""Columns of a sample sheet."""

SHARES = {
    ("bangs", "forehead"): 0.16,
    ("bare", "forehead"): 0.16,
    ("beard", "chin"): 0.16,
    ("mustache", "chin"): 0.10,
    ("goatee", "chin"): 0.12,
    ("bare", "chin"): 0.18,
    ("glasses", "eyes"): 0.04,
    ("bare", "eyes"): 0.08,
}
"""How often a batch has each thing, and where."""


class Lesson(NamedTuple):
    """One face with a hidden part: photo [h, w, 3], hole [h, w], and what the network is told."""

    photo: Bytes
    hole: Floats
    told: Floats


class RegionPainterTask(Filling[RegionPainterSettings]):
    """PG-GAN's losses; both networks are told what is to be painted, and where about."""

    conditions = len(THINGS) + 1

    @cached_property
    def faces(self) -> ParsedFaces:
        """Faces aligned as CelebA's, and the classes of their pixels."""
        return ParsedFaces(self.data)

    @cached_property
    def has(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """Which faces teach each thing in each frame."""
        names, table = read_attributes(self.data / ATTRIBUTES_FILE)
        try:
            rows = np.stack([table[name] for name in self.faces.names]) > 0
        except KeyError as missing:
            raise Failure(f"{self.data / ATTRIBUTES_FILE}: no line for {missing.args[0]}") from None
        attribute = dict(zip(names, rows.T, strict=True))
        shares = self.faces.shares()
        worn = shares[:, CLASSES.index("glasses")] > 0.01
        hat = shares[:, CLASSES.index("hat")] > 0.01
        hair = np.array([self._fringe(mask) for mask in self.faces.masks])
        goatee, mustache = attribute["Goatee"], attribute["Mustache"]
        beard = ~attribute["No_Beard"]
        shaven = ~(goatee | mustache | beard | attribute["5_o_Clock_Shadow"])
        teaches = {
            ("bangs", "forehead"): (hair > 0.3) & ~hat,
            ("bare", "forehead"): (hair < 0.1) & ~hat,
            ("beard", "chin"): beard & ~mustache & ~goatee,
            ("mustache", "chin"): mustache & ~goatee,
            ("goatee", "chin"): goatee,
            ("bare", "chin"): shaven,
            ("glasses", "eyes"): worn,
            ("bare", "eyes"): ~worn & ~attribute["Eyeglasses"],
        }
        found = {key: np.flatnonzero(chosen) for key, chosen in teaches.items()}
        return {key: faces for key, faces in found.items() if len(faces)}

    @staticmethod
    def _fringe(mask: Bytes) -> float:
        """How much of the middle of the forehead, above the brows, is hair."""
        side = len(mask)
        (left, right), (top, bottom) = (side * (CENTRE[:, None] + UNIT * _FOREHEAD)).astype(int)
        part = mask[top:bottom, left:right]
        return float((part == CLASSES.index("hair")).mean())

    def batch(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([self.settings.seed, step])
        chances = np.array([SHARES[key] for key in self.has])
        drawn = rng.choice(len(chances), self.settings.batch_size, p=chances / chances.sum())
        keys = list(self.has)
        return _stacked(
            [self._lesson(thing, where, rng) for thing, where in (keys[k] for k in drawn)]
        )

    def _lesson(self, thing: str, where: str, rng: np.random.Generator) -> Lesson:
        index = int(rng.choice(self.has[thing, where]))
        size = self.settings.crop
        photo, mask = self._crop(index, FRAMES[where], size, rng)
        parts = {name: (mask == number).astype(np.float32) for number, name in enumerate(CLASSES)}
        x, y = grid(FRAMES[where], size)
        hole, matte = _hidden(thing, where, parts, x, y, rng)
        return Lesson(photo, hole, planes(thing, hole, matte))

    def _crop(
        self, index: int, frame: Frame, size: int, rng: np.random.Generator
    ) -> tuple[Bytes, Bytes]:
        """A frame of a face, seldom quite straight, and its classes."""
        image, mask = self.faces.images[index], self.faces.masks[index]
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        side = len(image)
        border = side // 4
        scale = frame.side * UNIT * side * np.exp(rng.normal(0, 0.04)) / size
        angle = np.radians(rng.normal(0, 3))
        c, s = np.cos(angle) * scale, np.sin(angle) * scale
        x, y = (CENTRE + UNIT * (np.array(frame[:2]) + rng.normal(0, 0.04, 2))) * side + border
        half = size / 2
        affine = (c, -s, x - c * half + s * half, s, c, y - s * half - c * half)
        wide = np.pad(image, ((border, border), (border, border), (0, 0)), "edge")
        seen = Image.fromarray(wide).transform(
            (size, size), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC
        )
        classes = Image.fromarray(np.pad(mask, border, "edge")).transform(
            (size, size), Image.Transform.AFFINE, affine, Image.Resampling.NEAREST
        )
        return np.asarray(seen), np.asarray(classes)

    def apart(self, filled: Tensor, photos: Tensor) -> Tensor:
        """In the middle of the frame, where the holes are."""
        rim = self.settings.crop // 8
        inner = slice(rim, self.settings.crop - rim)
        return distance(self.features, filled[..., inner, inner], photos[..., inner, inner])

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows: photos with their holes, filled, as they were; and filled with something else."""
        rng = np.random.default_rng(0)
        keys = list(self.has)
        lessons = [self._lesson(*keys[k % len(keys)], rng) for k in range(2 * SAMPLES)]
        photos, holes, told = _stacked(lessons)
        swapped = told.clone()
        for k in range(len(lessons)):
            bare = keys[k % len(keys)][0] == "bare"
            where = keys[k % len(keys)][1]
            other = next(t for t in ON if ON[t] == where) if bare else "bare"
            x, y = grid(FRAMES[where], self.settings.crop)
            matte = getattr(Zone(soft=0.2), other)(x, y) if bare else 0 * told[k, 0].numpy()
            swapped[k] = torch.from_numpy(planes(other, holes[k, 0].numpy(), matte))
        generator = self.trained("generator")
        device = next(generator.parameters()).device
        rows = [photos * (1 - holes)]
        rows += [
            generator(photos.to(device), holes.to(device), each.to(device)).cpu()
            for each in (told, swapped)
        ]
        rows.insert(2, photos)
        return torch.cat([torch.cat(list(row), 2) for row in rows], 1)


_FOREHEAD = np.array([[-0.4, 0.4], [-0.72, -0.38]])
"""x and y of the middle of a forehead."""


def _hidden(
    thing: str,
    where: str,
    parts: dict[str, Floats],
    x: Floats,
    y: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """A hole [h, w] of zeros and ones, and the matte: where about the thing is in it."""
    scale, (across, down) = rng.uniform(0.92, 1.2), rng.normal(0, 0.03, 2)
    zone = Zone(scale, across, down, soft=0.01)
    scale, (across, down) = rng.uniform(0.9, 1.1), rng.normal(0, 0.04, 2)
    rough = Zone(scale, across, down, soft=0.2)
    none = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    if where == "forehead":
        hole = zone.bangs(x, y) * (y < rng.uniform(-0.3, 0.0))
        free = 1 - _either(parts, "left_eye", "right_eye", "nose")
        hair = blurred(parts["hair"], rng.uniform(1.0, 3.5))
        return hole.round() * free, smoothstep(hair, 0.1, 0.9) if thing == "bangs" else none
    if where == "chin":
        if thing == "bare":
            hole = getattr(zone, str(rng.choice(["beard", "mustache", "goatee"])))(x, y)
        else:
            hole = getattr(zone, thing if rng.random() < 0.6 else "beard")(x, y)
        free = 1 - _either(parts, "upper_lip", "lower_lip", "mouth", "nose")
        return hole.round() * free, none if thing == "bare" else getattr(rough, thing)(x, y)
    worn = blurred(parts["glasses"], 1.5)
    if thing == "glasses":
        hole = np.maximum(worn > 0.15, zone.glasses(x, y) > 0.5).astype(np.float32)
        return hole, smoothstep(worn, 0.1, 0.9)
    thickness = Zone(rng.uniform(0.8, 1.8), zone.across, zone.down, soft=0.01)
    hole = (thickness.rims if rng.random() < 0.85 else zone.glasses)(x, y)
    return hole.round(), none


def _either(parts: dict[str, Floats], *names: str) -> Floats:
    return np.maximum.reduce([parts[name] for name in names])


def _stacked(lessons: list[Lesson]) -> tuple[Tensor, Tensor, Tensor]:
    photos = to_tensor([lesson.photo for lesson in lessons])
    holes = torch.from_numpy(np.stack([lesson.hole for lesson in lessons])[:, None]).float()
    return photos, holes, torch.from_numpy(np.stack([lesson.told for lesson in lessons])).float()
