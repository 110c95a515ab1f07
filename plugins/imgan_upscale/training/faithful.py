"""Training for fidelity: the network learns to undo a downscale."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor, nn

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training.data import load_rgb, to_tensor
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_upscale import CompactSettings, SRResNetSettings, UpscaleSettings
from imgan_upscale.net import Compact, SRResNet
from imgan_upscale.training.degradations import degrade

BICUBIC = Resampling.BICUBIC

U = TypeVar("U", bound=UpscaleSettings)


class UpscalerTask(Task[U], Generic[U]):
    """An upscaler with Adam and a moving average, and its crops; `step` is what it learns from."""

    shipped = "upscaler"

    def __init__(self, data: Path, settings: U, network: nn.Module) -> None:
        super().__init__(settings)
        self.networks["upscaler"] = network
        self.optimizers["upscaler"] = torch.optim.Adam(network.parameters(), settings.lr)
        self.average("upscaler")
        self.data = data

    @cached_property
    def crops(self) -> Crops:
        """Read at the first step: an export needs no pictures."""
        return Crops(self.data, self.settings)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([self.settings.seed, step])
        return self.crops.draw(rng, self.settings.batch_size)

    def sample(self) -> Tensor:
        """Rows of nearest-neighbour input, output and truth."""
        small, large = self.crops.draw(np.random.default_rng(0), 6)
        network = self.trained("upscaler")
        device = next(network.parameters()).device
        output = network(small.to(device)).cpu()
        coarse = nn.functional.interpolate(small, scale_factor=self.settings.scale)
        columns = [torch.cat(list(pictures), dim=1) for pictures in (coarse, output, large)]
        return torch.cat(columns, dim=2)


class _FidelityTask(UpscalerTask[U]):
    """The upscaled small crop against the crop it came from; cosine decay to zero."""

    loss: ClassVar[str]
    """What is made small: "l1", or the mean squared error, "mse"."""

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        small, large = batch
        optimizer = self.optimizers["upscaler"]
        set_rate(optimizer, cosine(self.settings, step))
        with optim.autocast():
            error = self.networks["upscaler"](small) - large
            losses = {"l1": error.abs().mean(), "mse": error.square().mean()}
        optim.minimise(losses[self.loss], optimizer)
        return {name: loss.detach() for name, loss in losses.items()}


class CompactTask(_FidelityTask[CompactSettings]):
    """The shipped network, `imgan train upscale`."""

    loss = "l1"

    def __init__(self, data: Path, settings: CompactSettings) -> None:
        network = Compact(settings.scale, settings.width, settings.blocks)
        super().__init__(data, settings, network)


class SRResNetTask(_FidelityTask[SRResNetSettings]):
    """SRResNet as published, `imgan train srresnet`."""

    loss = "mse"

    def __init__(self, data: Path, settings: SRResNetSettings) -> None:
        network = SRResNet(settings.scale, settings.width, settings.blocks)
        super().__init__(data, settings, network)


class Crops:
    """Random pairs of a large crop and its downscaled twin, both [N, 3, h, w] RGB in 0..1."""

    def __init__(self, data: Path, settings: UpscaleSettings) -> None:
        self.settings = settings
        self.large: list[Bytes] = []
        self.small: list[Bytes] = []
        for path in pictures(data):
            picture = load_rgb(path)
            self._add(picture)
            # A large photograph at half its size has more edges a pixel: it enters twice.
            if min(picture.size) >= 1000:
                self._add(picture.resize((picture.width // 2, picture.height // 2), BICUBIC))
        if not self.small:
            side = settings.crop * settings.scale
            raise Failure(f"{data}: no picture is {side} px on both sides; take a smaller --crop")
        # Larger pictures are drawn oftener, but not in proportion: there are few of them.
        weight = np.sqrt([a.shape[0] * a.shape[1] for a in self.small])
        self.chance = weight / weight.sum()

    def _add(self, picture: Image.Image) -> None:
        scale = self.settings.scale
        width, height = picture.width // scale, picture.height // scale
        if min(width, height) < self.settings.crop:
            return
        picture = picture.crop((0, 0, width * scale, height * scale))
        self.large.append(np.asarray(picture))
        self.small.append(np.asarray(picture.resize((width, height), BICUBIC)))

    def draw(self, rng: Generator, count: int) -> tuple[Tensor, Tensor]:
        """`count` pairs: a pure function of the generator's state."""
        pairs = [self._pair(rng) for _ in range(count)]
        small, large = zip(*pairs, strict=True)
        return to_tensor(small), to_tensor(large)

    def _pair(self, rng: Generator) -> tuple[Bytes, Bytes]:
        # Of two crops the one with more detail: sky teaches nothing.
        candidates = [self._crop(rng) for _ in range(2)]
        small, large = max(candidates, key=lambda pair: _detail(pair[0]))
        turns, mirror = int(rng.integers(4)), int(rng.integers(2))
        small, large = (np.rot90(a, turns)[:, :: 1 - 2 * mirror] for a in (small, large))
        if self.settings.degrade:
            small = degrade(large, small.shape[0], rng)
        return small, large

    def _crop(self, rng: Generator) -> tuple[Bytes, Bytes]:
        size, scale = self.settings.crop, self.settings.scale
        index = rng.choice(len(self.small), p=self.chance)
        small, large = self.small[index], self.large[index]
        y = rng.integers(small.shape[0] - size + 1)
        x = rng.integers(small.shape[1] - size + 1)
        y2, x2, size2 = y * scale, x * scale, size * scale
        return small[y : y + size, x : x + size], large[y2 : y2 + size2, x2 : x2 + size2]


def _detail(picture: Bytes) -> float:
    grey = picture[..., 1].astype(np.int16)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
