"""Training classifiers of two domains: for `imgan evaluate translate`, and to teach generators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from imgan.images.tensors import Bytes
from imgan.training.adversarial_examples import adversarial_examples
from imgan.training.classifier import Classifier
from imgan.training.data import to_tensor
from imgan.training.distort import distort
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan.training.weights import Weights, frozen
from imgan_translate import ClassifierSettings
from imgan_translate.classifier import SIDE
from imgan_translate.training.photos import read

ZOOM = 2
"""Pictures are held this many times as large as they are seen: a crop shows half or more."""


class ClassifierTask(Task[ClassifierSettings]):
    """Binary cross-entropy, B being 1: AdamW, cosine decay to zero.

    Crops have many sizes, may be mirrored, and are distorted in one of the ways of `distort` (blur,
    noise, JPEG, shift, colour), so that sharpness, grain or light alone do not tell a domain. With
    `perturbation` they are adversarial examples: such a classifier can teach a translator.
    """

    shipped = "classifier"

    def __init__(self, data: Path, settings: ClassifierSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["classifier"] = Classifier(settings.width, 1)
        self.optimizers["classifier"] = torch.optim.AdamW(
            self.networks["classifier"].parameters(), settings.lr, weight_decay=0.05
        )
        self.average("classifier")

    @cached_property
    def photos(self) -> tuple[list[Bytes], ...]:
        """Of A and of B; read at the first step: an export needs no pictures."""
        return tuple(read(self.data / f"train{side}", ZOOM * SIDE) for side in "AB")

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return self._draw(
            np.random.default_rng([self.settings.seed, step]), self.settings.batch_size
        )

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        crops, labels = batch
        network, optimizer = self.networks["classifier"], self.optimizers["classifier"]
        set_rate(optimizer, cosine(self.settings, step))

        def loss(seen: Tensor) -> Tensor:
            with optim.autocast():
                return binary_cross_entropy_with_logits(network(seen)[:, 0], labels)

        if self.settings.perturbation:
            crops = adversarial_examples(crops, self.settings.perturbation, loss)
        with optim.autocast():
            logits = network(crops)[:, 0]
            cross_entropy = binary_cross_entropy_with_logits(logits, labels)
        optim.minimise(cross_entropy, optimizer)
        accuracy = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        return {"cross_entropy": cross_entropy.detach(), "accuracy": accuracy}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """64 crops of both domains, from the surest A to the surest B."""
        crops, _ = self._draw(np.random.default_rng(0), 64)
        network = self.trained("classifier")
        device = next(network.parameters()).device
        order = network(crops.to(device))[:, 0].argsort().cpu()
        return torch.cat([torch.cat(list(row), 2) for row in crops[order].split(8)], 1)

    def _draw(self, rng: Generator, count: int) -> tuple[Tensor, Tensor]:
        """Crops [count, 3, 64, 64] RGB in 0..1, equally often of A and of B, and their labels."""
        labels = rng.integers(2, size=count)
        crops = [distort(_crop(self.photos[label], rng), rng) for label in labels]
        return to_tensor(crops), torch.from_numpy(labels).float()


def load_robust_classifier(source: str) -> nn.Module:
    """The classifier of a run or file. Raises what `frozen` raises."""

    def build(weights: Weights) -> nn.Module:
        return Classifier(len(weights["layers.0.weight"]), 1)

    return frozen(
        "--robust-classifier", source, "translate-classifier", ClassifierTask.shipped, build
    )


def _crop(photos: list[Bytes], rng: Generator) -> Bytes:
    photo = Image.fromarray(photos[rng.integers(len(photos))])
    seen = int(rng.integers(SIDE, ZOOM * SIDE + 1))
    left, top = (int(rng.integers(length - seen + 1)) for length in photo.size)
    box = (left, top, left + seen, top + seen)
    crop = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))
    return crop[:, :: 1 - 2 * int(rng.integers(2))]
