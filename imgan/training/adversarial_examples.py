"""Adversarial training (Madry et al. 2018): adversarially robust classifiers.

A network that is trained against a plain classifier soon finds patterns which this one takes for
what is wanted, and which no other network sees, nor any person. What fools a classifier that was
trained on adversarial examples looks to people like what it says (Santurkar et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def adversarial_examples(
    pictures: Tensor, radius: float, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """pictures + d, where d makes the loss high and |d| is at most `radius` in each picture.

    `loss` makes a scalar of pictures like these, [N, C, H, W]; |d| is the Euclidean norm over all
    numbers of a picture. The maximum is approached by one step along the gradient, as long as the
    radius, from a random place in the ball.
    """
    noise = torch.randn_like(pictures)
    length = radius * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
    start = noise * (length / _norm(noise))
    moved = (pictures + start).requires_grad_()
    (uphill,) = torch.autograd.grad(loss(moved), moved)
    change = start + uphill * (radius / _norm(uphill))
    return pictures + change * (radius / _norm(change)).clamp(max=1)


def _norm(pictures: Tensor) -> Tensor:
    """[N, 1, 1, 1], never 0."""
    return pictures.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
