"""What goes into the generator and what comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from imgan.training.ports import Form, Port
from imgan.training.task import Task
from imgan_shapes.net import LATENT

GENERATOR = Form((Port("z", ("batch", LATENT), -2, 2),), ("occupancy",))
"""z to occupancy [N, 64, 64, 64] in 0..1."""


def generator(task: Task[Any], name: str, network: nn.Module) -> Form:
    """The generator; its card says which kind of shapes it learned, and how it computes."""
    s = task.settings
    traits: dict[str, float | str] = {"size": s.size, "mirror": str(s.mirror)}
    for trait in ("kind", "pose"):
        if value := getattr(s, trait):
            traits[trait] = value
    return replace(GENERATOR, traits=traits)
