"""What goes into the generator and what comes out; the `entry` of its exporter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from imgan.models.cards import Description
from imgan.training.task import Task
from imgan_exporters.onnx import Form, Parity, Port
from imgan_shapes.net import LATENT

_form = Form((Port("z", ("batch", LATENT), -2, 2),), ("occupancy",))
"""z to occupancy [N, 64, 64, 64] in 0..1."""


def generator(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """The generator; its card says which kind of shapes it learned, and how it computes."""
    s = task.settings
    traits: dict[str, float | str] = {"size": s.size, "mirror": str(s.mirror)}
    for name in ("kind", "pose"):
        if value := getattr(s, name):
            traits[name] = value
    known = replace(card, traits={**traits, **card.traits})
    return _form(task, target, known, network=network, half=half, overwrite=overwrite)
