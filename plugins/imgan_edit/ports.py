"""What the networks of `imgan edit` take and give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from imgan.training.ports import Form, Port
from imgan.training.task import Task
from imgan.training.weights import file_trait
from imgan_edit.attributes import SLUGS
from imgan_edit.regions.zones import THINGS

_FACE = ("batch", 3, 64, 64)

EDITOR = Form(
    (Port("face", _FACE, -1, 1), Port("change", ("batch", 40), -1, 1)),
    ("reconstruction", "edited", "z"),
    magnitude=4,
)
"""Faces in -1..1, and how much of each attribute to add, to two faces and the z of the first."""

CLASSIFIER = Form((Port("input", _FACE, -1, 1),))
"""Faces in -1..1 to logits: of 40 attributes, or of an occluder at each of 16x16 places."""

DIRECTIONS = Form(
    (Port("change", ("batch", len(SLUGS)), -1, 1), Port("away", ("batch", len(SLUGS)), -1, 1)),
    ("step",),
    magnitude=4,
)
"""How much of each attribute to add, and how far to go from its plane, to a step of styles."""

PAINTER = Form(
    (
        Port("image", ("batch", 3, "height", "width"), step=8),
        Port("mask", ("batch", 1, "height", "width"), step=8),
        Port("condition", ("batch", len(THINGS) + 1, "height", "width"), step=8),
    )
)
"""Frames RGB in 0..1, holes, and `zones.planes`, to frames whose holes are filled."""


def editor(task: Task[Any], name: str, network: nn.Module) -> Form:
    """An editor, whose encoder says z of a DCGAN: the card names that by its SHA-256."""
    return replace(EDITOR, traits=file_trait("generator", task.settings.generator))
