"""Batches of faces, mirrored or not."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from imgan.recipes import Settings
from imgan.training.data import shuffled
from imgan.training.faces import Faces


def mirrored_batch(faces: Faces, settings: Settings, step: int) -> tuple[Tensor, ...]:
    """The faces of a step, each mirrored or not, and their labels where there are any."""
    indices = shuffled(len(faces), settings.batch_size, settings.seed, step)
    mirror = np.random.default_rng([settings.seed, step]).random(settings.batch_size) < 0.5
    labels = () if faces.labels is None else (torch.from_numpy(faces.labels[indices]),)
    return (faces.take(indices, mirror), *labels)
