"""`imgan train`: a command for every recipe that plugins bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from imgan.options import fields_of, unfold
from imgan.recipes import Recipe, Settings, resolve

if TYPE_CHECKING:
    from imgan.plugins import Registry


@dataclass(frozen=True)
class Place:
    """What every training needs beside its recipe's settings."""

    data: Annotated[
        Path, Option(exists=True, file_okay=False, metavar="DIR", help="The training pictures.")
    ]
    out: Annotated[
        Path,
        Option(
            "--out",
            "-o",
            file_okay=False,
            metavar="RUN",
            help="A folder for checkpoint, sample sheets and log. A run that was cut off "
            "there goes on from its checkpoint.",
        ),
    ]
    init_from: Annotated[
        str | None,
        Option(
            metavar="RUN|FILE",
            help="Start from the weights of a run, a .safetensors or an .onnx file. Of several "
            "networks each may have its own: forward=FILE,backward=FILE.",
            show_default=False,
        ),
    ] = None
    threads: Annotated[
        int | None,
        Option(min=1, help="CPU threads. Default: PyTorch's choice.", show_default=False),
    ] = None


SHARED = {field.name: "Options of every recipe" for field in fields_of(Settings)}
"""Where options that all recipes have stand in the help: below those of the one."""


def group(found: Registry) -> typer.Typer:
    """The command group `train`, one command for each recipe."""
    app = typer.Typer(
        no_args_is_help=True,
        help='Train a network on your own pictures; needs: pip install "imgan[train]".\n\n'
        "Several processes: torchrun --nproc-per-node 2 --no-python imgan train ...",
    )
    for name, recipe in sorted(found.recipes.items()):
        app.command(name, help=f"{recipe.summary}\n\nDIR: {recipe.data}")(
            unfold(_command(recipe), panels=SHARED, place=Place, settings=recipe.settings)
        )
    return app


def _command(recipe: Recipe) -> Callable[..., None]:
    def train(place: Place, settings: Settings) -> None:
        # By name, so that a missing torch is a sentence and not a traceback.
        resolve("imgan.training.run:train")(
            recipe,
            settings,
            place.data,
            place.out,
            init_from=place.init_from,
            threads=place.threads,
        )

    return train
