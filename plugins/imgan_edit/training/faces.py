"""Training on faces, mirrored or not."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from imgan.recipes import Settings
from imgan.training.data import shuffled
from imgan.training.faces import Faces
from imgan.training.task import Task
from imgan_edit.attribute_classifier import SIZE

S = TypeVar("S", bound=Settings)


class FacesTask(Task[S]):
    """A task that learns from faces alone, without their labels."""

    def __init__(self, data: Path, settings: S) -> None:
        super().__init__(settings)
        self.data = data

    @cached_property
    def faces(self) -> Faces:
        """Read at the first step: an export needs no pictures."""
        return Faces(self.data, SIZE)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return mirrored_batch(self.faces, self.settings, step)[:1]


def mirrored_batch(faces: Faces, settings: Settings, step: int) -> tuple[Tensor, ...]:
    """The faces of a step, each mirrored or not, and their labels where there are any."""
    indices = shuffled(len(faces), settings.batch_size, settings.seed, step)
    mirror = np.random.default_rng([settings.seed, step]).random(settings.batch_size) < 0.5
    labels = () if faces.labels is None else (torch.from_numpy(faces.labels[indices]),)
    return (faces.take(indices, mirror), *labels)
