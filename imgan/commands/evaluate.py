"""`imgan evaluate`: a command for every evaluation that plugins bring."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from imgan.recipes import Evaluation, resolve
from imgan.tables import show

if TYPE_CHECKING:
    from imgan.plugins import Registry


def group(found: Registry) -> typer.Typer:
    """The command group `evaluate`, one command for each evaluation."""
    app = typer.Typer(no_args_is_help=True, help="Measure models on your own pictures.")
    for name, evaluation in sorted(found.evaluations.items()):
        app.command(name, help=evaluation.summary)(_command(evaluation))
    return app


def _command(evaluation: Evaluation) -> Callable[..., None]:
    def evaluate(
        data: Annotated[
            Path, Option(exists=True, file_okay=False, metavar="DIR", help="The pictures.")
        ],
        model: Annotated[
            str | None,
            Option(
                help="A model from `imgan models`. Default: the operation's own.",
                show_default=False,
            ),
        ] = None,
        device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
        json: Annotated[bool, Option("--json", help="Print one JSON line a row.")] = False,
    ) -> None:
        header, rows = resolve(evaluation.entry)(data, model, device)
        if json:
            for row in rows:
                print(jsonlib.dumps(dict(zip(header, row, strict=True))))
        else:
            show(header, rows)

    return evaluate
