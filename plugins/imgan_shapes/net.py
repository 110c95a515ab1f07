"""3D-GAN (Wu et al. 2016): shapes out of noise, by transposed 3D convolutions.

z is 200 numbers from N(0, 1). Grids are indexed [x, y, z]: z is up, y goes from one side of the
shape to the other. A shape's longest side spans three quarters of its grid, so a network may leave
the empty margin to others: sizes are 64 as published, 48 without the margin, or 32 and 24 of grids
half as fine.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, interpolate, pad

from imgan_shapes.grids import FRAME
from imgan_shapes.latents import LATENT

Stride = tuple[int, int, int]
AXES = {"none": None, "x": 0, "y": 1}


def _stages(size: int, mirror: str) -> list[Stride]:
    """The strides of each doubling, of the coarsest first: the mirrored half misses the first."""
    strides = [[2, 2, 2] for _ in range(int(math.log2(size // 3)))]
    if (axis := AXES[mirror]) is not None:
        strides[0][axis] = 1
    return [(x, y, z) for x, y, z in strides]


def _kernel(stride: Stride) -> Stride:
    """4 where the grid doubles, as published, and 3 where it stays."""
    x, y, z = stride
    return 2 + x, 2 + y, 2 + z


class Generator(nn.Module):
    """[N, 200] -> occupancy [N, 64, 64, 64] in 0..1 (section 3.1), finer and smooth where it
    computes in fewer cells.

    With `mirror` it makes half of a shape and mirrors it along that axis: half the arithmetic, and
    nearly all furniture has two equal sides.
    """

    def __init__(self, width: int = 64, size: int = 64, mirror: str = "none") -> None:
        super().__init__()
        self.axis = AXES[mirror]
        stages = _stages(size, mirror)
        self.base = size >> len(stages)
        channels = width << (len(stages) - 1)
        # A transposed convolution of a single cell is a matrix.
        self.start = nn.Linear(LATENT, channels * self.base**3, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm3d(channels), nn.ReLU(inplace=True)]
        for stride in stages[:-1]:
            layers += [
                nn.ConvTranspose3d(channels, channels // 2, _kernel(stride), stride, 1, bias=False),
                nn.BatchNorm3d(channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        self.layers = nn.Sequential(*layers)
        self.last = nn.ConvTranspose3d(channels, 1, _kernel(stages[-1]), stages[-1], 1)
        self.apply(_initialise)
        # Most cells of a grid are empty.
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, -2.0)

    def cells(self, z: Tensor) -> Tensor:
        """Occupancy [N, 1, size, size, size] in 0..1; of the first half with `mirror`."""
        x = self.start(z).unflatten(1, (-1, self.base, self.base, self.base))
        return torch.sigmoid(self.last(self.layers(x)))

    def whole(self, z: Tensor) -> Tensor:
        """Occupancy [N, 1, size, size, size] of the whole shape."""
        cells = self.cells(z)
        if self.axis is None:
            return cells
        return torch.cat([cells, cells.flip(2 + self.axis)], dim=2 + self.axis)

    def forward(self, z: Tensor) -> Tensor:
        grid = self.whole(z)
        if self.base == 3:
            grid = pad(grid, (grid.shape[-1] // 6,) * 6)
        if grid.shape[-1] < FRAME:
            grid = interpolate(grid, size=(FRAME,) * 3, mode="trilinear", align_corners=False)
            # 1 2 1: takes off the facets between the coarse cells.
            grid = avg_pool3d(avg_pool3d(pad(grid, (1,) * 6), 2, 1), 2, 1)
        return grid[:, 0]


class Discriminator(nn.Module):
    """The generator backwards, without normalisation: what `cells` gives -> one logit [N]."""

    def __init__(self, width: int = 64, size: int = 64, mirror: str = "none") -> None:
        super().__init__()
        stages = _stages(size, mirror)
        layers: list[nn.Module] = []
        channels, following = 1, width
        for stride in reversed(stages):
            layers += [
                nn.Conv3d(channels, following, _kernel(stride), stride, 1),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels, following = following, 2 * following
        base = size >> len(stages)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * base**3, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, 0.2)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


def _initialise(module: nn.Module) -> None:
    """As DCGAN: kernels from N(0, 0.02); z is normalised right after its matrix."""
    if isinstance(module, nn.ConvTranspose3d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
