"""IcGAN's training (Perarnau et al. 2016): a conditional GAN, and then what inverts it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from imgan.errors import Failure, Misuse
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.data import shuffled
from imgan.training.faces import Faces
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan.training.weights import frozen, read_weights
from imgan_generate import ICGANEncoderSettings, ICGANSettings
from imgan_generate.conditional import Discriminator, Encoders, Generator, build
from imgan_generate.labels import ATTRIBUTES
from imgan_generate.net import LATENT, Encoder

SIZE = 64
SHEET = 8
"""Faces a side of a sample sheet."""

S = TypeVar("S", bound=ICGANSettings | ICGANEncoderSettings)


class _Labelled(Task[S]):
    """What both trainings share: faces with their attributes."""

    def __init__(self, data: Path, settings: S) -> None:
        super().__init__(settings)
        self.data = data

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures."""
        return Faces(self.data, SIZE, self.settings.held_out)

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        """y of every face, [N, 18], 1 or -1. Raises Failure without a list of attributes."""
        if self.faces.labels is None:
            raise Failure(f"{self.data}: no {ATTRIBUTES_FILE} in it, of which y is made")
        missing = [name for name in ATTRIBUTES if name not in self.faces.names]
        if missing:
            raise Failure(f"{self.data / ATTRIBUTES_FILE}: no column {', '.join(missing)}")
        columns = [self.faces.names.index(name) for name in ATTRIBUTES]
        y: NDArray[np.float32] = 2 * self.faces.labels[:, columns] - 1
        return y

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Faces [N, 3, 64, 64], their y, and the y of others, as they are in the data."""
        seed, count = self.settings.seed, self.settings.batch_size
        indices = shuffled(len(self.faces), count, seed, step)
        draw = np.random.default_rng([seed, step])
        mirror, others = draw.random(count) < 0.5, draw.integers(len(self.faces), size=count)
        faces = self.faces.take(indices, mirror)
        return faces, *(torch.from_numpy(self.labels[chosen]) for chosen in (indices, others))


class ICGANTask(_Labelled[ICGANSettings]):
    """G(z, y) against D(x, y), by Adam with DCGAN's rate and beta1.

    D sees real faces with their y, generated ones with the y that they were made of (equation 2),
    and real ones with the y of others: those count as not real, too, half of them all (Reed et
    al. 2016, section 4.2), or so short a training would leave D no reason to look at y.
    """

    shipped = "generator"

    def __init__(self, data: Path, settings: ICGANSettings) -> None:
        super().__init__(data, settings)
        count = len(ATTRIBUTES)
        self.networks["generator"] = Generator(settings.width, count)
        self.networks["discriminator"] = Discriminator(settings.discriminator_width, count)
        for name, network in self.networks.items():
            lr = settings.lr if name == "generator" else settings.discriminator_lr
            self.optimizers[name] = torch.optim.Adam(network.parameters(), lr, betas=(0.5, 0.999))
        if settings.editor:
            self._start()
        self.average("generator")

    def _start(self) -> None:
        """Begin with an editor's generator, and with y moving faces as its attribute vectors do.

        V, its vectors, are differences of the mean z of faces with and without an attribute, and
        many attributes come together. What each does by itself is B, of z = B (y - mean) + rest: V
        = M B, where M are the same differences of y.
        """
        source = Path(self.settings.editor)
        weights = read_weights(source, "")[""]
        dcgan = {
            name.removeprefix("generator."): weight.float()
            for name, weight in weights.items()
            if name.startswith("generator.")
        }
        y = torch.from_numpy(self.labels)
        has, mean = y > 0, y.mean(0)
        together = torch.stack([y[one].mean(0) - y[~one].mean(0) for one in has.T])
        try:
            columns = [self.faces.names.index(name) for name in ATTRIBUTES]
            # An attribute that nobody has, or everybody, moves nothing.
            shifts = torch.linalg.pinv(together.nan_to_num()) @ weights["vectors"].float()[columns]
            generator = self.networks["generator"]
            assert isinstance(generator, Generator)
            generator.start(dcgan, shifts, mean)
        except (LookupError, RuntimeError):
            raise Misuse(
                f"--editor {source}: name the .onnx file of an editor of `imgan train edit` whose "
                f"generator has --width {self.settings.width}"
            ) from None

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        real, y, others = batch
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        z = torch.randn(len(real), LATENT, device=real.device)
        with optim.autocast():
            fake = generator(z, others)
            on_real, on_fake = discriminator(real, y), discriminator(fake.detach(), others)
            on_wrong = discriminator(real, others)
            wrong = (softplus(on_fake).mean() + softplus(on_wrong).mean()) / 2
            loss_d = softplus(-on_real).mean() + wrong
        optim.minimise(loss_d, self.optimizers["discriminator"])
        learns = step + 1 >= self.settings.head_start
        with optim.autocast(), torch.set_grad_enabled(learns):
            loss_g = softplus(-discriminator(fake, others)).mean()
        if learns:
            optim.minimise(loss_g, self.optimizers["generator"])
        return {"discriminator": loss_d.detach(), "generator": loss_g.detach()}

    def sample(self) -> Tensor:
        """Faces of the averaged generator: a row of each y, a column of each z."""
        generator = self.trained("generator")
        device = next(generator.parameters()).device
        z = torch.randn(SHEET, LATENT, generator=torch.Generator().manual_seed(0)).to(device)
        y = torch.from_numpy(self.labels[np.arange(SHEET) % len(self.faces)]).to(device)
        rows = generator(z.repeat(SHEET, 1), y.repeat_interleave(SHEET, 0)) / 2 + 0.5
        return torch.cat([torch.cat(list(row), dim=2) for row in rows.split(SHEET)], dim=1)


class ICGANEncoderTask(_Labelled[ICGANEncoderSettings]):
    """E_z learns, by L2, the z of generated faces (equation 3), whose y is as the data has it, and
    E_y the y of real ones (equation 4)."""

    shipped = "encoders"

    def __init__(self, data: Path, settings: ICGANEncoderSettings) -> None:
        super().__init__(data, settings)
        self.generator = frozen("--generator", settings.generator, "icgan", "generator", build)
        for name, outputs in (("latent", LATENT), ("label", len(ATTRIBUTES))):
            network = Encoder(settings.width, outputs)
            self.networks[name] = network
            self.optimizers[name] = torch.optim.Adam(network.parameters(), settings.lr)
            self.average(name)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        real, y, others = batch
        self.generator.to(real.device)
        for optimizer in self.optimizers.values():
            set_rate(optimizer, cosine(self.settings, step))
        z = torch.randn(len(real), LATENT, device=real.device)
        with optim.autocast():
            with torch.no_grad():
                made = self.generator(z, others)
            latent = mse_loss(self.networks["latent"](made), z)
        optim.minimise(latent, self.optimizers["latent"])
        with optim.autocast():
            label = mse_loss(self.networks["label"](real), y)
        optim.minimise(label, self.optimizers["label"])
        return {"latent": latent.detach(), "label": label.detach()}

    @property
    def products(self) -> Collection[str]:
        return (self.shipped,)

    def product(self, name: str | None = None) -> nn.Module:
        """Both encoders in one network, on the CPU."""
        self.chosen(name)
        return Encoders(*(self.trained(name).cpu() for name in ("latent", "label"))).eval()

    def sample(self) -> Tensor:
        """Rows of faces, each above what the generator makes of its z and y."""
        faces = self.faces.take(np.arange(3 * SHEET) % len(self.faces))
        faces = faces.to(next(self.networks["latent"].parameters()).device)
        z, y = self.trained("latent")(faces), self.trained("label")(faces).clamp(-1, 1)
        pairs = torch.cat([faces, self.generator.to(faces.device)(z, y)], dim=2) / 2 + 0.5
        return torch.cat([torch.cat(list(row), dim=2) for row in pairs.split(SHEET)], dim=1)
