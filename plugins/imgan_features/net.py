"""The student: half of the teacher's channels, and which half."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imgan.metrics.perceptual import SCALES
from imgan.training.perceptual import Features


class Scales(nn.Module):
    """What is exported: pictures [N, 3, H, W] in 0..1 to the activations of `SCALES`, in order."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.features(images, SCALES)
        return tuple(found[scale] for scale in SCALES)


class Choice(nn.Module):
    """For each layer of a student the teacher's channels that it stands for, and their scale.

    A part of the checkpoint: no channel is chosen twice.
    """

    made: Tensor

    def __init__(self, student: Features) -> None:
        super().__init__()
        self.register_buffer("made", torch.tensor(False))
        for name in student.layers:
            width = student.get_parameter(f"{name}.bias").numel()
            self.register_buffer(f"{name}_channels", torch.zeros(width, dtype=torch.int64))
            self.register_buffer(f"{name}_scale", torch.ones(()))

    def set(self, layer: str, channels: Tensor, scale: Tensor) -> None:
        """Keep a layer's choice."""
        self.get_buffer(f"{layer}_channels").copy_(channels)
        self.get_buffer(f"{layer}_scale").copy_(scale)

    def channels(self, layer: str) -> Tensor:
        """The teacher's channels that a layer stands for, [C]."""
        return self.get_buffer(f"{layer}_channels")

    def scale(self, layer: str) -> Tensor:
        """What the teacher's activations are multiplied with; the mean of all is then 1."""
        return self.get_buffer(f"{layer}_scale")

    def targets(self, layer: str, activation: Tensor) -> Tensor:
        """The teacher's activation [N, 2C, H, W] as the student ought to give it, [N, C, H, W]."""
        return activation[:, self.channels(layer)] * self.scale(layer)
