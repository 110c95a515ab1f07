"""Pictures in, pictures out: decode, run and encode at the same time, around one warm session."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from imgan.batch.job import Job, Operation
from imgan.batch.plan import Plan, Task, make_plan, with_receipts
from imgan.batch.resume import Ledger, fingerprint
from imgan.errors import Failure, reason
from imgan.files import digest, whole_file
from imgan.images import Picture, format_of, open_picture, save_picture

if TYPE_CHECKING:
    from imgan.batch.job import Process

DEPTH = 4  # pictures decoded ahead, and results waiting to be encoded, at most ...
AHEAD = 256 * 2**20  # ... and the bytes of either; a larger picture goes through alone
PIPE_FORMAT = "png"  # keeps every bit, alpha, profile and EXIF between two commands

DONE, ALREADY_DONE, FAILED = "done", "already done", "failed"


def run(job: Job, operation: Operation) -> None:
    """Do `operation` on every picture of `job`.

    The plan is made first: Misuse, and nothing written, where names clash. A picture that fails is
    listed at the end and the others go on; Failure is raised then. SIGINT and SIGTERM finish the
    files that are being written, start no other, and exit with 128 + the signal's number.
    """
    plan = make_plan(job, operation.suffix)
    if operation.receipt is not None:
        plan = with_receipts(plan, operation.receipt)
    with _stopping_on_signals(), Report(job, operation, plan) as report:
        ledger = Ledger()
        _work(plan.tasks, job, operation, ledger, report)
        if ledger.trouble:
            report.say(f"what is finished cannot be remembered: {ledger.trouble}")
    report.close()


@dataclass
class Item:
    """A picture on its way: from `read` through the operation to `write`."""

    task: Task
    picture: Picture | None = None
    """None before it is read, when it is written, and when there is nothing (more) to do."""
    made_from: str = ""
    status: str = FAILED
    notes: tuple[str, ...] = ()
    """What was noticed while it was opened and saved."""
    facts: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    @property
    def nbytes(self) -> int:
        picture = self.picture
        if picture is None:
            return 0
        return picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)

    @property
    def line(self) -> dict[str, object]:
        """What is known of the picture, for scripts."""
        return {
            "input": self.task.input,
            "output": self.task.output,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            **self.facts,
        }

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Time a stage; what goes wrong in it ends this picture and not the batch."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            self.picture, self.status = None, FAILED
            self.error = reason(error).removeprefix(f"{self.task.name}: ")
        finally:
            self.seconds += time.perf_counter() - started


def _work(
    tasks: Sequence[Task], job: Job, operation: Operation, ledger: Ledger, report: Report
) -> None:
    # Pipes are read and written here, not in a thread: one that hangs there could not be stopped.
    piped = sys.stdin.buffer.read() if any(task.source is None for task in tasks) else b""
    read = partial(_read, piped=piped, job=job, operation=operation, ledger=ledger)
    write = partial(_write, job=job, ledger=ledger)
    process: Process | None = None
    writing: deque[tuple[Item, Future[None]]] = deque()
    with _threads() as readers, _threads() as writers:
        for item in _read_ahead(readers, read, tasks):
            if item.picture is not None:
                if process is None:
                    process = operation.start()
                with item.stage():
                    item.picture, item.facts = process(item.picture)
                    item.notes = tuple(dict.fromkeys((*item.notes, *item.picture.source.notes)))
            if item.task.target is None:
                write(item)
                report.add(item)
                continue
            writing.append((item, writers.submit(write, item)))
            while writing and (_crowded(writing) or writing[0][1].done()):
                _settle(writing, report)
        while writing:
            _settle(writing, report)


def _read_ahead(
    pool: ThreadPoolExecutor, read: Callable[[Task], Item], tasks: Sequence[Task]
) -> Iterator[Item]:
    """The tasks' pictures in order, with the next ones decoded meanwhile.

    How many is reckoned from the size of the latest; at first it is one.
    """
    remaining = iter(tasks)
    ahead = deque(pool.submit(read, task) for task in islice(remaining, 1))
    while ahead:
        item = ahead.popleft().result()
        depth = max(1, min(DEPTH, AHEAD // max(1, item.nbytes)))
        ahead += [pool.submit(read, task) for task in islice(remaining, max(0, depth - len(ahead)))]
        yield item


def _read(task: Task, piped: bytes, job: Job, operation: Operation, ledger: Ledger) -> Item:
    item = Item(task)
    with item.stage():
        source = piped if task.source is None else task.source
        item.made_from = fingerprint(digest(source), job, operation)
        if task.target is not None and task.target.exists() and not job.overwrite:
            if not ledger.holds(task.target, item.made_from):
                raise Failure(f"{task.target} exists; --overwrite to replace")
            if task.receipt is not None and not task.receipt.exists():
                raise Failure(
                    f"{task.target} exists without {task.receipt}; --overwrite makes both"
                )
            item.status = ALREADY_DONE
        elif task.receipt is not None and task.receipt.exists() and not job.overwrite:
            raise Failure(f"{task.receipt} exists; --overwrite to replace")
        else:
            picture = open_picture(source, task.name)
            format_of(task.target, job.format or picture.source.format)  # refused before the work
            item.picture, item.notes = picture, picture.source.notes
    return item


def _write(item: Item, job: Job, ledger: Ledger) -> None:
    # The receipt takes its name after the picture: neither is there without the other.
    with item.stage(), ExitStack() as stack:
        if item.picture is None:
            return
        if item.task.receipt is not None:
            _write_receipt(item, item.task.receipt, job.overwrite, stack)
        target = item.task.target
        save = partial(
            save_picture,
            item.picture,
            quality=job.quality,
            strip_metadata=job.strip_metadata,
            overwrite=job.overwrite,
        )
        if target is None:
            item.notes += _to_stdout(partial(save, format=job.format or PIPE_FORMAT))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            item.notes += save(target, format=job.format)
            ledger.record(target, item.made_from)
        item.picture, item.status = None, DONE


def _write_receipt(item: Item, path: Path, overwrite: bool, stack: ExitStack) -> None:
    known = {key: value for key, value in item.line.items() if key != "status"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(whole_file(path, overwrite))
        file.write((json.dumps(known, indent=2) + "\n").encode())
    except Failure as failure:
        raise Failure(f"{path} {failure}") from failure
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error


def _to_stdout(save: Callable[[BinaryIO], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return save(sys.stdout.buffer)
    except Failure as failure:
        if isinstance(failure.__cause__, BrokenPipeError):
            # What is left in the buffer would make Python complain when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _crowded(writing: Sequence[tuple[Item, Future[None]]]) -> bool:
    return len(writing) > DEPTH or sum(item.nbytes for item, _ in writing) > AHEAD


def _settle(writing: deque[tuple[Item, Future[None]]], report: Report) -> None:
    item, written = writing.popleft()
    written.result()
    report.add(item)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that finish what they are at, and nothing more, when the block is left early."""
    pool = ThreadPoolExecutor(DEPTH)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """SIGINT and SIGTERM become SystemExit, so that every block is left in order.

    A second one ends the process at once; a hidden temporary file may then stay behind.
    """

    def stop(number: int, frame: object) -> None:
        for heeded in former:
            signal.signal(heeded, lambda number, frame: os._exit(128 + number))
        raise SystemExit(128 + number)

    former: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for heeded in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(heeded) is not signal.SIG_IGN:  # as under nohup
                former[heeded] = signal.signal(heeded, stop)
    try:
        yield
    finally:
        for heeded, handler in former.items():
            signal.signal(heeded, handler)


