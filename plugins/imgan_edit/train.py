"""Training the encoder that inverts a DCGAN, and the classifier that judges edits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from imgan.errors import Failure
from imgan.recipes import Settings
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.data import shuffled
from imgan.training.faces import Faces
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan.training.weights import Weights, frozen
from imgan_edit import ClassifierSettings, EncoderSettings
from imgan_edit.net import Classifier, VectorEditor
from imgan_generate.net import LATENT, Encoder, Generator

SIZE = 64


class EncoderTask(Task[EncoderSettings]):
    """Image to z, through a frozen generator.

    Loss: |G(E(x)) - x| on real faces, plus latent_weight (E(G(z)) - z)^2 on generated ones, where
    the right z is known, plus a pull of E(x) to the sphere of radius sqrt(100) on which z lies.
    """

    shipped = "encoder"

    def __init__(self, data: Path, settings: EncoderSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.generator = _load_generator(settings.generator)
        self.networks["encoder"] = Encoder(settings.width)
        self.optimizers["encoder"] = torch.optim.Adam(
            self.networks["encoder"].parameters(), settings.lr
        )
        self.average("encoder")

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step."""
        return Faces(self.data, SIZE)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return mirrored_batch(self.faces, self.settings, step)[:1]

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


class ClassifierTask(Task[ClassifierSettings]):
    """Forty attributes at once, by binary cross-entropy; the faces mirrored, shifted, relit,
    and erased in part.

    Having a rare attribute counts for more (`rarity`), or it would never be seen: nobody is bald is
    right of 98 faces of 100.
    """

    shipped = "classifier"

    def __init__(self, data: Path, settings: ClassifierSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["classifier"] = self.network()
        self.optimizers["classifier"] = torch.optim.AdamW(
            self.networks["classifier"].parameters(), settings.lr, weight_decay=0.05
        )
        self.average("classifier")

    def network(self) -> nn.Module:
        return Classifier(self.settings.width)

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures. Raises Failure without labels."""
        faces = Faces(self.data, SIZE)
        if faces.labels is None:
            raise Failure(f"{self.data}: no {ATTRIBUTES_FILE} in it, which the classifier learns")
        return faces

    @cached_property
    def rarity(self) -> Tensor:
        """By how much having an attribute counts for more than not having it, 1/4 to 4: [40], the
        root of how many faces lack it for one that has it."""
        assert self.faces.labels is not None
        share = self.faces.labels.mean(0).clip(1e-3, 1 - 1e-3)
        return torch.from_numpy(np.sqrt((1 - share) / share).clip(0.25, 4).astype(np.float32))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return mirrored_batch(self.faces, self.settings, step)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        faces, labels = batch
        optimizer = self.optimizers["classifier"]
        set_rate(optimizer, cosine(self.settings, step))
        faces = self.shown(faces, labels, optim)
        with optim.autocast():
            logits = self.networks["classifier"](faces)
            loss = self.cross_entropy(logits, labels)
        optim.minimise(loss, optimizer)
        accuracy = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": accuracy}

    def shown(self, faces: Tensor, labels: Tensor, optim: Optim) -> Tensor:
        """What the network sees in the place of the faces of a batch."""
        return _disturb(faces)

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self.rarity.to(labels.device)
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Probability (red) beside label (white) of 64 faces: a bar code a face."""
        indices = np.arange(64) % len(self.faces)
        network = self.trained("classifier")
        device = next(network.parameters()).device
        chance = network(self.faces.take(indices).to(device)).sigmoid().cpu()
        assert self.faces.labels is not None
        labels = torch.from_numpy(self.faces.labels[indices])
        zero = torch.zeros_like(chance)
        bars = torch.stack([torch.stack([chance, zero, zero]), labels.expand(3, -1, -1)], dim=2)
        return bars.flatten(1, 2).repeat_interleave(4, 1).repeat_interleave(4, 2)


def mirrored_batch(faces: Faces, settings: Settings, step: int) -> tuple[Tensor, ...]:
    """The faces of a step, each mirrored or not, and their labels where there are any."""
    indices = shuffled(len(faces), settings.batch_size, settings.seed, step)
    mirror = np.random.default_rng([settings.seed, step]).random(settings.batch_size) < 0.5
    labels = () if faces.labels is None else (torch.from_numpy(faces.labels[indices]),)
    return (faces.take(indices, mirror), *labels)


def _disturb(faces: Tensor) -> Tensor:
    """Shift each picture by up to 4 px, scale its contrast, move its brightness, erase a box."""
    count, size = len(faces), faces.shape[-1]
    padded = pad(faces, (4, 4, 4, 4), mode="replicate")
    dy, dx = torch.randint(0, 9, (2, count), device=faces.device)
    span = torch.arange(size, device=faces.device)
    rows, columns = (dy[:, None] + span)[:, :, None], (dx[:, None] + span)[:, None, :]
    pictures = torch.arange(count, device=faces.device)[:, None, None]
    shifted = padded[pictures, :, rows, columns].permute(0, 3, 1, 2)
    contrast = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(0.8, 1.2)
    brightness = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(-0.15, 0.15)
    relit = shifted * contrast + brightness
    return _erased(relit).contiguous(memory_format=torch.channels_last)


def _erased(faces: Tensor) -> Tensor:
    """Half of the pictures lose a box, an eighth to three eighths of a side each way, to one grey:
    random erasing (Zhong et al. 2020), so that no single place tells an attribute."""
    count, size = len(faces), faces.shape[-1]
    low, high = size // 8, 3 * size // 8
    extent = torch.randint(low, high + 1, (2, count), device=faces.device)
    start = (torch.rand(2, count, device=faces.device) * (size - extent)).long()
    span = torch.arange(size, device=faces.device)
    rows, columns = (span >= start[..., None]) & (span < (start + extent)[..., None])
    chosen = torch.rand(count, device=faces.device) < 0.5
    box = (chosen[:, None, None] & rows[:, :, None] & columns[:, None, :])[:, None]
    grey = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(-1, 1)
    return torch.where(box, grey, faces)


def _load_generator(source: str) -> nn.Module:
    """The generator of a DCGAN's run or file. Raises what `frozen` raises."""

    def build(weights: Weights) -> nn.Module:
        return Generator(weights["layers.9.weight"].shape[1])

    return frozen("--generator", source, "dcgan", "generator", build)
