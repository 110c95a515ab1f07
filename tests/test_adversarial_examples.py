"""Adversarial examples, for classifiers that are to be robust."""

from __future__ import annotations

import torch
from torch import Tensor

from imgan.training.adversarial_examples import adversarial_examples


def test_the_change_is_small_and_makes_the_loss_high() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(50, 3, 8, 8)
    weights = torch.randn(3, 8, 8)

    def loss(seen: Tensor) -> Tensor:
        return (seen * weights).sum()

    change = adversarial_examples(pictures, 2.0, loss) - pictures
    lengths = change.flatten(1).norm(dim=1)
    assert (lengths <= 2.001).all()
    assert (lengths > 1.5).all()
    along = (change * weights).flatten(1).sum(1) / (lengths * weights.norm())
    assert (along > 0.65).all()
    assert len({round(float(value), 6) for value in along}) == 50


def test_where_nothing_matters_the_picture_stays_finite() -> None:
    pictures = torch.zeros(2, 3, 4, 4)
    assert adversarial_examples(pictures, 1.0, lambda seen: 0 * seen.sum()).isfinite().all()
