"""The networks of `imgan edit`. Faces: [N, 3, 64, 64] RGB in -1..1, aligned as CelebA's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from imgan.images.tensors import Floats


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


class OcclusionFinder(nn.Module):
    """[N, 3, 64, 64] in -1..1 to logits [N, 1, 16, 16]: is there an occluder?

    Down to a grid of 4, from where it sees the whole face, and up again, as a U-Net
    (Ronneberger et al. 2015).
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 2, 1)
        self.down16, self.down8, self.down4 = (_down(power * width) for power in (1, 2, 4))
        self.bottom = nn.Sequential(ResidualBlock(8 * width), ResidualBlock(8 * width))
        self.from4 = nn.Conv2d(8 * width, 4 * width, 1)
        self.up8 = ResidualBlock(4 * width)
        self.from8 = nn.Conv2d(4 * width, 2 * width, 1)
        self.up16 = ResidualBlock(2 * width)
        self.head = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, face: Tensor) -> Tensor:
        at16 = self.down16(self.stem(face))
        at8 = self.down8(at16)
        at4 = self.bottom(self.down4(at8))
        x = self.up8(_doubled(self.from4(at4)) + at8)
        x = self.up16(_doubled(self.from8(x)) + at16)
        return self.head(silu(x))


def _doubled(x: Tensor) -> Tensor:
    """Planes on a grid twice as fine, by nearest neighbour."""
    return interpolate(x, scale_factor=2.0, mode="nearest")


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(silu(self.norm(x)))


def _down(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, 1), ResidualBlock(2 * width))
