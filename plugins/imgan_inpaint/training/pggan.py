"""PG-GAN's training: a generator that fills holes against two discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import softplus

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training.data import load_rgb, shuffled, to_tensor
from imgan.training.loop import linear, set_rate
from imgan.training.optim import Optim
from imgan.training.perceptual import Features, distance, load_beside
from imgan.training.task import Task
from imgan_inpaint import FillingSettings, InpaintSettings
from imgan_inpaint.holes import Mask, draw_hole, read_masks
from imgan_inpaint.net import Discriminator, Generator

SAMPLES = 8
"""Rows of a sample sheet."""


S = TypeVar("S", bound=FillingSettings)


class Filling(Task[S]):
    """Demir and Unal 2018, equation 4: L1 in the hole, and what two discriminators say of the
    picture whose hole is filled, the one of all of it, the other of its patches.

    A batch is photos, holes, and the planes that tell both networks what the holes are filled with.
    """

    shipped = "generator"

    conditions: ClassVar[int] = 0
    """The number of those planes."""

    def __init__(self, data: Path, settings: S) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["generator"] = Generator(settings.width, settings.blocks, self.conditions)
        self.networks["discriminator"] = Discriminator(
            settings.discriminator_width, self.conditions
        )
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(
                network.parameters(), settings.lr, betas=(0.5, 0.99)
            )
        self.average("generator")

    @cached_property
    def features(self) -> Features:
        return load_beside(self.networks["generator"])

    def prepare(self, device: torch.device) -> None:
        if self.settings.features:
            _ = self.features

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        photos, holes, *conditions = batch
        settings = self.settings
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        for optimizer in self.optimizers.values():
            set_rate(optimizer, linear(settings, step))
        with optim.autocast():
            filled = generator(photos, holes, *conditions)
            # What is known is given back as it was, so all of the error lies in the holes.
            l1 = (filled - photos).abs().sum() / (3 * holes.sum())
            whole, patch = (
                softplus(-logits).mean() for logits in discriminator(filled, *conditions)
            )
            loss = settings.l1 * l1 + settings.whole * whole + settings.patch * patch
            losses = {"l1": l1, "whole": whole, "patch": patch}
            if settings.features:
                losses["features"] = self.apart(filled, photos).mean()
                loss = loss + settings.features * losses["features"]
        optim.minimise(loss, self.optimizers["generator"])
        with optim.autocast():
            on_real = discriminator(photos, *conditions)
            on_filled = discriminator(filled.detach(), *conditions)
            real = sum(softplus(-logits).mean() for logits in on_real)
            made = sum(softplus(logits).mean() for logits in on_filled)
            losses["discriminator"] = (real + made) / 2
        optim.minimise(losses["discriminator"], self.optimizers["discriminator"])
        return {name: value.detach() for name, value in losses.items()}

    def apart(self, filled: Tensor, photos: Tensor) -> Tensor:
        """By the bundled features, [N]."""
        return distance(self.features, filled, photos)


class PGGANTask(Filling[InpaintSettings]):
    """Photos of one kind, and holes anywhere in them."""

    @cached_property
    def photos(self) -> list[Bytes]:
        """With sides of `--wide` times the crop or less, so that any crop shows much of one; read
        at the first step, since an export needs none."""
        side = round(self.settings.crop * self.settings.wide)
        photos = [np.asarray(_reduced(load_rgb(path), side)) for path in pictures(self.data)]
        photos = [photo for photo in photos if min(photo.shape[:2]) >= self.settings.crop]
        if not photos:
            raise Failure(f"{self.data}: no picture is {self.settings.crop} px on both sides")
        return photos

    @cached_property
    def masks(self) -> list[Mask]:
        return read_masks(Path(self.settings.masks)) if self.settings.masks else []

    def batch(self, step: int) -> tuple[Tensor, ...]:
        settings = self.settings
        chosen = shuffled(len(self.photos), settings.batch_size, settings.seed, step)
        rng = np.random.default_rng([settings.seed, step])
        crops = to_tensor([self._crop(self.photos[i], rng) for i in chosen])
        return crops, self._holes(rng, len(crops))

    def _crop(self, photo: Bytes, rng: np.random.Generator) -> Bytes:
        side, (height, width) = self.settings.crop, photo.shape[:2]
        shown = int(rng.integers(side, min(height, width) + 1))
        top, left = rng.integers(height - shown + 1), rng.integers(width - shown + 1)
        crop = photo[top : top + shown, left : left + shown, :]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        image = Image.fromarray(np.ascontiguousarray(crop))
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))

    def _holes(self, rng: np.random.Generator, count: int) -> Tensor:
        side, most = self.settings.crop, self.settings.hole
        holes = [draw_hole(rng, side, most=most, masks=self.masks) for _ in range(count)]
        return torch.from_numpy(np.stack(holes)[:, None]).float()

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows: the photo with its hole, filled, and as it was."""
        rng = np.random.default_rng(0)
        chosen = [self.photos[i * len(self.photos) // SAMPLES] for i in range(SAMPLES)]
        photos = to_tensor([self._crop(photo, rng) for photo in chosen])
        holes = self._holes(rng, SAMPLES)
        generator = self.trained("generator")
        device = next(generator.parameters()).device
        filled = generator(photos.to(device), holes.to(device)).cpu()
        return torch.cat([torch.cat(list(p), 1) for p in (photos * (1 - holes), filled, photos)], 2)


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """The picture with its shorter side at most `side`, antialiased."""
    scale = min(1.0, side / min(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)
