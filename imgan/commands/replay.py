"""`imgan replay`: what was done to one picture, on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.options import NO_DEFAULTS, unfold
from imgan.pipeline import with_output
from imgan.terminal import say


@dataclass(frozen=True)
class _Result:
    result: Annotated[Path, Argument(metavar="RESULT", help="A picture written with --embed.")]
    on: Annotated[
        list[str] | None,
        Option(metavar="INPUT", help="A picture or folder; several times for several."),
    ] = None


def command(defaults: Mapping[str, Any] = NO_DEFAULTS) -> Callable[..., None]:
    """The typer command; `defaults` of its options are a person's own."""

    def replay(result: _Result, job: Job) -> None:
        """Do to other pictures what was done to one: `imgan replay done.jpg --on photo.jpg`.

        It is refused where the networks, plugins or pictures that had a say are not the same.
        """
        from imgan.embedding import read_statement

        pipeline, output, notes = read_statement(result.result)
        for note in notes:
            say(f"{result.result}: {note}")
        execute(with_output(replace(job, inputs=result.on), output, defaults), pipeline)

    return unfold(replay, without={"inputs"}, defaults=defaults, result=_Result, job=Job)
