"""The encoder's training: generated pictures, whose styles are known, and photos made again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, mse_loss

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training import perceptual
from imgan.training.celeba import read_faces
from imgan.training.data import shuffled
from imgan.training.faces import centred, taken
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan.training.weights import frozen
from imgan_generate.stylegan import Generator, build
from imgan_invert import EncoderSettings
from imgan_invert.encoder import Encoder

OFFSET_WEIGHT = 1e-3
"""Of how far the styles of layers are from one another (Tov et al. 2021, equation 3)."""

FEATURES_SEE = 32
"""Pixels a side at which photos made again are compared by features."""

SHEET = 6


class EncoderTask(Task[EncoderSettings]):
    """Half of each batch is generated, and half is photos."""

    shipped = "encoder"

    def __init__(self, data: Path, settings: EncoderSettings) -> None:
        super().__init__(settings)
        self.data = data
        generator = frozen("--generator", settings.generator, "stylegan", "generator", build)
        assert isinstance(generator, Generator)
        self.generator = generator
        synthesis = generator.synthesis
        encoder = Encoder(synthesis.sides[-1], synthesis.styles, generator.w, settings.width)
        encoder.mean.copy_(generator.mapping.w_avg)
        self.networks["encoder"] = encoder
        self.optimizers["encoder"] = torch.optim.Adam(encoder.parameters(), settings.lr)
        self.average("encoder")

    @cached_property
    def pixels(self) -> Bytes:
        """Read at the first step: an export needs no pictures."""
        held_out = self.settings.held_out
        paths = pictures(self.data)
        if len(paths) <= held_out:
            raise Failure(f"{self.data}: {held_out} pictures are held out and none is left")
        return read_faces(paths[: len(paths) - held_out], self.generator.synthesis.sides[-1])

    @cached_property
    def features(self) -> perceptual.Features:
        """On the encoder's device, as the generator from then on."""
        self.generator.to(next(self.networks["encoder"].parameters()).device)
        return perceptual.load_beside(self.networks["encoder"])

    def prepare(self, device: torch.device) -> None:
        _ = self.features

    def batch(self, step: int) -> tuple[Tensor, ...]:
        seed, count = self.settings.seed, self.settings.batch_size
        indices = shuffled(len(self.pixels), count, seed, step)
        mirror = np.random.default_rng([seed, step]).random(count) < 0.5
        return (centred(taken(self.pixels, indices, mirror)),)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        (real,) = batch
        encoder, synthesis = self.networks["encoder"], self.generator.synthesis
        set_rate(self.optimizers["encoder"], cosine(self.settings, step))
        noise = torch.randn(len(real), sum(synthesis.noise), device=real.device)
        with torch.no_grad():
            w = self.generator.mapping(torch.randn(len(real), self.generator.z).to(real))
            made = synthesis(w[:, None].expand(-1, synthesis.styles, -1), noise)
        with optim.autocast():
            guessed = encoder(made)
            known = mse_loss(guessed, w[:, None].expand_as(guessed))
            said = encoder(real)
            again = synthesis(said, noise)
            photo = mse_loss(again, real) + self._looks(again, real)
            spread = (said - said.mean(1, keepdim=True)).square().mean()
            loss = known + self.settings.real_weight * photo + OFFSET_WEIGHT * spread
        optim.minimise(loss, self.optimizers["encoder"])
        return {"styles": known.detach(), "photos": photo.detach()}

    def _looks(self, again: Tensor, real: Tensor) -> Tensor:
        """How different they look, when small: pixels tell of detail, and half the side is a
        quarter of the time."""
        fewer = max(1, real.shape[-1] // FEATURES_SEE)
        pair = (avg_pool2d(shown, fewer) / 2 + 0.5 for shown in (again, real))
        return perceptual.distance(self.features, *pair).mean()

    def sample(self) -> Tensor:
        """Photos above, and below them what the generator makes of their styles."""
        encoder, synthesis = self.trained("encoder"), self.generator.synthesis
        real = centred(taken(self.pixels, np.arange(min(SHEET, len(self.pixels)))))
        real = real.to(next(encoder.parameters()).device)
        noise = torch.zeros(len(real), sum(synthesis.noise)).to(real)
        rows = (real, synthesis(encoder(real), noise))
        return torch.cat([torch.cat(list(row / 2 + 0.5), dim=2) for row in rows], dim=1)
