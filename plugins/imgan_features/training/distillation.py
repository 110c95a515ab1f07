"""Distillation: the student learns what the teacher's channels say and how it tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from imgan.errors import Misuse
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.metrics.perceptual import SCALES
from imgan.training.data import load_rgb, to_tensor
from imgan.training.distort import distort
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.perceptual import Features, layer_distance
from imgan.training.task import Task
from imgan_features import FeaturesSettings
from imgan_features.net import Choice, Scales
from imgan_features.training.fit import fit
from imgan_features.training.teacher import load_teacher

LONGEST = 1024
"""Larger pictures are brought down to this side: beyond it there is little but blur and grain."""

AT_ONCE = 16
"""Crops in one pass of the first fit."""


class FeaturesTask(Task[FeaturesSettings]):
    """The first step chooses channels and solves for the kernels; the others are Adam's.

    The loss has two parts. One is the squared error to the teacher's kept channels over their mean
    square, averaged over all layers. The other is the same for the root of `layer_distance`
    between a crop and its distorted self, averaged over `SCALES`.
    """

    shipped = "features"

    def __init__(self, data: Path, settings: FeaturesSettings) -> None:
        super().__init__(settings)
        self.student = Features.half()
        self.choice = Choice(self.student)
        self.networks["features"] = self.student
        self.networks["choice"] = self.choice
        self.optimizers["features"] = torch.optim.Adam(self.student.parameters(), settings.lr)
        self.average("features")
        self.data = data

    def product(self, name: str | None = None) -> nn.Module:
        student = self.trained(self.chosen(name))
        assert isinstance(student, Features)
        return Scales(student).cpu().eval()

    @cached_property
    def crops(self) -> Crops:
        """Read at the first step: an export needs no pictures."""
        return Crops(self.data, self.settings.crop)

    @cached_property
    def teacher(self) -> Features:
        """An export needs no teacher."""
        return load_teacher()

    def prepare(self, device: torch.device) -> None:
        self.teacher.to(device)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([self.settings.seed, step])
        return self.crops.pairs(rng, self.settings.batch_size)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        if not self.choice.made:
            self._begin()
        images = torch.cat(batch)
        optimizer = self.optimizers["features"]
        set_rate(optimizer, cosine(self.settings, step))
        layers = self.student.layers
        with torch.no_grad():
            truth = self.teacher(images, layers)
        with optim.autocast():
            given = self.student(images, layers)
            errors = [
                _relative(given[name], self.choice.targets(name, truth[name])) for name in layers
            ]
            distances = [
                _relative(*(layer_distance(*seen[s].chunk(2)).sqrt() for seen in (given, truth)))
                for s in SCALES
            ]
            activation, distance = torch.stack(errors).mean(), torch.stack(distances).mean()
        optim.minimise(activation + distance, optimizer)
        return {"activation": activation.detach(), "distance": distance.detach()}

    def _begin(self) -> None:
        # Before the fit all biases are zero.
        if any(p.any() for p in self.student.parameters() if p.ndim == 1):
            raise Misuse(
                "--init-from for features is a run: a file does not say which channels were kept"
            )
        rng = np.random.default_rng(self.settings.seed)
        batches = []
        for first in range(0, self.settings.sample, AT_ONCE):
            count = min(AT_ONCE, self.settings.sample - first)
            clean, distorted = self.crops.pairs(rng, count)
            # Every other crop is distorted: the equations must hold for both.
            clean[1::2] = distorted[1::2]
            batches.append(clean)
        fit(self.teacher.cpu(), self.student.cpu(), self.choice.cpu(), batches)

    def sample(self) -> Tensor:
        """Rows of a crop and, for each scale, the mean activation of teacher and student."""
        crops, _ = self.crops.pairs(np.random.default_rng(0), 4)
        student = self.trained("features")
        device = next(student.parameters()).device
        given = student(crops.to(device), SCALES)
        truth = self.teacher(crops.to(device), SCALES)
        columns = [crops]
        for name in SCALES:
            for maps in (self.choice.targets(name, truth[name]), given[name]):
                grey = maps.mean(1, keepdim=True).cpu()
                grey = grey / (2 * self.choice.targets(name, truth[name]).mean().cpu())
                columns.append(interpolate(grey, crops.shape[2:]).expand(-1, 3, -1, -1))
        return torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)


def _relative(given: Tensor, truth: Tensor) -> Tensor:
    return (given - truth).square().mean() / truth.square().mean()


class Crops:
    """Random crops of a folder's pictures beside their distorted selves."""

    def __init__(self, data: Path, side: int) -> None:
        self.side = side
        self.pictures: list[Bytes] = [self._fitting(load_rgb(path)) for path in pictures(data)]

    def _fitting(self, picture: Image.Image) -> Bytes:
        factor = max(min(1.0, LONGEST / max(picture.size)), self.side / min(picture.size))
        if factor != 1:
            width, height = (max(self.side, round(length * factor)) for length in picture.size)
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(picture)

    def pairs(self, rng: Generator, count: int) -> tuple[Tensor, Tensor]:
        """`count` crops and what a distortion makes of each, [N, 3, side, side] RGB in 0..1."""
        clean = [self._crop(rng) for _ in range(count)]
        distorted = [distort(crop, rng) for crop in clean]
        return to_tensor(clean), to_tensor(distorted)

    def _crop(self, rng: Generator) -> Bytes:
        picture = self.pictures[rng.integers(len(self.pictures))]
        y, x = (rng.integers(length - self.side + 1) for length in picture.shape[:2])
        crop = picture[y : y + self.side, x : x + self.side]
        return crop[:, ::-1] if rng.integers(2) else crop
