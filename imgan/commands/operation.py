"""A command for every operation: its fields, and the options that all share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from imgan import terminal
from imgan.batch.job import FILES, Job
from imgan.errors import Failure, Misuse
from imgan.operations import Operation
from imgan.options import NO_DEFAULTS, fields_of, option, unfold
from imgan.stopping import stopping_on_signals
from imgan.tables import show
from imgan.terminal import say

if TYPE_CHECKING:
    from imgan.batch.run import Batch


SavePipeline = Annotated[
    Path | None,
    Option(
        "--save-pipeline",
        metavar="FILE.toml",
        help="Write a file by which `imgan run FILE.toml` repeats this on other pictures. Without "
        "an input that is all.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]


def command(
    kind: type[Operation], defaults: Mapping[str, Any] = NO_DEFAULTS
) -> Callable[..., None]:
    """The typer command of an operation; `defaults` of its options are a person's own."""
    without = set() if kind.source_type else {"no_provenance"}
    if not kind.inputs:
        without |= {"inputs", "from_file", "null", "recursive", "strict", "watch"}

    def run(job: Job, operation: Operation, save_pipeline: SavePipeline = None) -> None:
        taken, words = kind.take_words(job.inputs or [])
        job, operation = replace(job, inputs=words or None), _with_words(operation, taken, defaults)
        if save_pipeline is not None:
            save(operation, job, save_pipeline)
            if kind.inputs and not words and job.from_file is None:
                return
        execute(job, operation)

    def run_or_list(
        job: Job,
        operation: Operation,
        save_pipeline: SavePipeline = None,
        show_list: Annotated[bool, Option("--list", help="List what there is.")] = False,
    ) -> None:
        if show_list:
            list_values(operation, job.json)
        else:
            run(job, operation, save_pipeline)

    lists = kind.listing is not Operation.listing
    made = unfold(
        run_or_list if lists else run,
        without=without,
        defaults=defaults,
        job=Job,
        operation=kind,
    )
    made.__name__, made.__doc__ = kind.name, kind.__doc__
    return made


def save(operation: Operation, job: Job, path: Path) -> None:
    """Write the pipeline file of one step that repeats a command on other pictures.

    Raises Failure for a file that is there already, unless --overwrite says so.
    """
    from imgan.files import whole_file
    from imgan.pipeline import WRITING, to_toml

    operation.check()
    if job.dry_run:
        return
    defaults = {field.name: field.default for field in fields_of(Job)}
    output = {key: getattr(job, key) for key in WRITING if getattr(job, key) != defaults[key]}
    text = to_toml([operation], output, path.parent)
    try:
        with whole_file(path, job.overwrite) as file:
            file.write(text.encode())
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", code="unwritable") from error
    except Failure as failure:
        raise type(failure)(f"{path} {failure}", code=failure.code) from failure


def execute(job: Job, operation: Operation) -> None:
    """Run a job from the shell: signals, a bar, a line a result; raises Failure for what failed.

    SIGINT, SIGTERM and SIGHUP finish the files that are being written, start no other, and exit
    with 128 + the signal's number.
    """
    from imgan.batch.report import Report
    from imgan.batch.run import Batch

    terminal.quiet = job.quiet
    if job.watch and not job.dry_run:
        from imgan.batch.watch import watch

        with stopping_on_signals():
            watch(job, operation)
        return
    with stopping_on_signals(), Report(job, operation.name) as report:
        batch = Batch(job, operation, report)
        if job.dry_run:
            show_plan(batch)
            return
        outcomes = batch.run()
    report.close(outcomes)


def show_plan(batch: Batch) -> None:
    """Print what a run would do: inputs, outputs, what is there already, sizes, time and memory."""
    from imgan.batch.forecast import Summary, forecast
    from imgan.batch.worker import worker

    with worker() as work:
        forecasts: list[Summary] = []
        work(lambda: forecasts.append(forecast(batch)))
    (summary,) = forecasts
    if batch.job.json:
        for one in summary.forecasts:
            print(json.dumps({**one.line, **summary.facts}))
        return
    header = ["input", "output", "status", "size", "tiles", "time"]
    show(header, [one.row for one in summary.forecasts], bare=True)
    if not batch.job.quiet:
        say(summary.text)


def list_values(operation: Operation, as_json: bool) -> None:
    """Print what the operation lists of itself."""
    from imgan.models.store import Models

    listing = operation.listing(Models.installed())
    if as_json:
        for record in listing.records:
            print(json.dumps(record))
    else:
        show(listing.header, listing.rows, bare=True)
        if listing.note:
            say(listing.note)


def _with_words(
    operation: Operation, taken: dict[str, Any], defaults: Mapping[str, Any]
) -> Operation:
    """The operation with what was said among the inputs; Misuse where options say otherwise."""
    usual = {field.name: field.default for field in fields_of(type(operation))}
    for name, value in taken.items():
        given = getattr(operation, name)
        if given not in (usual[name], defaults.get(name), value):
            raise Misuse(f"{option(name)} {given} and {value} contradict each other: leave one out")
    return replace(operation, **taken) if taken else operation
