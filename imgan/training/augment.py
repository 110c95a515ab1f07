"""Differentiable augmentation (Zhao et al. 2020): what a critic sees is changed, real or not.

So a critic cannot learn a small data set by heart.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def augmented(pictures: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in -1..1, each relit, shifted by up to an eighth, with a hole."""
    return _holed(_shifted(_relit(pictures)))


def _relit(pictures: Tensor) -> Tensor:
    """Brightness by up to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""

    def draw() -> Tensor:
        return torch.rand(len(pictures), 1, 1, 1, device=pictures.device)

    pictures = pictures + draw() - 0.5
    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (pictures - grey) * 2 * draw()
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * (draw() + 0.5)


def _shifted(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[2:]
    y, x = height // 8, width // 8
    padded = pad(pictures, (x, x, y, y))
    corners = zip(_corners(2 * y + 1, padded), _corners(2 * x + 1, padded), strict=True)
    windows = [
        p[:, top : top + height, left : left + width]
        for p, (top, left) in zip(padded, corners, strict=True)
    ]
    return torch.stack(windows)


def _holed(pictures: Tensor) -> Tensor:
    """A square of half the side is 0, wherever it falls."""
    height, width = pictures.shape[2:]
    mask = torch.ones_like(pictures[:, :1])
    tops, lefts = _corners(height, pictures), _corners(width, pictures)
    for picture, top, left in zip(mask, tops, lefts, strict=True):
        rows = slice(max(0, top - height // 4), top + height // 4)
        picture[:, rows, max(0, left - width // 4) : left + width // 4] = 0
    return pictures * mask


def _corners(count: int, pictures: Tensor) -> list[int]:
    drawn: list[int] = torch.randint(count, (len(pictures),)).tolist()
    return drawn
