"""Everything that a plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy
import typer

from imgan.models.cards import ModelCard
from imgan.operations import Operation
from imgan.recipes import Evaluation, Exporter, Importer, Recipe

hookspec = pluggy.HookspecMarker("imgan")
hookimpl = pluggy.HookimplMarker("imgan")


@hookspec
def register_operations() -> Iterable[type[Operation]]:  # type: ignore[empty-body]
    """What is done to pictures, or makes some: `imgan NAME`, and in Python `imgan.NAME(...)`."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands of another kind to `imgan`: `app.command()(function)`."""


@hookspec
def register_models() -> Iterable[ModelCard]:  # type: ignore[empty-body]
    """The cards of the weights that the plugin ships or knows where to fetch."""


@hookspec
def register_recipes() -> Iterable[Recipe]:  # type: ignore[empty-body]
    """What `imgan train NAME` can train."""


@hookspec
def register_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """The kinds of files that `imgan export` writes."""


@hookspec
def register_importers() -> Iterable[Importer]:  # type: ignore[empty-body]
    """Which files of other programs `imgan models add` reads."""


@hookspec
def register_evaluations() -> Iterable[Evaluation]:  # type: ignore[empty-body]
    """What `imgan evaluate NAME` can measure."""


@hookspec(firstresult=True)
def locate_model(card: ModelCard) -> Path | None:
    """Where a card's file lies, for plugins that keep weights elsewhere; None passes it on."""
