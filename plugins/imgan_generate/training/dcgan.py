"""DCGAN's training: the losses of Goodfellow et al. 2014, non-saturating for the generator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from imgan.training.data import shuffled
from imgan.training.faces import Faces
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_generate import DCGANSettings
from imgan_generate.net import LATENT, Discriminator, Generator

SIZE = 64


class DCGANTask(Task[DCGANSettings]):
    """Generator against discriminator, Adam with the paper's rate 2e-4 and beta1 0.5."""

    shipped = "generator"

    def __init__(self, data: Path, settings: DCGANSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["generator"] = Generator(settings.width)
        self.networks["discriminator"] = Discriminator(settings.discriminator_width)
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(
                network.parameters(), settings.lr, betas=(0.5, 0.999)
            )
        self.average("generator")

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures."""
        return Faces(self.data, SIZE, self.settings.held_out)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        seed, count = self.settings.seed, self.settings.batch_size
        indices = shuffled(len(self.faces), count, seed, step)
        mirror = np.random.default_rng([seed, step]).random(count) < 0.5
        return (self.faces.take(indices, mirror),)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        (real,) = batch
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        z = torch.randn(len(real), LATENT, device=real.device)
        with optim.autocast():
            fake = generator(z)
            # -log D(x) - log(1 - D(G(z))), with D = sigmoid of the logit.
            on_real, on_fake = discriminator(real), discriminator(fake.detach())
            loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
        optim.minimise(loss_d, self.optimizers["discriminator"])
        with optim.autocast():
            # -log D(G(z))
            loss_g = softplus(-discriminator(fake)).mean()
        optim.minimise(loss_g, self.optimizers["generator"])
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def sample(self) -> Tensor:
        """An 8x8 grid of the averaged generator's faces, always from the same noise."""
        z = torch.randn(64, LATENT, generator=torch.Generator().manual_seed(0))
        generator = self.trained("generator")
        faces = generator(z.to(next(generator.parameters()).device)) / 2 + 0.5
        rows = faces.unflatten(0, (8, 8))
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
