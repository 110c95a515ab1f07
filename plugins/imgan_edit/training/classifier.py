"""Training the classifier of attributes that measures edits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from imgan.errors import Failure
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.classifier import Classifier
from imgan.training.faces import Faces
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_edit import ClassifierSettings
from imgan_edit.attribute_classifier import SIZE
from imgan_edit.attributes import SLUGS
from imgan_edit.training.faces import mirrored_batch


class ClassifierTask(Task[ClassifierSettings]):
    """Forty attributes at once, by binary cross-entropy; the faces mirrored, shifted, relit,
    and erased in part.

    Having a rare attribute counts for more (`rarity`), or it would never be seen: nobody is bald is
    right of 98 faces of 100.
    """

    shipped = "classifier"

    def __init__(self, data: Path, settings: ClassifierSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["classifier"] = self.network()
        self.optimizers["classifier"] = torch.optim.AdamW(
            self.networks["classifier"].parameters(), settings.lr, weight_decay=0.05
        )
        self.average("classifier")

    def network(self) -> nn.Module:
        return Classifier(self.settings.width, len(SLUGS))

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures. Raises Failure without labels."""
        faces = Faces(self.data, SIZE)
        if faces.labels is None:
            raise Failure(f"{self.data}: no {ATTRIBUTES_FILE} in it, which the classifier learns")
        return faces

    @cached_property
    def rarity(self) -> Tensor:
        """By how much having an attribute counts for more than not having it, 1/4 to 4: [40], the
        root of how many faces lack it for one that has it."""
        assert self.faces.labels is not None
        share = self.faces.labels.mean(0).clip(1e-3, 1 - 1e-3)
        return torch.from_numpy(np.sqrt((1 - share) / share).clip(0.25, 4).astype(np.float32))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return mirrored_batch(self.faces, self.settings, step)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        faces, labels = batch
        optimizer = self.optimizers["classifier"]
        set_rate(optimizer, cosine(self.settings, step))
        faces = self.shown(faces, labels, optim)
        with optim.autocast():
            logits = self.networks["classifier"](faces)
            loss = self.cross_entropy(logits, labels)
        optim.minimise(loss, optimizer)
        accuracy = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": accuracy}

    def shown(self, faces: Tensor, labels: Tensor, optim: Optim) -> Tensor:
        """What the network sees in the place of the faces of a batch."""
        return _augmented(faces)

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self.rarity.to(labels.device)
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=weights)

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Probability (red) beside label (white) of 64 faces: a bar code a face."""
        indices = np.arange(64) % len(self.faces)
        network = self.trained("classifier")
        device = next(network.parameters()).device
        chance = network(self.faces.take(indices).to(device)).sigmoid().cpu()
        assert self.faces.labels is not None
        labels = torch.from_numpy(self.faces.labels[indices])
        zero = torch.zeros_like(chance)
        bars = torch.stack([torch.stack([chance, zero, zero]), labels.expand(3, -1, -1)], dim=2)
        return bars.flatten(1, 2).repeat_interleave(4, 1).repeat_interleave(4, 2)


def _augmented(faces: Tensor) -> Tensor:
    """Shift each picture by up to 4 px, scale its contrast, move its brightness, erase a box."""
    count, size = len(faces), faces.shape[-1]
    padded = pad(faces, (4, 4, 4, 4), mode="replicate")
    dy, dx = torch.randint(0, 9, (2, count), device=faces.device)
    span = torch.arange(size, device=faces.device)
    rows, columns = (dy[:, None] + span)[:, :, None], (dx[:, None] + span)[:, None, :]
    pictures = torch.arange(count, device=faces.device)[:, None, None]
    shifted = padded[pictures, :, rows, columns].permute(0, 3, 1, 2)
    contrast = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(0.8, 1.2)
    brightness = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(-0.15, 0.15)
    relit = shifted * contrast + brightness
    return _erased(relit).contiguous(memory_format=torch.channels_last)


def _erased(faces: Tensor) -> Tensor:
    """Half of the pictures lose a box, an eighth to three eighths of a side each way, to one grey:
    random erasing (Zhong et al. 2020), so that no single place tells an attribute."""
    count, size = len(faces), faces.shape[-1]
    low, high = size // 8, 3 * size // 8
    extent = torch.randint(low, high + 1, (2, count), device=faces.device)
    start = (torch.rand(2, count, device=faces.device) * (size - extent)).long()
    span = torch.arange(size, device=faces.device)
    rows, columns = (span >= start[..., None]) & (span < (start + extent)[..., None])
    chosen = torch.rand(count, device=faces.device) < 0.5
    box = (chosen[:, None, None] & rows[:, :, None] & columns[:, None, :])[:, None]
    grey = torch.empty(count, 1, 1, 1, device=faces.device).uniform_(-1, 1)
    return torch.where(box, grey, faces)
