"""Training the colouring network: classes of colours, the rare ones counting for more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from imgan.images.tensors import Bytes
from imgan.training.data import shuffled, to_tensor
from imgan.training.loop import cosine
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_translate import ColorizeSettings
from imgan_translate.colorizer import REDUCED, Colorizer, gamut, to_lab
from imgan_translate.preprocess import gray
from imgan_translate.training.efficientnet import load_encoder
from imgan_translate.training.photos import read, rows

ROWS = 6
"""Of a sample sheet."""

ZOOM = 1.25
"""Pictures are held this many times as large as they are seen: a crop shows most of the scene."""

NEAREST, SOFTNESS = 5, 5.0
"""A colour is so many bins, under a Gaussian of this sigma in the ab plane (section 2.1)."""

SPARSE = 4
"""The prior is that of every fourth pixel each way."""

PRETRAINED = 0.2
"""The learning rate of pretrained layers, in parts of --lr."""

FROZEN = 2
"""Of the pretrained stages the first ones learn nothing more."""


class ColorizeTask(Task[ColorizeSettings]):
    """Cross-entropy of the bins (Zhang et al. 2016, equation 2), AdamW, cosine decay to zero.

    What is told is the colour of places of REDUCED pixels, softly encoded, and each counts with the
    weight of its bin (equation 4): ((1 - r) p + r / Q)^-1, with p the smoothed prior in the
    training pictures and r `rebalance`, of mean 1.
    """

    shipped = "generator"

    def __init__(self, data: Path, settings: ColorizeSettings) -> None:
        super().__init__(settings)
        self.data = data
        network = Colorizer(settings.temperature)
        self.networks["generator"] = network
        learning = [*network.decoder.parameters(), *network.head.parameters()]
        frozen = FROZEN if settings.pretrained else 0
        deeper = [*network.encoder.stages[frozen:].parameters()]
        if not settings.pretrained:
            deeper += network.encoder.stem.parameters()
        share = PRETRAINED if settings.pretrained else 1.0
        self.optimizers["generator"] = torch.optim.AdamW(
            [{"params": learning, "share": 1.0}, {"params": deeper, "share": share}], settings.lr
        )
        self.average("generator")

    @cached_property
    def photos(self) -> list[Bytes]:
        """Read at the first step: an export needs no pictures."""
        return read(self.data, round(ZOOM * self.settings.crop))

    @cached_property
    def weights(self) -> Tensor:
        """Of the bins, [Q]."""
        bins = gamut()
        counts = torch.zeros(len(bins))
        for photo in self.photos:
            ab = (
                to_lab(_scaled([photo[::SPARSE, ::SPARSE]]))[:, 1:]
                .permute(0, 2, 3, 1)
                .flatten(0, 2)
            )
            counts += torch.cdist(ab, bins).argmin(1).bincount(minlength=len(bins))
        near = torch.exp(-0.5 * (torch.cdist(bins, bins) / SOFTNESS) ** 2)
        prior = near / near.sum(0) @ (counts / counts.sum())
        share = self.settings.rebalance
        weights = 1 / ((1 - share) * prior + share / len(bins))
        return weights / (prior @ weights)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        settings = self.settings
        chosen = shuffled(len(self.photos), settings.batch_size, settings.seed, step)
        return self._crops([self.photos[i] for i in chosen], [settings.seed, step])

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        inputs, targets = batch
        network, optimizer = self.networks["generator"], self.optimizers["generator"]
        assert isinstance(network, Colorizer)
        if step == 0 and self.settings.pretrained:
            load_encoder(network.encoder)
        rate = cosine(self.settings, step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        ab = avg_pool2d(to_lab(targets)[:, 1:], REDUCED).permute(0, 2, 3, 1).flatten(0, 2)
        near, indices = torch.cdist(ab, network.bins).topk(NEAREST, largest=False)
        wanted = (-0.5 * (near / SOFTNESS) ** 2).softmax(1)
        weights = self.weights.to(ab)[indices[:, 0]]
        with optim.autocast():
            logits = network.logits(inputs)
        logits = logits.float().permute(0, 2, 3, 1).flatten(0, 2)
        entropies = -(wanted * logits.log_softmax(1).gather(1, indices)).sum(1)
        loss = (weights * entropies).mean()
        optim.minimise(loss, optimizer)
        right = (logits.detach().argmax(1) == indices[:, 0]).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": right}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows: input, what is made of it, output."""
        chosen = [self.photos[i * len(self.photos) // ROWS] for i in range(ROWS)]
        inputs, targets = self._crops(chosen, 0)
        generator = self.trained("generator")
        made = generator(inputs.to(next(generator.parameters()).device))
        return rows(inputs, made, targets)

    def _crops(self, photos: list[Bytes], seed: int | list[int]) -> tuple[Tensor, Tensor]:
        """Grey and coloured crops of most of each photo, [N, 3, crop, crop] in -1..1."""
        rng = np.random.default_rng(seed)
        crops = [_crop(photo, self.settings.crop, rng) for photo in photos]
        return _scaled([gray(crop) for crop in crops]), _scaled(crops)


def _crop(photo: Bytes, side: int, rng: Generator) -> Bytes:
    height, width = photo.shape[:2]
    seen = int(rng.integers(side, min(height, width) + 1))
    left, top = int(rng.integers(width - seen + 1)), int(rng.integers(height - seen + 1))
    box = (left, top, left + seen, top + seen)
    crop = Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC, box)
    return np.asarray(crop)[:, :: 1 - 2 * int(rng.integers(2))]


def _scaled(pictures: list[Bytes]) -> Tensor:
    return to_tensor(pictures) * 2 - 1
