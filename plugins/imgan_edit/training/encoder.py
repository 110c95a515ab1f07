"""Training the encoder that inverts a DCGAN, for the engine `vector`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from imgan.errors import Failure
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.weights import Weights, frozen
from imgan_edit import EncoderSettings
from imgan_edit.net import VectorEditor
from imgan_edit.training.faces import FacesTask
from imgan_generate.net import LATENT, Encoder, Generator


class EncoderTask(FacesTask[EncoderSettings]):
    """Image to z, through a frozen generator.

    Loss: |G(E(x)) - x| on real faces, plus latent_weight (E(G(z)) - z)^2 on generated ones, where
    the right z is known, plus a pull of E(x) to the sphere of radius sqrt(100) on which z lies.
    """

    shipped = "encoder"

    def __init__(self, data: Path, settings: EncoderSettings) -> None:
        super().__init__(data, settings)
        self.generator = _load_generator(settings.generator)
        self.networks["encoder"] = Encoder(settings.width)
        self.optimizers["encoder"] = torch.optim.Adam(
            self.networks["encoder"].parameters(), settings.lr
        )
        self.average("encoder")

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        (real,) = batch
        encoder, optimizer = self.networks["encoder"], self.optimizers["encoder"]
        set_rate(optimizer, cosine(self.settings, step))
        self.generator.to(real.device)
        z = torch.randn(len(real), LATENT, device=real.device)
        with optim.autocast():
            with torch.no_grad():
                fake = self.generator(z)
            # One batch of both, so that batch normalisation sees what it will see later.
            of_real, of_fake = encoder(torch.cat([real, fake])).chunk(2)
            pixels = (self.generator(of_real) - real).abs().mean()
            latent = (of_fake - z).square().mean()
            radius = (of_real.square().mean(1) - 1).square().mean()
            loss = pixels + self.settings.latent_weight * (latent + radius)
        optim.minimise(loss, optimizer)
        return {"pixels": pixels.detach(), "latent": latent.detach(), "radius": radius.detach()}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows of faces, each above its reconstruction."""
        faces = self.faces.take(np.arange(24) % len(self.faces))
        encoder = self.trained("encoder")
        device = next(encoder.parameters()).device
        rebuilt = self.generator(encoder(faces.to(device))).cpu()
        pairs = torch.cat([faces, rebuilt], dim=2) / 2 + 0.5
        return torch.cat([torch.cat(list(row), dim=2) for row in pairs.split(8)], dim=1)

    @torch.no_grad()
    def product(self, name: str | None = None) -> nn.Module:
        """The whole editor: this encoder, its generator and the attribute vectors of the data.

        Raises Failure when the data has no attributes.
        """
        if self.faces.labels is None:
            raise Failure(f"no {ATTRIBUTES_FILE} in the run's data: it takes one to make vectors")
        encoder = self.trained(self.chosen(name)).cpu()
        parts = np.array_split(np.arange(len(self.faces)), len(self.faces) // 100 + 1)
        codes = torch.cat([encoder(self.faces.take(part)) for part in parts])
        has = torch.from_numpy(self.faces.labels).T  # [40, N]
        lacks = 1 - has
        if not (has.any(1) & lacks.any(1)).all():
            raise Failure(f"{self.data}: it takes faces with and without each of the attributes")
        vectors = has @ codes / has.sum(1, keepdim=True)
        vectors -= lacks @ codes / lacks.sum(1, keepdim=True)
        return VectorEditor(encoder, self.generator.cpu(), vectors).eval()


def _load_generator(source: str) -> nn.Module:
    """The generator of a DCGAN's run or file. Raises what `frozen` raises."""

    def build(weights: Weights) -> nn.Module:
        return Generator(weights["layers.9.weight"].shape[1])

    return frozen("--generator", source, "dcgan", "generator", build)
