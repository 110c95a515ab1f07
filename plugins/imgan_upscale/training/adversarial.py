"""Training for looks: deep features instead of pixels, and a discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_unshuffle, softplus
from torch.nn.utils.parametrizations import spectral_norm

from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.perceptual import Features, distance, load_beside
from imgan_upscale import AdversarialSettings, PerceptualSettings
from imgan_upscale.net import Compact, SRResNet
from imgan_upscale.training.faithful import UpscalerTask

A = TypeVar("A", bound=AdversarialSettings)

RESCALE = {"bundled": 1 / 38, "vgg19": 1 / 12.75}
"""What SRGAN's activations are multiplied by: published for VGG-19, and for the bundled features so
that their squared error is that of the pixels, as measured between photos and `upscale-x4`'s."""


class Discriminator(nn.Sequential):
    """SRGAN's as published (Ledig et al. 2017, figure 4): [N, 3, side, side] to logits [N, 1].

    Eight convolutions, each second one with a stride of 2; the published sigmoid is in the loss.
    """

    def __init__(self, side: int, width: int = 64) -> None:
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2))
        channels = width
        for wider in (width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width, 8 * width):
            stride = 2 if wider == channels else 1
            self.extend([
                nn.Conv2d(channels, wider, 3, stride, padding=1),
                nn.BatchNorm2d(wider),
                nn.LeakyReLU(0.2),
            ])  # fmt: skip
            channels = wider
        last = -(-side // 2**4)
        self.extend([nn.Flatten(), nn.Linear(channels * last**2, 1024), nn.LeakyReLU(0.2)])
        self.append(nn.Linear(1024, 1))


class PatchDiscriminator(nn.Sequential):
    """Five convolutions: [N, 3, H, W] to a logit for each patch of 54 pixels, 8 apart.

    Spectral normalisation (Miyato et al. 2018) and none over the batch, which may then be small.
    At width 32 it takes a tenth of the compact upscaler's arithmetic.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__(
            nn.Conv2d(3, width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(2 * width, 4 * width, 4, 2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(4 * width, 4 * width, 3, padding=1)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )


class _AdversarialTask(UpscalerTask[A], Generic[A]):
    """An upscaler, its discriminator and deep features."""

    def __init__(
        self, data: Path, settings: A, network: nn.Module, discriminator: nn.Module
    ) -> None:
        super().__init__(data, settings, network)
        self.networks["discriminator"] = discriminator
        self.optimizers["discriminator"] = torch.optim.Adam(discriminator.parameters(), settings.lr)

    @cached_property
    def features(self) -> Features:
        """An export needs none."""
        return load_beside(self.networks["upscaler"], self.settings.features)

    def prepare(self, device: torch.device) -> None:
        _ = self.features


class SRGANTask(_AdversarialTask[AdversarialSettings]):
    """SRGAN as published, `imgan train srgan`: Ledig et al. 2017, equations 3, 5 and 6.

    Content is compared in the deepest layer of the features: conv5_4 of VGG-19, as published, and
    conv5_3 of the bundled ones.
    """

    def __init__(self, data: Path, settings: AdversarialSettings) -> None:
        network = SRResNet(settings.scale, settings.width, settings.blocks)
        side = settings.crop * settings.scale
        super().__init__(data, settings, network, Discriminator(side, settings.discriminator_width))

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        small, large = batch
        upscaler, discriminator = self.networks["upscaler"], self.networks["discriminator"]
        for optimizer in self.optimizers.values():
            set_rate(optimizer, self.settings.lr * (1 if 2 * step < self.settings.steps else 0.1))
        with optim.autocast():
            fake = upscaler(small)
            on_real, on_fake = discriminator(large), discriminator(fake.detach())
            loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
        optim.minimise(loss_d, self.optimizers["discriminator"])
        with optim.autocast():
            deepest = self.features.layers[-1]
            with torch.no_grad():
                wanted = self.features(large, [deepest])[deepest]
            error = self.features(fake, [deepest])[deepest] - wanted
            content = (RESCALE[self.settings.features] * error).square().mean()
            adversarial = softplus(-discriminator(fake)).mean()
            loss = content + self.settings.adversarial * adversarial
        optim.minimise(loss, self.optimizers["upscaler"])
        losses = {"content": content, "adversarial": adversarial, "discriminator": loss_d}
        return {name: value.detach() for name, value in losses.items()}


class PerceptualTask(_AdversarialTask[PerceptualSettings]):
    """The compact network with texture, `imgan train upscale-perceptual`.

    The perceptual distance, a relativistic average discriminator (Wang et al. 2018, equations 1
    and 2), L1 on pixels and on the phases of the pixel shuffle; cosine decay to zero.
    """

    def __init__(self, data: Path, settings: PerceptualSettings) -> None:
        network = Compact(settings.scale, settings.width, settings.blocks)
        super().__init__(data, settings, network, PatchDiscriminator(settings.discriminator_width))

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        small, large = batch
        upscaler, discriminator = self.networks["upscaler"], self.networks["discriminator"]
        for optimizer in self.optimizers.values():
            set_rate(optimizer, cosine(self.settings, step))
        with optim.autocast():
            fake, large = out_of_step(upscaler(small), large, self.settings.scale)
            loss_d = relativistic(discriminator(large), discriminator(fake.detach()))
        optim.minimise(loss_d, self.optimizers["discriminator"])
        with optim.autocast():
            content = distance(self.features, fake, large).mean()
            error = fake - large
            l1, dots = error.abs().mean(), grid(error, self.settings.scale)
            with torch.no_grad():
                on_real = discriminator(large)
            adversarial = relativistic(discriminator(fake), on_real)
            loss = (
                content
                + self.settings.l1 * l1
                + self.settings.grid * dots
                + self.settings.adversarial * adversarial
            )
        optim.minimise(loss, self.optimizers["upscaler"])
        losses = {
            "content": content,
            "l1": l1,
            "grid": dots,
            "adversarial": adversarial,
            "discriminator": loss_d,
        }
        return {name: value.detach() for name, value in losses.items()}


def out_of_step(fake: Tensor, real: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Both without `scale` rows and columns, of which at random many are the first ones.

    Pooling and strides have their grids where the crops begin, and so has the pixel shuffle. Kept
    in step, each phase of it learns something else, and flat places get a grid of dots.
    """
    y, x = torch.randint(scale, (2,)).tolist()
    height, width = (side - scale for side in real.shape[2:])
    inside = (..., slice(y, y + height), slice(x, x + width))
    return fake[inside], real[inside]


def grid(error: Tensor, scale: int) -> Tensor:
    """How much the phases of the pixel shuffle are off in the mean over 5 x 5 of its blocks: L1.

    Each phase learns at its own pace, and deep features do not mind a grid of dots on flat places.
    Texture, which differs from block to block, leaves this mean almost as it was.
    """
    return avg_pool2d(pixel_unshuffle(error, scale), 5, 1).abs().mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Low where each logit of `better` is above the mean of `worse`, and the other way round.

    With (real, fake) the discriminator's loss of ESRGAN, with (fake, real) the generator's
    (Wang et al. 2018, equations 1 and 2).
    """
    return softplus(worse.mean() - better).mean() + softplus(worse - better.mean()).mean()
