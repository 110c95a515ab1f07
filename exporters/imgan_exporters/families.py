"""What goes in and out of each family of networks. Every function is the `entry` of exporters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgan.cards import Description
from imgan.training.task import Task
from imgan_exporters.onnx import Form, Parity, Port, write

FACE = Port("face", ("batch", 3, 64, 64), -1, 1)


def picture(
    task: Task[Any], target: Path, card: Description, *, half: bool, overwrite: bool
) -> Parity:
    """Pictures of any size to pictures, RGB 0..1: upscalers."""
    form = Form((Port("input", ("batch", 3, "height", "width")),))
    return write(task.product(), form, target, card, half=half, overwrite=overwrite)


def generator(
    task: Task[Any], target: Path, card: Description, *, half: bool, overwrite: bool
) -> Parity:
    """DCGAN's z [N, 100] to faces [N, 3, 64, 64] in -1..1."""
    form = Form((Port("input", ("batch", 100), -2, 2),))
    return write(task.product(), form, target, card, half=half, overwrite=overwrite)


def editor(
    task: Task[Any], target: Path, card: Description, *, half: bool, overwrite: bool
) -> Parity:
    """Faces and the change of their 40 attributes to the faces, rebuilt and edited."""
    form = Form((FACE, Port("change", ("batch", 40), -1, 1)), ("reconstruction", "edited"))
    return write(task.product(), form, target, card, half=half, overwrite=overwrite)


def classifier(
    task: Task[Any], target: Path, card: Description, *, half: bool, overwrite: bool
) -> Parity:
    """Faces to 40 logits."""
    form = Form((Port("input", FACE.shape, FACE.low, FACE.high),))
    return write(task.product(), form, target, card, half=half, overwrite=overwrite)
