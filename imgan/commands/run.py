"""`imgan run`: the steps of a pipeline file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Misuse
from imgan.options import NO_DEFAULTS, unfold
from imgan.pipeline import EXAMPLE, load, with_output

HELP = """Several operations in a row, in memory: `imgan run pipeline.toml photo.jpg dir/`.

Each picture is read once, goes through all steps, and is written once; networks stay loaded. A step
that fails ends that picture and names the step.
"""


@dataclass(frozen=True)
class _File:
    pipeline: Annotated[
        Path | None,
        Argument(
            metavar="PIPELINE",
            help="A TOML file of steps; --example prints one, --save-pipeline of other commands "
            "writes one.",
            show_default=False,
        ),
    ] = None
    example: Annotated[bool, Option("--example", help="Print a pipeline file.")] = False


def command(defaults: Mapping[str, Any] = NO_DEFAULTS) -> Callable[..., None]:
    """The typer command; `defaults` of its options are a person's own."""

    def run(file: _File, job: Job) -> None:
        if file.example:
            print(EXAMPLE, end="")
            return
        if file.pipeline is None:
            raise Misuse("name a pipeline file; `imgan run --example` prints one")
        pipeline, output = load(file.pipeline)
        execute(with_output(job, output, defaults), pipeline)

    made = unfold(run, defaults=defaults, file=_File, job=Job)
    made.__doc__ = HELP
    return made
