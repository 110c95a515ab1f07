"""A run: a folder with what was asked for (run.json), checkpoint, samples and log."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.options import option
from imgan.recipes import Recipe, Settings, resolve
from imgan.terminal import say
from imgan.training.loop import CHECKPOINT, Report, fit, load, start_from
from imgan.training.optim import processes
from imgan.training.task import Task
from imgan.training.weights import read_sources, sources

RECORD = "run.json"


@dataclass(frozen=True)
class Record:
    """What a run was asked for: enough to go on with it, and to export it."""

    recipe: str
    data: str
    settings: dict[str, Any]
    command: str
    """As cards tell it: every setting that is not the default, no person's folders."""

    @classmethod
    def of(
        cls, recipe: Recipe, data: Path, settings: Settings, init_from: str | None = None
    ) -> Record:
        """The record of a new run."""
        given = asdict(settings)
        usual = asdict(recipe.settings())
        words = ["imgan", "train", recipe.name, "--data", data.name, "--out", "RUN"]
        for name, value in given.items():
            if value != usual[name] and name not in ("checkpoint_every", "sample_every"):
                names = ",".join(Path(part).name for part in str(value).split(","))
                words += [option(name)] if value is True else [option(name), names]
        if init_from:
            pairs = sources(init_from)
            parts = (f"{network}={path.name}" if network else path.name for network, path in pairs)
            words += ["--init-from", ",".join(parts)]
        return cls(recipe.name, str(data.resolve()), given, " ".join(words))

    @classmethod
    def read(cls, run: Path) -> Record:
        """The record in a run's folder. Raises Failure when it is missing or damaged."""
        try:
            return cls(**json.loads((run / RECORD).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise Failure(f"{run}: no {RECORD} in it; is it the --out of `imgan train`?") from None
        except (OSError, ValueError, TypeError) as error:
            raise Failure(f"{run / RECORD} cannot be read: {error}") from None

    def write(self, run: Path) -> None:
        """Write the record, whole or not at all."""
        with whole_file(run / RECORD, overwrite=True) as file:
            file.write(json.dumps(asdict(self), indent=2).encode() + b"\n")

    def require(self, other: Record, run: Path) -> None:
        """Raise Misuse, naming the first difference, unless `other` asks for the same run, or for
        more steps of it."""
        mine, theirs = self._asked(), other._asked()
        for name in mine | theirs:
            longer = name == "--steps" and theirs[name] > mine[name]
            if mine.get(name) != theirs.get(name) and not longer:
                was, now = mine.get(name), theirs.get(name)
                raise Misuse(
                    f"{run} was begun with {name} {was}, not {now}: "
                    "give what it was begun with, or another --out"
                )

    def extended(self, steps: int) -> Record:
        """The record of the same run with more steps."""
        command = re.sub(r" --steps \d+", "", self.command) + f" --steps {steps}"
        return replace(self, settings={**self.settings, "steps": steps}, command=command)

    def _asked(self) -> dict[str, Any]:
        settings = {option(name): value for name, value in self.settings.items()}
        return {"recipe": self.recipe, "--data": self.data, **settings}


def train(
    recipe: Recipe,
    settings: Settings,
    data: Path,
    run: Path,
    *,
    init_from: str | None = None,
    threads: int | None = None,
) -> None:
    """Begin a run, or go on with the one that the folder holds; shows progress on a terminal.

    More steps than it was begun with extend a run; the learning rate follows the longer course
    from where it goes on.

    `init_from` is for the beginning: a run that has a checkpoint goes on from that. `threads` is
    PyTorch's number of CPU threads.

    Raises Misuse when the folder holds a run that was asked for otherwise, and what the recipe's
    task, `read_sources`, `start_from` and `fit` raise. Ctrl-C is a Failure that tells how to go on.
    """
    record = Record.of(recipe, data, settings, init_from)
    begun, longer = (run / CHECKPOINT).exists(), False
    if begun:
        former = Record.read(run)
        former.require(record, run)
        longer = settings.steps > former.settings["steps"]
        record = former.extended(settings.steps) if longer else former
    if threads:
        torch.set_num_threads(threads)
    with processes() as rank:
        # Every process begins with the same weights.
        torch.manual_seed(settings.seed)
        task: Task[Any] = resolve(recipe.entry)(data, settings)
        if init_from and not begun:
            fresh = start_from(task, read_sources(init_from, task.shipped))
            if fresh and rank == 0:
                print(f"imgan: {init_from} lacks {_some(fresh)}: they start anew", file=sys.stderr)
        if rank == 0:
            run.mkdir(parents=True, exist_ok=True)
            if not begun or longer:
                record.write(run)
        try:
            with _progress(run, settings.steps, visible=rank == 0) as report:
                fit(task, run, report=report)
        except KeyboardInterrupt:
            kept = (run / CHECKPOINT).exists()
            last = "the last checkpoint" if kept else "the beginning (there was no checkpoint yet)"
            raise Failure(f"stopped; the same command goes on from {last}") from None
        if rank == 0:
            say(f"finished; now `imgan export {run} -o FILE.onnx`")


def restore(recipe: Recipe, record: Record, run: Path) -> Task[Any]:
    """The task of a run as its checkpoint has it, on the CPU.

    Raises Failure when there is no checkpoint or the run has settings that the recipe lacks, and
    what the recipe's task raises.
    """
    checkpoint = run / CHECKPOINT
    if not checkpoint.exists():
        raise Failure(f"{run}: no {CHECKPOINT} in it yet; the same `imgan train` goes on with it")
    strange = record.settings.keys() - {field.name for field in fields(recipe.settings)}
    if strange:
        names = ", ".join(map(option, sorted(strange)))
        raise Failure(f"{run} was begun with settings that {recipe.name} does not have: {names}")
    task: Task[Any] = resolve(recipe.entry)(Path(record.data), recipe.settings(**record.settings))
    load(task, checkpoint)
    return task


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


@contextmanager
def _progress(run: Path, steps: int, visible: bool) -> Iterator[Report | None]:
    """A bar with the latest figures on a terminal, nothing elsewhere: the log is in the run."""
    if not visible or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(run.name, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=steps, figures="")

        def report(step: int, figures: dict[str, float]) -> None:
            line = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            progress.update(
                bar, completed=step, figures=line.replace("images_per_second", "images/s")
            )

        yield report
