"""3D-GAN's training, with a loss that converges: relativistic pairing and gradient penalties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, max_pool3d, softplus

from imgan.training.data import shuffled
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_shapes import GAN3DSettings
from imgan_shapes.grids import Shapes, read_shapes, sloped
from imgan_shapes.net import AXES, LATENT, Discriminator, Generator
from imgan_shapes.render import views

WHOLE_EVERY = 4
"""Steps from one look for loose bits to the next: it takes as long as half a step."""
ROUNDS = 16
"""A path from the seed may turn so often, or go so far along the slowest axis."""
OCCUPIED = 0.5
FIRM = 0.55
"""What a connection is to have at its thinnest."""


def loose(cells: Tensor) -> Tensor:
    """How much of shapes [N, 1, a, b, c] hangs by less than FIRM, of all that is occupied: 0..1.

    What connects a cell is the best path to it from where the shape is thickest, and on that path
    the least occupancy: morphological reconstruction (Vincent 1993), cells that share a face. Its
    gradient raises the thinnest place of the path, for all cells behind it.
    """
    with torch.no_grad():
        thick = (avg_pool3d(cells, 5, 1, 2) * (cells > OCCUPIED)).flatten(1)
        seed = torch.zeros_like(thick).scatter_(1, thick.argmax(1, keepdim=True), 1.0)
    reached = cells * seed.view_as(cells)
    for _ in range(ROUNDS):
        for kernel in ((3, 1, 1), (1, 3, 1), (1, 1, 3)):
            around = max_pool3d(reached, kernel, 1, tuple(k // 2 for k in kernel))
            reached = torch.minimum(cells, around)
    wanted = cells.clamp(max=FIRM) * (cells.detach() > OCCUPIED)
    missing = torch.relu(wanted - reached)
    return (missing.sum((1, 2, 3, 4)) / wanted.detach().sum((1, 2, 3, 4)).clamp(min=1)).mean()


class GAN3DTask(Task[GAN3DSettings]):
    """Generator against discriminator: softplus of the difference of their logits (RpGAN,
    Jolicoeur-Martineau 2018), with R1 and R2 (Mescheder et al. 2018), as in R3GAN (Huang et al.
    2024).

    With `whole`, the generator pays for what is loose, too: one missing cell parts a leg from its
    chair, which a discriminator hardly sees.

    The paper's loss needs its discriminator to be held back, which is updated only while it is
    right in less than 80 % of a batch; penalties of its gradient hold it back for good.
    """

    shipped = "generator"

    def __init__(self, data: Path, settings: GAN3DSettings) -> None:
        super().__init__(settings)
        self.data = data
        form = (settings.size, settings.mirror)
        self.networks["generator"] = Generator(settings.width, *form)
        self.networks["discriminator"] = Discriminator(settings.discriminator_width, *form)
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(
                network.parameters(), settings.lr, betas=(0.5, 0.99)
            )
        self.average("generator")

    @cached_property
    def shapes(self) -> Shapes:
        """What is trained on, `sloped`. Read at the first step: an export needs no shapes."""
        s = self.settings
        shapes = read_shapes(self.data, s.size, s.kind, s.pose).part(held_out=False)
        return replace(shapes, grids=np.stack([sloped(grid, s.slope) for grid in shapes.grids]))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Shapes [N, 1, size, size, size] in 0..1; with `mirror` one half of each, either one."""
        seed, count = self.settings.seed, self.settings.batch_size
        grids = self.shapes.grids[shuffled(len(self.shapes.names), count, seed, step)]
        if (axis := AXES[self.settings.mirror]) is not None:
            turned = np.random.default_rng([seed, step]).random(count) < 0.5
            grids[turned] = np.flip(grids[turned], axis + 1)
            grids = np.split(grids, 2, axis + 1)[0]
        return (torch.from_numpy(grids).float()[:, None] / 255,)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        (real,) = batch
        generator: Any = self.networks["generator"]
        discriminator = self.networks["discriminator"]
        z = torch.randn(len(real), LATENT, device=real.device)
        with optim.autocast():
            fake = generator.cells(z)
        penalised = step % self.settings.penalty_every == 0
        on_real, on_fake, penalty = self._logits(real, fake.detach(), penalised, optim)
        loss_d = softplus(on_fake - on_real).mean() + self.settings.penalty_every * penalty
        optim.minimise(loss_d, self.optimizers["discriminator"])
        with optim.autocast():
            loss_g = softplus(on_real.detach() - discriminator(fake)).mean()
        loss = loss_g
        if self.settings.whole and step % WHOLE_EVERY == 0:
            loss = loss + WHOLE_EVERY * self.settings.whole * loose(fake.float())
        optim.minimise(loss, self.optimizers["generator"])
        return {
            "discriminator": softplus(on_fake - on_real).mean().detach(),
            "generator": loss_g.detach(),
            "occupied": fake.mean().detach(),
            "penalty": penalty.detach(),
        }

    def _logits(
        self, real: Tensor, fake: Tensor, penalised: bool, optim: Optim
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the discriminator says, and half of gamma times the squares of its gradients."""
        discriminator = self.networks["discriminator"]
        real, fake = (x.requires_grad_(penalised) for x in (real, fake))
        with optim.autocast():
            on_real, on_fake = discriminator(real), discriminator(fake)
        if not penalised:
            return on_real, on_fake, on_real.new_zeros(())
        total = on_real.sum() + on_fake.sum()
        gradients = torch.autograd.grad(total, (real, fake), create_graph=True)
        squares = torch.stack([g.square().flatten(1).sum(1).mean() for g in gradients]).sum()
        return on_real, on_fake, self.settings.gamma / 2 * squares

    def sample(self) -> Tensor:
        """Sixteen shapes of the averaged generator, always of the same noise."""
        z = torch.randn(16, LATENT, generator=torch.Generator().manual_seed(0))
        generator = self.trained("generator")
        grids = generator(z.to(next(generator.parameters()).device)).cpu().numpy()
        sheet = torch.from_numpy(views(grids, 128))
        return sheet.permute(2, 0, 1).float() / 255
