"""The networks of `imgan inpaint`. Pictures are [N, 3, H, W] RGB in 0..1, masks [N, 1, H, W], 1 in
the hole and 0 where the picture is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

STEP = 8
"""Sides are multiples of this."""

SLOPE = 0.2
"""Of every leaky ReLU."""

DILATIONS = (1, 2, 4, 8, 1)
"""Of the residual blocks: together they look farther than a hole is wide."""


class Generator(nn.Module):
    """PG-GAN's generator: a residual network with dilated convolutions and interpolated upsampling
    (Demir and Unal 2018, section 3.1).

    It works at an eighth of the picture's side, since a coarse picture is what is asked of it, and
    has no normalisation: its blocks begin as the identity. Known pixels come out as they went in.
    It may be told what the hole is to be filled with, in `conditions` planes.
    """

    def __init__(self, width: int = 24, blocks: int = len(DILATIONS), conditions: int = 0) -> None:
        super().__init__()
        widths = [width, 2 * width, 5 * width]
        inputs = [4 + conditions, *widths]
        self.down = nn.ModuleList(
            nn.Conv2d(inputs[i], wider, 5 if i == 0 else 3, 2, 2 if i == 0 else 1)
            for i, wider in enumerate(widths)
        )
        self.blocks = nn.Sequential(
            *(Dilated(widths[-1], DILATIONS[i % len(DILATIONS)]) for i in range(blocks))
        )
        self.up = nn.ModuleList(
            nn.Conv2d(wider, narrower, 3, padding=1)
            for wider, narrower in zip(widths[::-1], [*widths[-2::-1], width], strict=True)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        _begin(self)
        nn.init.normal_(self.last.weight, std=1e-3)

    def forward(self, image: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        known = 1 - mask
        x = torch.cat([image * known - 0.5 * known, mask], 1)
        if condition is not None:
            x = torch.cat([x, condition], 1)
        for down in self.down:
            x = leaky_relu(down(x), SLOPE)
        x = self.blocks(x)
        for up in self.up:
            x = leaky_relu(up(interpolate(x, scale_factor=2.0)), SLOPE)
        return image * known + (self.last(x) + 0.5) * mask


class Dilated(nn.Module):
    """x + conv(f(conv(f(x)))), the first convolution dilated."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.near = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.wide(leaky_relu(x, SLOPE))
        return x + self.near(leaky_relu(inner, SLOPE))


class Discriminator(nn.Module):
    """PG-GAN's two discriminators on layers that they share (section 3.2): a logit of the whole
    picture, [N, 1], and one of each patch of 32 pixels, [N, 1, H/8, W/8]. It sees the generator's
    conditions, too."""

    def __init__(self, width: int = 24, conditions: int = 0) -> None:
        super().__init__()
        self.shared = nn.Sequential(
            nn.Conv2d(3 + conditions, width, 4, 2, 1),
            nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1)),
            nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(2 * width, 4 * width, 4, 2, 1)),
            nn.LeakyReLU(SLOPE),
        )
        self.patch = nn.Conv2d(4 * width, 1, 3, padding=1)
        self.whole = nn.Sequential(
            spectral_norm(nn.Conv2d(4 * width, 4 * width, 4, 2, 1)), nn.LeakyReLU(SLOPE)
        )
        self.score = nn.Linear(4 * width * 4 * 4, 1)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = image - 0.5
        shared = self.shared(x if condition is None else torch.cat([x, condition], 1))
        whole = adaptive_avg_pool2d(self.whole(shared), 4)
        return self.score(whole.flatten(1)), self.patch(shared)


def _begin(network: Generator) -> None:
    """Kaiming's weights, and blocks that are the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, SLOPE)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        if isinstance(module, Dilated):
            nn.init.zeros_(module.near.weight)
