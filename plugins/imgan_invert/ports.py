"""What encoders take and give."""

from __future__ import annotations

from typing import Any

from torch import nn

from imgan.training.ports import Form, Port
from imgan.training.task import Task
from imgan.training.weights import file_trait
from imgan_invert.encoder import Encoder


def encoder(task: Task[Any], name: str, network: nn.Module) -> Form:
    """Pictures of the generator's size, RGB in -1..1, to w+; the card names the generator's file by
    its SHA-256."""
    assert isinstance(network, Encoder)
    side = 4 << len(network.blocks)
    return Form(
        (Port("input", ("batch", 3, side, side), -1, 1),),
        ("w",),
        magnitude=4,
        traits=file_trait("generator", task.settings.generator),
    )
