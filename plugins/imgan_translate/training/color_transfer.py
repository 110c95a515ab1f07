"""The palette of a domain: the affine change of colours that brings pictures to it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def color_transfer(pairs: Iterable[tuple[Tensor, Tensor]]) -> nn.Conv2d:
    """The affine map that gives colours the mean and the covariance of wanted ones and moves them
    least: x -> A (x - mean of x) + mean of what is wanted, as a convolution of 1x1, where, with S
    and T the covariances of what is there and of what is wanted,

        A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)

    (Pitie and Kokaram 2007, The linear Monge-Kantorovitch colour mapping). `pairs` are
    pictures as they are and such as they should look like, each [N, 3, H, W]; the two show
    different things.
    """
    there, wanted = (torch.cat(list(map(_colours, kind))) for kind in zip(*pairs, strict=True))
    root = _power(there.T.cov(), 0.5)
    back = _power(there.T.cov(), -0.5)
    matrix = back @ _power(root @ wanted.T.cov() @ root, 0.5) @ back
    palette = nn.Conv2d(3, 3, 1)
    palette.weight.copy_(matrix[..., None, None])
    assert palette.bias is not None
    palette.bias.copy_(wanted.mean(0) - matrix @ there.mean(0))
    return palette


def _colours(pictures: Tensor) -> Tensor:
    """Of every second pixel each way of pictures [N, 3, H, W]: [n, 3], as float64."""
    return pictures[..., ::2, ::2].double().permute(0, 2, 3, 1).reshape(-1, 3)


def _power(matrix: Tensor, power: float) -> Tensor:
    """Of a symmetric matrix; its eigenvalues are taken to be above 0."""
    values, vectors = torch.linalg.eigh(matrix)
    powered: Tensor = (vectors * values.clamp(min=1e-6) ** power) @ vectors.T
    return powered
