"""What a network takes and what it gives: named by its recipe, for whatever writes it as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from imgan.models.cards import Description
from imgan.plugins import exporter
from imgan.recipes import Recipe, resolve
from imgan.training.task import Task

BATCHES = ("batch", "pictures")


@dataclass(frozen=True)
class Port:
    """An input: its name, its shape with dynamic axes by name, and the range of its values.

    The axes are called "batch", "height" and "width"; and "pictures", a second batch of a size of
    its own, where one file holds two networks.
    """

    name: str
    shape: tuple[int | str, ...]
    low: float = 0.0
    high: float = 1.0
    step: int = 1
    """Dynamic heights and widths are multiples of this."""


@dataclass(frozen=True)
class Form:
    """The inputs of a network, in the order of its `forward`, and the names of its outputs."""

    inputs: tuple[Port, ...]
    outputs: tuple[str, ...] = ("output",)
    magnitude: float = 1.0
    """How large values come out: rounding grows with them, and differences are in parts of it."""
    traits: Mapping[str, float | str] = field(default_factory=dict)
    """What the card of the network has to say of it."""


Ports = Form | Callable[[Task[Any], str, nn.Module], Form]
"""What `Recipe.ports` names: a form, or what makes one of a task that is trained, the name of the
product that is written, and the product."""


def export(
    recipe: Recipe,
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Any:
    """Write what a task has trained by the exporter for files of that suffix; what it gives is to
    be printed. Traits of the form go into the card, unless the card states them.

    Raises Misuse for a `network` that the task has not, and what `exporter` and the exporter raise.
    """
    writing = exporter(target)
    name = task.chosen(network)
    product = task.product(network)
    ports: Ports = resolve(recipe.ports)
    form = ports if isinstance(ports, Form) else ports(task, name, product)
    known = replace(card, traits={**form.traits, **card.traits})
    write = resolve(writing.entry)
    return write(product, form, target, known, half=half, overwrite=overwrite)
