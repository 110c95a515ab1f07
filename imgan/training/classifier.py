"""A small classifier of pictures."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """A plain convolutional network: [N, 3, 64, 64] to `count` logits."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        layers = _block(3, width, 1)
        for power in (1, 2, 4):
            layers += _block(power * width, 2 * power * width, 2)
            layers += _block(2 * power * width, 2 * power * width, 1)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(8 * width, count))

    def forward(self, face: Tensor) -> Tensor:
        return self.head(self.layers(face).mean((2, 3)))


def _block(before: int, after: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
