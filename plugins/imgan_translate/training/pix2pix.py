"""pix2pix's training: a generator against a discriminator that sees the input too, out of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan.images.tensors import Bytes
from imgan.training.augment import augmented
from imgan.training.data import shuffled
from imgan.training.loop import linear, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_translate import Network, Pix2PixSettings
from imgan_translate.net import Patch, UNet, begin
from imgan_translate.paired_dataset import paired_dataset
from imgan_translate.preprocess import PREPROCESS, face_of, square
from imgan_translate.training.cyclegan import resnet
from imgan_translate.training.photos import cropped, rows, shortened

ROWS = 6
"""Of a sample sheet."""


class Pix2PixTask(Task[Pix2PixSettings]):
    """pix2pix (Isola et al. 2017), Adam with beta1 0.5: the generator learns

    -log D(x, G(x)) and the L1 between G(x) and y (equation 4),

    the discriminator D half of -log D(x, y) - log(1 - D(x, G(x))), so that it learns no faster.
    """

    shipped = "generator"

    def __init__(self, data: Path, settings: Pix2PixSettings) -> None:
        super().__init__(settings)
        self.data = data
        if settings.generator == Network.unet:
            self.networks["generator"] = UNet(settings.width, settings.crop.bit_length() - 1)
        else:
            self.networks["generator"] = resnet(settings)
        self.networks["discriminator"] = Patch(6, settings.discriminator_width)
        for name, network in self.networks.items():
            begin(network)
            self.optimizers[name] = torch.optim.Adam(
                network.parameters(), settings.lr, betas=(0.5, 0.999)
            )
        self.average("generator")

    @cached_property
    def pairs(self) -> list[tuple[Bytes, Bytes]]:
        """Input and output; read at the first step: an export needs no pictures."""
        return read_pairs(self.data, self.settings)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        settings = self.settings
        chosen = shuffled(len(self.pairs), settings.batch_size, settings.seed, step)
        rng = np.random.default_rng([settings.seed, step])
        return cropped([self.pairs[i] for i in chosen], settings, rng)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        for optimizer in self.optimizers.values():
            set_rate(optimizer, linear(self.settings, step))
        inputs, targets = batch
        settings = self.settings
        with optim.autocast():
            made = self.networks["generator"](inputs)
            l1 = l1_loss(made, targets)
            adversarial = _cross_entropy(self._logits(inputs, made), 1.0)
            loss = settings.l1 * l1 + settings.adversarial * adversarial
        optim.minimise(loss, self.optimizers["generator"])
        with optim.autocast():
            on_real, on_made = self._logits(inputs, targets), self._logits(inputs, made.detach())
            on_both = (_cross_entropy(on_real, 1.0) + _cross_entropy(on_made, 0.0)) / 2
        optim.minimise(on_both, self.optimizers["discriminator"])
        losses = {"l1": l1, "adversarial": adversarial, "discriminator": on_both}
        return {name: loss.detach() for name, loss in losses.items()}

    def _logits(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        pair = torch.cat([inputs, outputs.to(inputs.dtype)], 1)
        seen = augmented(pair) if self.settings.augment else pair
        logits: Tensor = self.networks["discriminator"](seen)
        return logits.float()

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows: input, what is made of it, output."""
        chosen = [self.pairs[i * len(self.pairs) // ROWS] for i in range(ROWS)]
        inputs, targets = cropped(chosen, self.settings, np.random.default_rng(0))
        generator: nn.Module = self.trained("generator")
        made = generator(inputs.to(next(generator.parameters()).device))
        return rows(inputs, made, targets)


def read_pairs(folder: Path, settings: Pix2PixSettings) -> list[tuple[Bytes, Bytes]]:
    """Pairs of pictures of one size, their shorter sides `load`, input first.

    Raises Failure as `paired_dataset` does, for a folder without pictures, and where there is no
    face and one is to be cut out.
    """
    side = settings.shorter_side
    pairs = []
    for pair in _pairs(folder, settings):
        if settings.faces:
            face = face_of(pair[0])
            first, second = (square(picture, face, side) for picture in pair)
        else:
            first, second = (_shortened(picture, side) for picture in pair)
        if settings.pairs is not None:
            first = PREPROCESS[settings.pairs](first)
        pairs.append((second, first) if settings.swap else (first, second))
    return pairs


def _pairs(folder: Path, settings: Pix2PixSettings) -> Iterator[tuple[Picture, Picture]]:
    if settings.pairs is None:
        return paired_dataset(folder)
    return ((picture, picture) for picture in map(open_picture, pictures(folder)))


def _shortened(picture: Picture, side: int) -> Bytes:
    return np.asarray(shortened(Image.fromarray(to_srgb(picture.pixels, picture.source)), side))


def _cross_entropy(logits: Tensor, wanted: float) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))
