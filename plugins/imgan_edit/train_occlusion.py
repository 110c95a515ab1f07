"""The network that finds what stands before a face, a hand, a cup or a mask, and its training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate, silu

from imgan.training.faces import Faces
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_edit import OcclusionSettings
from imgan_edit.disturb import covered, disturbed
from imgan_edit.judge import SIZE
from imgan_edit.occlusion import CELLS
from imgan_edit.train import mirrored_batch

COVERED = 0.5
"""The part of the faces that have something before them."""

SHOWN = 32


class OcclusionFinder(nn.Module):
    """[N, 3, 64, 64] in -1..1 to logits [N, 1, 16, 16]: is there something before the face?

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


class OcclusionTask(Task[OcclusionSettings]):
    """Cross-entropy of each square of 4 pixels: is it covered? Adam with weight decay, cosine."""

    shipped = "finder"

    def __init__(self, data: Path, settings: OcclusionSettings) -> None:
        super().__init__(settings)
        self.data = data
        finder = self.networks["finder"] = OcclusionFinder(settings.width)
        self.optimizers["finder"] = torch.optim.AdamW(
            finder.parameters(), settings.lr, weight_decay=0.05
        )
        self.average("finder")

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures."""
        return Faces(self.data, SIZE)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return mirrored_batch(self.faces, self.settings, step)[:1]

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        set_rate(self.optimizers["finder"], cosine(self.settings, step))
        faces, cover = covered(disturbed(batch[0]), COVERED)
        there = avg_pool2d(cover, SIZE // CELLS)
        with optim.autocast():
            logits = self.networks["finder"](faces).float()
            loss = binary_cross_entropy_with_logits(logits, there)
        optim.minimise(loss, self.optimizers["finder"])
        right = ((logits.detach() > 0) == (there > 0.5)).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": right}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Faces, above what the network takes for covered of them."""
        faces, _ = covered(self.faces.take(np.arange(SHOWN) % len(self.faces)), COVERED)
        finder = self.trained("finder")
        device = next(finder.parameters()).device
        seen = interpolate(
            finder(faces.to(device)).sigmoid().cpu(), scale_factor=float(SIZE // CELLS)
        )
        pairs = torch.cat([faces / 2 + 0.5, seen.expand(-1, 3, -1, -1)], 2)
        return torch.cat([torch.cat(list(row), 2) for row in pairs.split(8)], 1)
