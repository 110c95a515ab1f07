"""The networks of the engines. Faces: [N, 3, 64, 64] RGB in -1..1, aligned as CelebA's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imgan.images.tensors import Floats

ATTRIBUTE_COUNT = 40


class VectorEditor(nn.Module):
    """Encode, move along the attribute vectors, decode; the network that the engine runs.

    `change` [N, 40] is how much of each attribute to add (1), remove (-1) or leave (0). Returns the
    reconstruction G(z), the edited face G(z + change V), and z, where row a of V [40, 100] is
    mean(z of faces with a) - mean(z of faces without), as DCGAN's vector arithmetic
    (Radford et al. 2016, section 6.3.2).
    """

    def __init__(self, encoder: nn.Module, generator: nn.Module, vectors: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.generator = generator
        self.vectors = nn.Parameter(vectors, requires_grad=False)

    def forward(self, face: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.encoder(face)
        return self.generator(z), self.generator(z + change @ self.vectors), z


class Directions(nn.Module):
    """What changes of attributes add to a style: the network of the engine `stylegan`.

    `change` [N, 40] is how much of each attribute to add (1), remove (-1) or leave (0), and moves
    along `vectors` [40, W]; `away` [N, 40] goes as far from the plane that divides styles with an
    attribute from those without, along `normals` [40, W] of length 1. Returns the step [N, W].
    """

    def __init__(self, vectors: Floats, normals: Floats) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.from_numpy(vectors), requires_grad=False)
        self.normals = nn.Parameter(torch.from_numpy(normals), requires_grad=False)

    def forward(self, change: Tensor, away: Tensor) -> Tensor:
        return change @ self.vectors + away @ self.normals


class Classifier(nn.Module):
    """The judge: a plain convolutional network, [N, 3, 64, 64] -> `count` logits."""

    def __init__(self, width: int = 24, count: int = ATTRIBUTE_COUNT) -> None:
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