class Report:
    """What people and scripts see: a bar, notes, JSON lines, and the failures at the end."""

    def __init__(self, job: Job, operation: Operation, plan: Plan) -> None:
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.console = Console(stderr=True)
        self.piping = any(task.target is None for task in plan.tasks)
        self.lines = (sys.stderr if self.piping else sys.stdout) if job.json else None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            redirect_stdout=False,  # it would send the JSON lines to standard error
            disable=not sys.stderr.isatty() or (self.lines is not None and self.lines.isatty()),
        )
        self.bar_task = self.bar.add_task(operation.name, total=len(plan.tasks))
        if operation.meter is not None:
            operation.meter.listener = self.within

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.bar.stop()
        if kind is SystemExit:
            more = "" if self.piping else "; the same command goes on where this one ended"
            self.say(f"stopped{more}")

    def say(self, line: str) -> None:
        self.console.print(
            f"imgan: {line}", markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def within(self, share: float) -> None:
        """The present picture is done by this share."""
        self.bar.update(self.bar_task, completed=self.counts.total() + share)

    def add(self, item: Item) -> None:
        """A picture that has come to its end."""
        self.counts[item.status] += 1
        for note in item.notes:
            self.say(f"{item.task.name}: {note}")
        if item.status == FAILED:
            self.failures.append(f"{item.task.name}: {item.error}")
        if self.lines is not None:
            line = item.line
            if item.status == FAILED:
                line["error"] = item.error
            print(json.dumps(line), file=self.lines, flush=True)
        self.bar.update(self.bar_task, completed=self.counts.total())

    def close(self) -> None:
        """The sum, on a terminal, and the failures, which are raised as one Failure."""
        if sys.stderr.isatty():
            sums = [f"{count} {status}" for status, count in self.counts.items()]
            if self.plan.passed_over:
                others = "other file" if self.plan.passed_over == 1 else "other files"
                sums.append(f"{self.plan.passed_over} {others} passed over")
            self.say(", ".join(sums))
        if not self.failures:
            return
        if len(self.plan.tasks) == 1:
            raise Failure(self.failures[0])
        for failure in self.failures:
            self.say(failure)
        raise Failure(f"{len(self.failures)} of {len(self.plan.tasks)} pictures failed")
