"""What people and scripts see of a batch: a bar, a line a result, JSON, the failures at the end."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

from imgan.batch.job import Job
from imgan.batch.plan import Plan
from imgan.batch.run import ALREADY_DONE, DONE, FAILED, SKIPPED, Listener, Outcome
from imgan.errors import Failure
from imgan.terminal import looks_on

if TYPE_CHECKING:
    from rich.progress import Progress

LONG = 10
"""Seconds after which a command without a terminal says once what it does."""


class NothingToWorkOn(Failure):
    """Every picture was skipped. Exit code 3."""

    exit_code = 3
    code = "skipped"


class Report(Listener):
    """A batch on the standard streams, as a context."""

    def __init__(self, job: Job, name: str) -> None:
        self.job = job
        self.name = name
        self.plan = Plan(())
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.lines = sys.stdout if job.json else None
        self.bar: Progress | None = None
        self.waiting = threading.Timer(LONG, self._say_what_is_done)
        self.waiting.daemon = True

    def __enter__(self) -> Self:
        return self

    def start(self, plan: Plan) -> None:
        self.plan = plan
        if self.job.json and any(task.target is None for task in plan.tasks):
            self.lines = sys.stderr
        if self.job.quiet:
            return
        if not looks_on(sys.stderr):
            self.waiting.start()
        elif not looks_on(self.lines):
            self.bar = _bar(len(plan.tasks))
            self.bar_task = self.bar.add_task(self.name, total=len(plan.tasks))
            self.bar.start()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.waiting.cancel()
        if self.bar is not None:
            self.bar.stop()
        if kind is SystemExit:
            piping = any(task.piped for task in self.plan.tasks)
            self.say("stopped" + ("" if piping else "; the same command goes on where this ended"))

    def say(self, line: str) -> None:
        self._print(f"imgan: {line}")

    def _print(self, line: str) -> None:
        """A line on standard error, above the bar."""
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        elif sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)

    def within(self, share: float) -> None:
        if self.bar is not None:
            self.bar.update(self.bar_task, completed=self.counts.total() + share)

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        for note in outcome.notes:
            self.say(f"{outcome.task.name}: {note}")
        if outcome.status == FAILED or (outcome.status == SKIPPED and self.job.strict):
            self.failures.append(f"{outcome.task.name}: {outcome.error}")
        elif outcome.status == SKIPPED and len(self.plan.tasks) > 1:
            self.say(f"{outcome.task.name}: skipped: {outcome.error}")
        if self.lines is not None:
            print(json.dumps(outcome.line), file=self.lines, flush=True)
        elif not self.job.quiet and outcome.status in (DONE, ALREADY_DONE):
            self._say_where(outcome)
        if self.bar is not None:
            self.bar.update(self.bar_task, completed=self.counts.total())

    def _say_where(self, outcome: Outcome) -> None:
        if outcome.task.target is None:
            return
        source = f"{outcome.task.name} -> " if outcome.task.sources else ""
        more = "" if outcome.status == DONE else f" ({outcome.status})"
        if self.job.verbose:
            facts = ", ".join(f"{key} {value}" for key, value in outcome.facts.items())
            more += f" ({outcome.seconds:.2f} s{', ' if facts else ''}{facts})"
        self._print(f"{source}{outcome.task.output}{more}")

    def _say_what_is_done(self) -> None:
        count = len(self.plan.tasks)
        self.say(f"{self.name}: working on {'a picture' if count == 1 else f'{count} pictures'}")

    def close(self, outcomes: list[Outcome]) -> None:
        """The sum, on a terminal. What failed is listed, and raised as one Failure."""
        if not self.job.quiet:
            sums = [f"{count} {status}" for status, count in self.counts.items()]
            if not looks_on(sys.stderr):  # scripts have the lines, of each picture
                sums = []
            if self.plan.passed_over:
                others = "other file" if self.plan.passed_over == 1 else "other files"
                sums.append(f"{self.plan.passed_over} {others} passed over")
            if sums:
                self.say(", ".join(sums))
        if not self.failures:
            if self.plan.unlisted:
                raise Failure(f"{len(self.plan.unlisted)} folders cannot be read")
            if outcomes and self.counts[SKIPPED] == len(outcomes):
                raise NothingToWorkOn(self._skipped(outcomes))
            return
        if len(self.plan.tasks) == 1:
            raise Failure(self.failures[0])
        for failure in self.failures:
            self.say(failure)
        raise Failure(f"{len(self.failures)} of {len(self.plan.tasks)} pictures failed")

    def _skipped(self, outcomes: list[Outcome]) -> str:
        if len(outcomes) > 1:
            return f"all {len(outcomes)} pictures were skipped"
        return f"{outcomes[0].task.name}: {outcomes[0].error}"


def _bar(count: int) -> Progress:
    """A bar for so many pictures. rich is imported for it alone: scripts have no use for it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if count > 1 else TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it would send the JSON lines to standard error
    )
