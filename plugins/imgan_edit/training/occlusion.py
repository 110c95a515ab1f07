"""Training the network that finds occluders of a face: a hand, a cup, a mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate

from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan_edit import OcclusionSettings
from imgan_edit.attribute_classifier import SIZE
from imgan_edit.net import OcclusionFinder
from imgan_edit.occlusion import CELLS
from imgan_edit.training.augment import augmented, occluded
from imgan_edit.training.faces import FacesTask

OCCLUDED = 0.5
"""The part of the faces that have an occluder."""

SHOWN = 32


class OcclusionTask(FacesTask[OcclusionSettings]):
    """Cross-entropy of each square of 4 pixels: is it occluded? Adam with weight decay, cosine."""

    shipped = "finder"

    def __init__(self, data: Path, settings: OcclusionSettings) -> None:
        super().__init__(data, settings)
        finder = self.networks["finder"] = OcclusionFinder(settings.width)
        self.optimizers["finder"] = torch.optim.AdamW(
            finder.parameters(), settings.lr, weight_decay=0.05
        )
        self.average("finder")

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        set_rate(self.optimizers["finder"], cosine(self.settings, step))
        faces, cover = occluded(augmented(batch[0]), OCCLUDED)
        there = avg_pool2d(cover, SIZE // CELLS)
        with optim.autocast():
            logits = self.networks["finder"](faces).float()
            loss = binary_cross_entropy_with_logits(logits, there)
        optim.minimise(loss, self.optimizers["finder"])
        right = ((logits.detach() > 0) == (there > 0.5)).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": right}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Faces, above what the network takes for occluded of them."""
        faces, _ = occluded(self.faces.take(np.arange(SHOWN) % len(self.faces)), OCCLUDED)
        finder = self.trained("finder")
        device = next(finder.parameters()).device
        seen = interpolate(
            finder(faces.to(device)).sigmoid().cpu(), scale_factor=float(SIZE // CELLS)
        )
        pairs = torch.cat([faces / 2 + 0.5, seen.expand(-1, 3, -1, -1)], 2)
        return torch.cat([torch.cat(list(row), 2) for row in pairs.split(8)], 1)
