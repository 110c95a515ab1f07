"""Differentiable augmentation (Zhao et al. 2020): pictures are changed before a discriminator sees
them, real or not.

So it cannot learn a small data set by heart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def augmented(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in -1..1, each relit, shifted by up to an eighth, with a hole."""
    return _holed(_shifted(_relit(pictures)))


def _shifted(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W], each moved by up to an eighth of its sides; 0 comes in."""
    channels, height, width = pictures.shape[1:]
    y, x = height // 8, width // 8
    rows = _corners(2 * y + 1, pictures) + torch.arange(height, device=pictures.device)
    columns = _corners(2 * x + 1, pictures) + torch.arange(width, device=pictures.device)
    padded = pad(pictures, (x, x, y, y))
    padded = padded.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width + 2 * x))
    return padded.gather(3, columns[:, None, None].expand(-1, channels, height, -1))


def _relit(pictures: Tensor) -> Tensor:
    """Brightness by up to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""

    def draw() -> Tensor:
        return torch.rand(len(pictures), 1, 1, 1, device=pictures.device)

    pictures = pictures + draw() - 0.5
    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (pictures - grey) * 2 * draw()
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * (draw() + 0.5)


def _holed(pictures: Tensor) -> Tensor:
    """A square of half the side is 0, wherever it falls."""

    def inside(side: int) -> Tensor:
        from_middle = torch.arange(side, device=pictures.device) - _corners(side, pictures)
        return (from_middle >= -(side // 4)) & (from_middle < side // 4)

    height, width = pictures.shape[2:]
    hole = inside(height)[:, None, :, None] & inside(width)[:, None, None]
    return pictures * ~hole


def _corners(count: int, pictures: Tensor) -> Tensor:
    """A number below `count` for each picture: [N, 1]."""
    return torch.randint(count, (len(pictures), 1), device=pictures.device)
