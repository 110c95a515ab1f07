"""StyleGAN2's generator, trained by a relativistic pairing loss with R1 and R2, and by features.

Huang et al. 2024 (R3GAN, arXiv:2501.05441), equation 2: each real picture is compared with a
generated one, and gradient penalties on both (Mescheder et al. 2018) make that converge. Penalties
are computed every few steps (Karras et al. 2020, appendix B), of pictures that are augmented
(Zhao et al. 2020). A second discriminator sees frozen features of a classifier, by a hinge loss
(Kumari et al. 2022, arXiv:2112.09130; Sauer et al. 2021, arXiv:2111.01007): it knows things where
the first has yet to learn them. An encoder can learn beside (VAE/GAN, Larsen et al. 2016,
arXiv:1512.09300): half of the pictures are then reconstructions, and what a cat is made of is told
by the cat itself, long before a discriminator could.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu, softplus

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training import perceptual
from imgan.training.augment import augmented
from imgan.training.celeba import read_faces
from imgan.training.data import shuffled
from imgan.training.discriminator import FeatureDiscriminator
from imgan.training.faces import centred, taken
from imgan.training.loop import linear
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_generate import StyleGANSettings
from imgan_generate.net import Encoder
from imgan_generate.stylegan import Discriminator, Generator

SMALLEST = 4
ENCODER_SEES = 64
"""Pixels a side."""
PIXELS = 8.0
"""Weight of differences of pixels beside those of features, in a reconstruction."""
LAYERS = ("conv3_3", "conv4_3", "conv5_3")
"""Of the bundled features, what the second discriminator sees."""
FITTED = 2000
"""Training pictures, at least, whose codes tell where the exported generator is to take z."""
SHEET = 6
"""Pictures a side of a sample sheet."""


class StyleGANTask(Task[StyleGANSettings]):
    """Generator against discriminator, both by Adam without momentum, whose learning rates are
    constant in the first half and then fall to 0."""

    shipped = "generator"

    def __init__(self, data: Path, settings: StyleGANSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["generator"] = generator = Generator(
            _channels(settings.size, settings.channel_base, settings.channel_max)
        )
        if settings.pixel_weight:
            self.networks["discriminator"] = Discriminator(
                _channels(settings.size, settings.discriminator_base, settings.channel_max)
            )
        if settings.feature_weight:
            self.networks["feature_discriminator"] = FeatureDiscriminator(LAYERS)
        for name, network in self.networks.items():
            rate = settings.lr if name == "generator" else settings.discriminator_lr
            self.optimizers[name] = torch.optim.Adam(network.parameters(), rate, betas=(0.0, 0.99))
        if settings.reconstruction_weight:
            self.networks["encoder"] = encoder = Encoder(outputs=2 * generator.z)
            self.optimizers["generator"].add_param_group(
                {"params": encoder.parameters(), "lr": settings.discriminator_lr}
            )
        self.average("generator")
        self.rates = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self.optimizers.items()
        }

    @cached_property
    def pixels(self) -> Bytes:
        """Read at the first step, and by an export that needs them."""
        held_out = self.settings.held_out
        paths = pictures(self.data)
        if len(paths) <= held_out:
            raise Failure(f"{self.data}: {held_out} pictures are held out and none is left")
        return read_faces(paths[: len(paths) - held_out], self.settings.size)

    @property
    def _sees_features(self) -> bool:
        return bool(self.settings.feature_weight or self.settings.reconstruction_weight)

    def prepare(self, device: torch.device) -> None:
        if self._sees_features:
            _ = self.features

    def batch(self, step: int) -> tuple[Tensor, ...]:
        seed, count = self.settings.seed, self.settings.batch_size
        indices = shuffled(len(self.pixels), count, seed, step)
        mirror = np.random.default_rng([seed, step]).random(count) < 0.5
        return (centred(taken(self.pixels, indices, mirror)),)

    @cached_property
    def features(self) -> perceptual.Features:
        """On the generator's device."""
        return perceptual.load_beside(self.networks["generator"])

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        (real,) = batch
        settings = self.settings
        self._slow_down(step)
        losses: dict[str, Tensor] = {}
        loss = real.new_zeros(())
        # So many of the pictures are reconstructions, the first ones.
        known = len(real) // 2 if settings.reconstruction_weight else 0
        with optim.autocast():
            z = torch.randn(len(real), self._generator.z, device=real.device)
            if known:
                z[:known], losses["divergence"] = self._encoded(real[:known])
                loss = loss + settings.divergence_weight * losses["divergence"]
            fake = self._generated(z, known)
        if settings.pixel_weight:
            losses |= self._discriminate(step, real, fake.detach(), optim)
            discriminator = self.networks["discriminator"]
            with optim.autocast():
                with torch.no_grad():
                    on_real = discriminator(self._shown(real))
                judged = softplus(on_real - discriminator(self._shown(fake))).mean()
            losses["generator"] = judged
            loss = loss + settings.pixel_weight * judged
        if self._sees_features:
            with optim.autocast():
                with torch.no_grad():
                    seen_real = self._seen(real)
                seen = self._seen(fake)
        if settings.feature_weight:
            judged, losses["features"] = self._look(seen_real, seen, optim)
            loss = loss + settings.feature_weight * judged
        if known:
            with optim.autocast():
                missed = PIXELS * (fake[:known] - real[:known]).abs().mean() + sum(
                    (seen[layer][:known] - seen_real[layer][:known]).abs().mean()
                    for layer in LAYERS[:-1]
                )
            losses["reconstruction"] = missed
            loss = loss + settings.reconstruction_weight * missed
        optim.minimise(loss, self.optimizers["generator"])
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def product(self, name: str | None = None) -> nn.Module:
        """The averaged generator; beside an encoder, its z are taken to where the encoder's codes
        of the training pictures lie."""
        generator = deepcopy(super().product(name))
        if self.settings.reconstruction_weight:
            assert isinstance(generator, Generator)
            torch.manual_seed(self.settings.seed)
            self.networks["encoder"].eval().cpu()
            some = self.pixels[:: max(1, len(self.pixels) // FITTED)]
            parts = np.array_split(np.arange(len(some)), max(1, len(some) // 100))
            codes = [self._encoded(centred(taken(some, part)))[0] for part in parts]
            generator.mapping.fit(torch.cat(codes))
        return generator

    def _slow_down(self, step: int) -> None:
        """Set every learning rate to its share at a step."""
        share = linear(self.settings, step) / self.settings.lr
        for name, rates in self.rates.items():
            for group, rate in zip(self.optimizers[name].param_groups, rates, strict=True):
                group["lr"] = share * rate

    def _encoded(self, real: Tensor) -> tuple[Tensor, Tensor]:
        """z of pictures, drawn from what the encoder says of each; and how far that is from
        N(0, 1), in nats (Kingma and Welling 2014, appendix B)."""
        mean, log_variance = self.networks["encoder"](
            adaptive_avg_pool2d(real, ENCODER_SEES)
        ).chunk(2, 1)
        spread = (log_variance.clamp(-12, 4) / 2).exp()
        nats = (mean.square() + spread.square() - 1 - 2 * spread.log()).sum(1) / 2
        return mean + spread * torch.randn_like(mean), nats.mean()

    def _look(
        self, seen_real: Mapping[str, Tensor], seen: Mapping[str, Tensor], optim: Optim
    ) -> tuple[Tensor, Tensor]:
        """One update of the second discriminator; the generator's loss by it, and its own."""
        discriminator = self.networks["feature_discriminator"]
        with optim.autocast():
            on_real = discriminator(seen_real)
            on_fake = discriminator(
                {layer: activation.detach() for layer, activation in seen.items()}
            )
            pairs = zip(on_real, on_fake, strict=True)
            own = torch.stack([(relu(1 - r).mean() + relu(1 + f).mean()) for r, f in pairs]).mean()
        optim.minimise(own, self.optimizers["feature_discriminator"])
        with optim.autocast():
            judged = -torch.stack([logits.mean() for logits in discriminator(seen)]).mean()
        return judged, own.detach()

    def _seen(self, pictures: Tensor) -> dict[str, Tensor]:
        """What features see in pictures, augmented and at their size."""
        small = adaptive_avg_pool2d(self._shown(pictures), self.settings.feature_size)
        return self.features(small / 2 + 0.5, LAYERS)

    def _discriminate(
        self, step: int, real: Tensor, fake: Tensor, optim: Optim
    ) -> dict[str, Tensor]:
        """One update of the discriminator; its losses."""
        discriminator, every = self.networks["discriminator"], self.settings.penalty_every
        penalised = step % every == 0
        real, fake = real.requires_grad_(penalised), fake.requires_grad_(penalised)
        with optim.autocast():
            on_real, on_fake = discriminator(self._shown(real)), discriminator(self._shown(fake))
            loss = adversarial = softplus(on_fake - on_real).mean()
        if penalised:
            slopes = [
                torch.autograd.grad(logits.sum(), seen, create_graph=True)[0]
                for logits, seen in ((on_real, real), (on_fake, fake))
            ]
            penalty = sum(slope.square().sum((1, 2, 3)).mean() for slope in slopes)
            loss = loss + self.settings.gamma / 2 * every * penalty
        optim.minimise(loss, self.optimizers["discriminator"])
        real.requires_grad_(False)
        return {"discriminator": adversarial.detach()}

    def _shown(self, seen: Tensor) -> Tensor:
        """Pictures as discriminators see them."""
        return augmented(seen) if self.settings.augment else seen

    @property
    def _generator(self) -> Generator:
        generator = self.networks["generator"]
        assert isinstance(generator, Generator)
        return generator

    def _generated(self, z: Tensor, whole: int) -> Tensor:
        """Pictures of z, half of them of two styles that meet at a random layer, so that layers do
        not rely on their neighbours' (Karras et al. 2019, section 3.1). The first `whole` are of
        one style each."""
        synthesis, mapping = self._generator.synthesis, self._generator.mapping
        count, device = len(z), z.device
        one, other = (mapping(z)[:, None] for z in (z, torch.randn_like(z)))
        start = torch.randint(1, 2 * synthesis.styles, (count, 1, 1), device=device)
        start[:whole] = synthesis.styles
        layer = torch.arange(synthesis.styles, device=device)[None, :, None]
        noise = torch.randn(count, sum(synthesis.noise), device=device)
        return synthesis(torch.where(layer < start, one, other), noise)

    def sample(self) -> Tensor:
        """A square of the averaged generator's pictures, always from the same z, not truncated."""
        draw = torch.Generator().manual_seed(0)
        generator = self.trained("generator")
        assert isinstance(generator, Generator)
        device = next(generator.parameters()).device
        synthesis = generator.synthesis
        z = torch.randn(SHEET**2, generator.z, generator=draw).to(device)
        noise = torch.randn(SHEET**2, sum(synthesis.noise), generator=draw).to(device)
        w = generator.mapping(z)[:, None].expand(-1, synthesis.styles, -1)
        rows = (synthesis(w, noise) / 2 + 0.5).unflatten(0, (SHEET, SHEET))
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)


def _channels(size: int, base: int, most: int) -> list[int]:
    """Of the resolutions from 4 to `size`: base / resolution, as StyleGAN2 has it."""
    sides = [SMALLEST << i for i in range((size // SMALLEST).bit_length())]
    return [min(base // side, most) for side in sides]
