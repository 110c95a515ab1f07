"""The network that says of each pixel of a face's picture which part of the face it is."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate

from imgan_parse import CLASSES

WIDTHS = (1, 2, 4, 7, 10)
"""Channels at a half, a quarter and so on of the picture's side, in multiples of the first."""


class Parser(nn.Module):
    """A U-Net (Ronneberger et al. 2015): [N, 3, H, W] in -1..1 to logits [N, 19, H, W].

    H and W are multiples of `imgan_parse.STEP`. Skips are added, not concatenated, and the last
    enlargement is a pixel shuffle (Shi et al. 2016): at full size, where most of the time would
    go, nothing is computed.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = [width * factor for factor in WIDTHS]
        self.stem = convolution(3, widths[0], stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(before, after, stride=2), convolution(after, after))
            for before, after in pairwise(widths)
        )
        ups = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.bring = nn.ModuleList(nn.Conv2d(below, own, 1) for below, own in ups)
        self.up = nn.ModuleList(convolution(own, own) for _, own in ups)
        self.head = nn.Sequential(nn.Conv2d(width, 4 * len(CLASSES), 1), nn.PixelShuffle(2))

    def forward(self, picture: Tensor) -> Tensor:
        levels = [self.stem(picture)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for bring, up in zip(self.bring, self.up, strict=True):
            larger = interpolate(bring(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(larger + levels.pop())
        logits: Tensor = self.head(x)
        return logits


def convolution(before: int, after: int, stride: int = 1) -> nn.Module:
    """3 x 3, with batch normalisation and a rectifier."""
    kernel = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(kernel.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(kernel, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
