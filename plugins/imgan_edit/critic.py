"""What the critic of the engine `residual` says of edited faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, relu

from imgan.training.perceptual import Features

LAYERS = ("conv2_2", "conv3_2", "conv4_1")
"""What the critic sees of a face, in the bundled features."""


def look(features: Features, faces: Tensor) -> dict[str, Tensor]:
    """What the critic sees of faces [N, 3, S, S] in -1..1."""
    return features(faces / 2 + 0.5, LAYERS)


def hinge(real: Sequence[Tensor], made: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Equation 16 of Miyato et al. 2018, where faces are edited, summed over the layers."""
    pairs = zip(real, made, strict=True)
    return torch.stack([where_edited(relu(1 - r) + relu(1 + m), mask) for r, m in pairs]).sum()


def doubt(made: Sequence[Tensor], mask: Tensor) -> Tensor:
    """How far from a photo the critic takes edits to be; equation 17 of the same."""
    return -torch.stack([where_edited(logits, mask) for logits in made]).sum()


def where_edited(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of [N, 1, s, s] over all places, each counted as much as it is edited by the mask
    [N, 1, S, S]: elsewhere an edited face is the photo, and tells nothing."""
    weights = adaptive_avg_pool2d(mask.detach(), values.shape[-1])
    return (weights * values).sum() / weights.sum()
