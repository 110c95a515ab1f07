"""Training the decoder of the fast method: any photo in the style of any picture."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training import perceptual
from imgan.training.data import load_rgb, to_tensor
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Descent
from imgan.training.task import Task
from imgan_stylize import FastSettings
from imgan_stylize.net import LAYERS, Decoder, Stylizer, adain, statistics, style_of
from imgan_stylize.slope import NAME, Slope

LARGEST = 1024
"""The longer side of the pictures in memory."""

ZOOM = 2.5
"""A crop shows up to this many times its own side of the picture, brought down to it."""

DEEPEST = "conv4_1"
"""Where the content is compared."""

SAMPLES = 6
"""Rows of a sample sheet."""


class StylizeTask(Task[FastSettings]):
    """AdaIN's decoder through a frozen encoder: Adam, cosine decay to zero.

    Loss: f(g(t)) against t in conv4_1 (equation 12), plus style_weight times the differences of
    mean and deviation between f(g(t)) and f(s) in four layers (equation 13), where f is the
    encoder, g the decoder and t the content's activations with the style's statistics. Each layer
    counts by its own scale: what a mean square is there in what is wanted.

    To these comes identity_weight times |g(f(x)) - x| (Park & Lee 2019, equation 7): a photo in its
    own style is that photo. Features alone do not mind hatching, which is soon all over. In the
    share `rebuild` of the steps, the first ones, it is the only loss, and the others are 0.
    """

    shipped = "decoder"

    def __init__(self, data: Path, settings: FastSettings) -> None:
        super().__init__(settings)
        self.data = data
        # Among the networks, so that a run keeps the encoder that its decoder was made for.
        self.encoder = self.networks["encoder"] = perceptual.load()
        decoder = self.networks["decoder"] = Decoder()
        self.optimizers["decoder"] = torch.optim.Adam(decoder.parameters(), settings.lr)
        self.average("decoder")

    @cached_property
    def pairs(self) -> Pairs:
        """Read at the first step: an export needs no pictures."""
        return Pairs(self.data, self.settings)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([self.settings.seed, step])
        return self.pairs.draw(rng, self.settings.batch_size)

    def step(self, step: int, batch: tuple[Tensor, ...], descent: Descent) -> Mapping[str, Tensor]:
        photos, styles = batch
        encoder, optimizer = self.encoder, self.optimizers["decoder"]
        set_rate(optimizer, cosine(self.settings, step))
        decoder = self.networks["decoder"]
        with descent.autocast():
            with torch.no_grad():
                activations = encoder(photos, LAYERS)
            pixels = l1_loss(decoder(activations), photos)
            content, style = torch.zeros(2, device=pixels.device)
            if step >= self.settings.rebuild * self.settings.steps:
                content, style = self._losses(activations, styles)
            loss = (
                self.settings.identity_weight * pixels
                + content
                + self.settings.style_weight * style
            )
        descent.minimise(loss, optimizer)
        losses = {"pixels": pixels, "content": content, "style": style}
        return {name: value.detach() for name, value in losses.items()}

    def _losses(self, activations: Mapping[str, Tensor], styles: Tensor) -> tuple[Tensor, Tensor]:
        """Equations 12 and 13 for the photos' activations and pictures of styles."""
        with torch.no_grad():
            wanted = self.encoder(styles, LAYERS)
            target = adain(activations, style_of(activations), style_of(wanted))
        got = self.encoder(self.networks["decoder"](target), LAYERS)
        content = mse_loss(got[DEEPEST], target[DEEPEST]) / target[DEEPEST].square().mean()
        style = torch.stack([_style(got[layer], wanted[layer]) for layer in LAYERS]).sum()
        return content, style

    @property
    def products(self) -> Collection[str]:
        return (*self.averages, NAME)

    def product(self) -> nn.Module:
        """Encoder, AdaIN and decoder: one network for any picture and any style. Or, as the network
        `slope`, what leads down from there: it has the encoder's weights."""
        if self.shipped == NAME:
            return Slope(self.encoder).cpu().eval()
        return Stylizer(self.encoder, self.trained("decoder")).cpu().eval()

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows of photo, style and result."""
        photos, styles = self.pairs.draw(np.random.default_rng(0), SAMPLES)
        decoder = self.trained("decoder")
        device = next(decoder.parameters()).device
        stylizer = Stylizer(self.encoder, decoder).to(device)
        style = style_of(stylizer.encoder(styles.to(device), LAYERS))
        result, *_ = stylizer(photos.to(device), *style, torch.ones(1, device=device))
        columns = [torch.cat(list(column), dim=1) for column in (photos, styles, result.cpu())]
        return torch.cat(columns, dim=2)


class Pairs:
    """Crops of photos and of styles, both [N, 3, crop, crop] RGB in 0..1."""

    def __init__(self, data: Path, settings: FastSettings) -> None:
        self.settings = settings
        self.photos = _load(data, settings.crop)
        self.styles = _load(Path(settings.styles), settings.crop) if settings.styles else []

    def draw(self, rng: Generator, count: int) -> tuple[Tensor, Tensor]:
        """`count` pairs: a pure function of the generator's state."""
        photos = [self._crop(self.photos, rng) for _ in range(count)]
        styles = [self._style(rng) for _ in range(count)]
        return to_tensor(photos), to_tensor(styles)

    def _style(self, rng: Generator) -> Bytes:
        of_photo = not self.styles or rng.random() < self.settings.photo_styles
        style = self._crop(self.photos if of_photo else self.styles, rng)
        return recolour(style, rng) if rng.random() < self.settings.recolour else style

    def _crop(self, images: list[Image.Image], rng: Generator) -> Bytes:
        image, side = images[rng.integers(len(images))], self.settings.crop
        seen = min(round(side * ZOOM ** rng.random()), *image.size)
        left, top = (int(rng.integers(length - seen + 1)) for length in image.size)
        box = (left, top, left + seen, top + seen)
        crop = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box))
        return crop[:, :: 1 - 2 * int(rng.integers(2))]


def recolour(picture: Bytes, rng: Generator) -> Bytes:
    """The picture in other colours: any hue, other saturation, contrast and brightness.

    240 paintings by one hand have few palettes; with turned colours they have as many as needed.
    """
    angle = rng.uniform(-math.pi, math.pi)
    # Rodrigues' rotation of RGB about the grey axis.
    across = np.cross(np.eye(3), np.full(3, 1 / math.sqrt(3)))
    grey = np.full((3, 3), 1 / 3)
    turned = math.cos(angle) * (np.eye(3) - grey) + math.sin(angle) * across
    colour = rng.uniform(0.7, 1.3) * (grey + rng.uniform(0.3, 1.6) * turned)
    middle = 127.5
    shifted = (picture - middle) @ colour.T + middle + rng.uniform(-30, 30)
    return shifted.clip(0, 255).astype(np.uint8)


def _load(folder: Path, crop: int) -> list[Image.Image]:
    """A folder's pictures, no larger than LARGEST. Raises Failure when none holds a crop."""
    images = []
    for path in pictures(folder):
        image = load_rgb(path)
        image.thumbnail((LARGEST, LARGEST))
        if min(image.size) >= crop:
            images.append(image)
    if not images:
        raise Failure(f"{folder}: no picture is {crop} px on both sides; take a smaller --crop")
    return images


def _style(got: Tensor, wanted: Tensor) -> Tensor:
    """Equation 13 in one layer, as a share of the mean square of the style's activation."""
    pairs = zip(statistics(got), statistics(wanted), strict=True)
    difference = torch.stack([mse_loss(mine, theirs) for mine, theirs in pairs]).sum()
    return difference / wanted.square().mean()
