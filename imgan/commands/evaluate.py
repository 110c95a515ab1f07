"""`imgan evaluate`: a command for every evaluation that plugins bring."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from imgan.errors import Failure, Misuse
from imgan.files import whole_file
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


_Data = Annotated[Path, Option(exists=True, file_okay=False, metavar="DIR", help="The pictures.")]
_Model = Annotated[
    str | None,
    Option(help="A model from `imgan models`. Default: the operation's own.", show_default=False),
]
_Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")]
_Picture = Annotated[
    Path | None,
    Option(metavar="FILE", help="Draw what is measured, as a PNG.", show_default=False),
]
_Json = Annotated[bool, Option("--json", help="Print one JSON line a row.")]


def _command(evaluation: Evaluation) -> Callable[..., None]:
    def evaluate(
        data: _Data, model: _Model = None, device: _Device = "auto", json: _Json = False
    ) -> None:
        header, rows = resolve(evaluation.entry)(data, model, device)
        _print(header, rows, json)

    def draw(
        data: _Data,
        model: _Model = None,
        device: _Device = "auto",
        json: _Json = False,
        picture: _Picture = None,
    ) -> None:
        if picture is not None:
            _require_new(picture)
        header, rows, pixels = resolve(evaluation.entry)(data, model, device)
        _print(header, rows, json)
        if picture is not None:
            from PIL import Image

            with whole_file(picture, overwrite=False) as file:
                Image.fromarray(pixels).save(file, "PNG")

    return draw if evaluation.draws else evaluate


def _require_new(picture: Path) -> None:
    """Before anything is measured. Raises Misuse and Failure."""
    if picture.suffix.lower() != ".png":
        raise Misuse(f"--picture {picture}: end it with .png")
    if picture.exists():
        raise Failure(f"{picture} exists: name another --picture")


def _print(header: Sequence[str], rows: Sequence[Sequence[str]], json: bool) -> None:
    if not json:
        show(header, rows)
        return
    for row in rows:
        print(jsonlib.dumps(dict(zip(header, row, strict=True))))
