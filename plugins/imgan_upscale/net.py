"""The super-resolution networks: [N, 3, H, W] to [N, 3, scale H, scale W], RGB in 0..1."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """x + conv(relu(conv(x))): EDSR's block (Lim et al. 2017, figure 2c), no normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 3, padding=1)
        self.reduce = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.expand.weight, nonlinearity="relu")
        # A block starts as the identity: deep stacks learn at once, and blocks that are added to a
        # trained network leave it as good as it was.
        nn.init.zeros_(self.reduce.weight)
        for conv in (self.expand, self.reduce):
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.reduce(torch.relu(self.expand(x)))


class Compact(nn.Module):
    """A few residual blocks at the input's size, then one pixel shuffle (Shi et al. 2016).

    A 5x5 convolution from the input straight to the output carries what is linear, as in WDSR
    (Yu et al. 2018), so the blocks spend themselves on the rest. About 0.6 M parameters at width 64
    and 8 blocks.
    """

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 8) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.skip = nn.Conv2d(3, 3 * scale**2, 5, padding=2)
        self.shuffle = nn.PixelShuffle(scale)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="linear")
        nn.init.normal_(self.tail.weight, std=1e-3)
        # The linear path starts as nearest-neighbour upscaling.
        with torch.no_grad():
            self.skip.weight.zero_()
            for channel in range(3):
                self.skip.weight[channel * scale**2 : (channel + 1) * scale**2, channel, 2, 2] = 1
        for conv in (self.head, self.tail, self.skip):
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.skip(x) + self.tail(self.blocks(self.head(x))))


class SRResNet(nn.Module):
    """SRResNet as published (Ledig et al. 2017, figure 4): 16 blocks of 64, 1.5 M parameters."""

    def __init__(self, scale: int = 4, width: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(_NormalisedResidual(width) for _ in range(blocks)))
        self.middle = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        doublings = scale.bit_length() - 1
        self.upscale = nn.Sequential(*(_Doubling(width) for _ in range(doublings)))
        self.tail = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(x)
        return self.tail(self.upscale(features + self.middle(self.blocks(features))))


class _NormalisedResidual(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class _Doubling(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
