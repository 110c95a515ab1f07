"""From a picture to w+ in one step, after pSp (Richardson et al. 2021) and e4e (Tov et al. 2021).

As in e4e, one style is said for all layers and then how each differs from it: so what comes out
stays near the styles that the mapping network gives, where editing works.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu

SLOPE = 0.2

MOST = 192
"""Channels, at most."""

TOLD = 128
"""Numbers that all styles are told from: otherwise most parameters would be here."""


class Encoder(nn.Module):
    """[N, 3, S, S] RGB in -1..1 to [N, L, W], about the mean style."""

    mean: Tensor

    def __init__(self, side: int, layers: int, w: int, width: int = 16) -> None:
        super().__init__()
        self.shape = (layers, w)
        self.register_buffer("mean", torch.zeros(w))
        self.first = nn.Conv2d(3, width, 3, padding=1)
        blocks = []
        while side > 4:
            wider = min(2 * width, MOST)
            blocks.append(_Half(width, wider))
            width, side = wider, side // 2
        self.blocks = nn.Sequential(*blocks)
        self.told = nn.Linear(16 * width, TOLD)
        self.style = nn.Linear(TOLD, w)
        self.offsets = nn.Linear(TOLD, layers * w)
        for head in (self.style, self.offsets):
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.blocks(leaky_relu(self.first(pictures), SLOPE)).flatten(1)
        x = leaky_relu(self.told(x), SLOPE)
        w: Tensor = self.mean + self.style(x)[:, None] + self.offsets(x).unflatten(1, self.shape)
        return w


class _Half(nn.Module):
    """Half the size: two convolutions beside an average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)
        for conv in (self.conv0, self.conv1, self.skip):
            nn.init.kaiming_normal_(conv.weight, SLOPE)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        y = leaky_relu(self.conv0(x), SLOPE)
        y = leaky_relu(self.conv1(avg_pool2d(y, 2)), SLOPE)
        return (y + self.skip(avg_pool2d(x, 2))) / 2**0.5
