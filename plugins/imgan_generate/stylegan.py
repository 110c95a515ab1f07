"""StyleGAN2's generator (Karras et al. 2020, arXiv:1912.04958), and a discriminator to train it.

z is [N, Z] from N(0, 1); w, a style, is [N, W]; w+, a style for each of L layers, is [N, L, W].
Noise is one row of numbers a picture from N(0, 1), [N, P]: the maps of all convolutions, from 4x4
up. Pictures are [N, 3, S, S] RGB in -1..1. The generator's parameters have the names and the scale
of the official code, so that its weights fit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool2d,
    conv2d,
    conv_transpose2d,
    interpolate,
    leaky_relu,
    linear,
    pad,
)

SLOPE, GAIN = 0.2, 2**0.5
EPSILON = 1e-8
MEAN_DECAY = 0.995
"""Of the running mean of w."""
SAMPLED = 4096
"""Styles that a mean is taken of."""

Channels = Sequence[int]
"""Of the resolutions 4, 8, 16 and on."""


class Dense(nn.Module):
    """A linear layer with an equalised learning rate (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, lr: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.lr = lr

    def forward(self, x: Tensor) -> Tensor:
        gain = self.lr / self.weight.shape[1] ** 0.5
        return linear(x, self.weight * gain, self.bias * self.lr)


class MappingNetwork(nn.Module):
    """z to w: [N, Z] -> [N, W]. In training it keeps the running mean of w."""

    w_avg: Tensor

    def __init__(self, z: int, w: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        for i in range(layers):
            self.add_module(f"fc{i}", Dense(w if i else z, w, lr=0.01))
        self.register_buffer("w_avg", torch.zeros(w))

    def forward(self, z: Tensor) -> Tensor:
        x = _normalised(z)
        for i in range(self.layers):
            x = leaky_relu(self.get_submodule(f"fc{i}")(x), SLOPE) * GAIN
        if self.training:
            self.w_avg.lerp_(x.detach().mean(0), 1 - MEAN_DECAY)
        return x

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Take z to where codes [N, Z] lie, N(0, 1) to their mean and covariance: the first layer
        is changed so, and the mean of w is taken anew (Ghosh et al. 2020, arXiv:1903.12436, section
        4). So z gives what an autoencoder's codes give, which are not as normal as they should be.
        """
        seen = _normalised(codes)
        values, vectors = torch.linalg.eigh(torch.cov(seen.T))
        root = vectors * values.clamp(min=0).sqrt() @ vectors.T
        first = self.get_submodule("fc0")
        assert isinstance(first, Dense)
        first.bias.add_(first.weight @ seen.mean(0) / codes.shape[1] ** 0.5)
        first.weight.copy_(first.weight @ root)
        z = torch.randn(SAMPLED, codes.shape[1], generator=torch.Generator().manual_seed(0))
        self.w_avg.copy_(self.eval()(z.to(codes)).mean(0))

    def truncate(self, w: Tensor, psi: Tensor | float) -> Tensor:
        """Styles brought nearer to their mean: psi 1 leaves them, 0 is the mean (Karras et al.
        2019, section B)."""
        return self.w_avg + psi * (w - self.w_avg)


def _normalised(z: Tensor) -> Tensor:
    return z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt()


class StyledConv(nn.Module):
    """A 3x3 convolution whose kernels a style scales, noise, and a leaky ReLU.

    What comes in is scaled by the style and what goes out by the demodulation: that equals kernels
    of their own for every picture (section 2.2), without a grouped convolution, which is slow.
    """

    resample_filter: Tensor

    def __init__(self, w: int, inputs: int, outputs: int, up: bool) -> None:
        super().__init__()
        self.affine = Dense(w, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.up = up
        if up:
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
            self.register_buffer("resample_filter", taps.outer(taps))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        style = self.affine(w)
        x = x * style[:, :, None, None]
        if self.up:
            x = conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            channels = len(self.weight)
            blur = (4 * self.resample_filter).expand(channels, 1, -1, -1)
            x = conv2d(x, blur, padding=1, groups=channels)
        else:
            x = conv2d(x, self.weight, padding=1)
        power = style.square() @ self.weight.square().sum((2, 3)).T
        # The gain of the activation is taken into what stands before it: fewer passes over x.
        scale = GAIN * (power + EPSILON).rsqrt()
        x = torch.addcmul(GAIN * self.bias[:, None, None], x, scale[:, :, None, None])
        noise = GAIN * self.noise_strength * noise
        return leaky_relu(x + noise.view(x.shape[0], 1, *x.shape[2:]), SLOPE)


class ToRGB(nn.Module):
    """Features to a picture by a modulated 1x1 convolution, not demodulated."""

    def __init__(self, w: int, inputs: int) -> None:
        super().__init__()
        self.affine = Dense(w, inputs, bias=1.0)
        # Published is a deviation of 1: far too colourful, and hundreds of steps to unlearn that.
        self.weight = nn.Parameter(0.2 * torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w) / self.weight.shape[1] ** 0.5
        return conv2d(x * style[:, :, None, None], self.weight, self.bias)


class Block(nn.Module):
    """Two convolutions, the first of which doubles the size, and what they add to the picture; of
    the block of 4x4 only the second, on a learned constant."""

    def __init__(self, w: int, inputs: int, outputs: int) -> None:
        super().__init__()
        if inputs:
            self.conv0 = StyledConv(w, inputs, outputs, up=True)
        else:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        self.conv1 = StyledConv(w, outputs, outputs, up=False)
        self.torgb = ToRGB(w, outputs)


class Synthesis(nn.Module):
    """w+ [N, L, W] and noise [N, P] to pictures."""

    def __init__(self, w: int, channels: Channels) -> None:
        super().__init__()
        self.sides = [4 << i for i in range(len(channels))]
        for side, (inputs, outputs) in zip(self.sides, pairwise((0, *channels)), strict=True):
            self.add_module(f"b{side}", Block(w, inputs, outputs))
        self.styles = 2 * len(channels)
        """L."""
        self.noise = [self.sides[0] ** 2, *(s**2 for s in self.sides[1:] for _ in range(2))]
        """Numbers of each noise map; P is their sum."""

    def forward(self, w: Tensor, noise: Tensor) -> Tensor:
        styles = iter(w.unbind(1))
        maps = iter(noise.split(self.noise, 1))
        first, *blocks = (self._block(side) for side in self.sides)
        # A block's last style, that of its torgb, is the first of the next block too.
        x = first.conv1(first.const[None], next(styles), next(maps))
        style = next(styles)
        picture: Tensor = first.torgb(x, style)
        for block in blocks:
            x = block.conv0(x, style, next(maps))
            x = block.conv1(x, next(styles), next(maps))
            style = next(styles)
            picture = _upsampled(picture) + block.torgb(x, style)
        return picture

    def _block(self, side: int) -> Block:
        block = self.get_submodule(f"b{side}")
        assert isinstance(block, Block)
        return block


class Generator(nn.Module):
    """`mapping` and `synthesis`, and both at once as they are exported."""

    def __init__(self, channels: Channels, z: int = 128, w: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.z, self.w = z, w
        self.mapping = MappingNetwork(z, w, layers)
        self.synthesis = Synthesis(w, channels)

    def forward(
        self, z: Tensor, truncation: Tensor, w: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Styles of z, [N, W], truncated; and pictures of w+ and noise. The one has nothing to do
        with the other: one file is to hold both."""
        return self.mapping.truncate(self.mapping(z), truncation), self.synthesis(w, noise)


def build(state: Mapping[str, Tensor]) -> Generator:
    """The generator that such parameters fit. Raises KeyError when they are another network's."""
    sides = sorted(
        int(found[1])
        for key in state
        if (found := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", key))
    )
    channels = [len(state[f"synthesis.b{side}.conv1.weight"]) for side in sides]
    layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", key) is not None for key in state)
    w, z = state["mapping.fc0.weight"].shape
    return Generator(channels, z, w, layers)


def _upsampled(picture: Tensor) -> Tensor:
    """Twice the size by the filter 1, 3, 3, 1, which is bilinear; beyond the picture is 0."""
    x = interpolate(pad(picture, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")
    return x[..., 2:-2, 2:-2]


class Discriminator(nn.Module):
    """Residual blocks from S x S to 4 x 4, the deviation in the batch (Karras et al. 2018, section
    3), and a logit a picture: [N, 3, S, S] -> [N].

    Every block sees the picture at its own size too: so a discriminator that has grown knows from
    the beginning what the smaller one knew.
    """

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self.sides = [4 << i for i in reversed(range(1, len(channels)))]
        for i, side in enumerate(reversed(self.sides), 1):
            self.add_module(f"b{side}", Residual(channels[i], channels[i - 1]))
        self.conv = _conv(channels[0] + 1, channels[0])
        self.dense = nn.Linear(16 * channels[0], channels[0])
        self.logit = nn.Linear(channels[0], 1)
        nn.init.zeros_(self.logit.weight)

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.new_zeros(())
        for side in self.sides:
            x = self.get_submodule(f"b{side}")(x, pictures)
            pictures = avg_pool2d(pictures, 2)
        deviation = (x.var(0, unbiased=False) + EPSILON).sqrt().mean()
        x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], 1)
        x = leaky_relu(self.conv(x), SLOPE)
        x = leaky_relu(self.dense(x.flatten(1)), SLOPE)
        return self.logit(x).flatten()


class Residual(nn.Module):
    """Half the size: two convolutions beside an average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fromrgb = _conv(3, inputs, 1)
        self.conv0 = _conv(inputs, inputs)
        self.conv1 = _conv(inputs, outputs)
        self.skip = _conv(inputs, outputs, 1)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        x = x + leaky_relu(self.fromrgb(picture), SLOPE)
        y = leaky_relu(self.conv0(x), SLOPE)
        y = leaky_relu(self.conv1(avg_pool2d(y, 2)), SLOPE)
        return (y + self.skip(avg_pool2d(x, 2))) / GAIN


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(conv.weight, SLOPE)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
