"""Pictures in, pictures out: decode, run and encode at the same time, around one warm session."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, overload

from imgan.batch.job import Job
from imgan.batch.plan import Plan, Task, make_plan
from imgan.batch.resume import Finished, fingerprint, recipe
from imgan.batch.worker import worker
from imgan.errors import Failure, Misuse, Skip, reason, show_traceback
from imgan.files import SameThere, digest, make_folder, sweep, whole_file
from imgan.images import Picture, format_of, open_picture, save_picture
from imgan.models.store import Models
from imgan.operations import Meter, Operation, Process, Product, Result, Runtime, Takes
from imgan.remote import is_remote

DEPTH = 4  # pictures decoded ahead, and results waiting to be encoded, at most ...
AHEAD = 256 * 2**20  # ... and the bytes of either; a larger picture goes through alone
PIPE_FORMAT = "png"  # keeps every bit, alpha, profile and EXIF between two commands

DONE, ALREADY_DONE, SKIPPED, FAILED = "done", "already done", "skipped", "failed"


TO_DO, TO_REPLACE, STAYS = "to do", "to be replaced", "exists, and stays"
"""What a dry run says of a result that is not there, or not from this."""


class Stopped(BaseException):
    """The work on a picture was given up, at a tile or a step, since the batch is to end."""


@dataclass
class Outcome:
    """A result on its way: from `read` through the operation to `write`."""

    task: Task
    status: str = FAILED
    """"done", "already done", "skipped" or "failed"."""
    notes: tuple[str, ...] = ()
    """What was noticed while the picture was opened, worked on and saved."""
    facts: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    error_code: str = ""
    """Why it failed or was skipped, as `imgan.errors.Failure.code`."""
    picture: Picture | Product | None = None
    """None before it is read, when it is written, and when there is nothing (more) to do."""
    extras: Mapping[Path, Picture | Product] = field(default_factory=dict)
    made_from: str = ""
    ready: bool = False
    """Whether it is read and there is something to do."""

    @property
    def nbytes(self) -> int:
        picture = self.picture
        if not isinstance(picture, Picture):
            return 0
        return picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)

    @property
    def line(self) -> dict[str, object]:
        """What is known of the picture, for scripts."""
        error = {"error": self.error, "error_code": self.error_code} if self.error else {}
        return {
            "input": self.task.input,
            "output": self.task.output,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            **self.facts,
            **error,
        }

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Time a stage; what goes wrong in it ends this picture and not the batch."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            show_traceback(error)
            self.picture, self.ready = None, False
            self.status = SKIPPED if isinstance(error, Skip) else FAILED
            self.error = reason(error).removeprefix(f"{self.task.name}: ")
            self.error_code = error.code if isinstance(error, Failure) else Failure.code
        finally:
            self.seconds += time.perf_counter() - started


class Listener:
    """Hears how a batch goes; this one keeps it to itself."""

    def start(self, plan: Plan) -> None:
        """The plan is good, and the work begins."""

    def within(self, share: float) -> None:
        """The present picture is done by this share, 0..1."""

    def add(self, outcome: Outcome) -> None:
        """A result has come to its end."""

    def say(self, line: str) -> None:
        """What concerns the batch as a whole."""


class Batch:
    """One run of an operation over the inputs of a job.

    The plan is made first: Misuse, and nothing written, where names clash or options contradict
    each other. A picture that fails does not keep the others from being done. When it is
    interrupted, by any exception, the files that are being written are finished and no other is
    begun.
    """

    def __init__(
        self, job: Job, operation: Operation, listener: Listener, plan: Plan | None = None
    ) -> None:
        """`plan` is what is to be done first, where that is not what the job names."""
        self.job = job
        self.operation = operation
        self.listener = listener
        self.stopping = False
        operation.check()
        models = Models.installed()
        self.runtime = Runtime(
            device=job.device,
            models=models,
            meter=Meter(self._within),
            measured=job.json or job.receipt is not None,
        )
        self.finished = Finished()
        self.recipe = recipe(job, operation, models)
        self.statement = _statement(job, operation, models)
        self.opened: Process | None = None
        """Once there was a first picture to work on."""
        self.plan = self._planned() if plan is None else plan
        self._refuse_pipes_elsewhere()
        self._refuse_side_files()

    def run(self) -> list[Outcome]:
        """Work through the plan; returns what became of each picture, in order."""
        self._sweep()
        self.listener.start(self.plan)
        outcomes: list[Outcome] = []
        for outcome in self._work() if self.job.ray is None else self._work_elsewhere():
            outcomes.append(outcome)
            self.listener.add(outcome)
        if self.job.ray is not None:
            place = {task: number for number, task in enumerate(self.plan.tasks)}
            outcomes.sort(key=lambda outcome: place[outcome.task])
        for trouble in self.plan.unlisted:
            self.listener.say(trouble)
        if self.finished.trouble:
            self.listener.say(f"what is finished cannot be remembered: {self.finished.trouble}")
        return outcomes

    def do(self, task: Task) -> Outcome:
        """One task from its beginning to its end, in this thread."""
        outcome = self._read(task, b"")
        if outcome.ready:
            self._work_on(outcome)
        self._write(outcome)
        return outcome

    def status(self, task: Task) -> str:
        """What a run would do with a task, in words for --dry-run. Reads its inputs."""
        if task.target is None or not task.target.exists():
            return TO_DO
        if self.is_finished(task):
            return ALREADY_DONE
        return TO_REPLACE if self.job.overwrite else STAYS

    def _within(self, share: float) -> None:
        if self.stopping:
            raise Stopped
        self.listener.within(share)

    def _refuse_side_files(self) -> None:
        for file in self.operation.side_files():
            if file.exists() and not self.job.overwrite:
                raise Failure(f"{file} exists; --overwrite to replace", code="exists")

    def _refuse_pipes_elsewhere(self) -> None:
        if self.job.workers is not None and self.job.ray is None:
            raise Misuse("--workers is for --ray")
        if self.job.ray is not None and any(task.piped for task in self.plan.tasks):
            raise Misuse("--ray takes files: a pipe stays on this machine")

    def _planned(self) -> Plan:
        """The plan; where its names are taken by this operation's results with other settings, with
        names that tell the settings."""
        plan = make_plan(self.job, self.operation, self.is_finished)
        chosen = self.job.output is not None or self.job.name is not None or self.job.overwrite
        none_else = self.operation.suffix_in_full == self.operation.suffix
        if chosen or none_else or not any(self._is_another(task) for task in plan.tasks):
            return plan
        return make_plan(self.job, self.operation, self.is_finished, in_full=True)

    def _is_another(self, task: Task) -> bool:
        return (
            task.target is not None
            and not task.piped
            and task.target.exists()
            and self.finished.holds_another(task.target, self.recipe)
        )

    def is_finished(self, task: Task) -> bool:
        """Whether the very result of a task is there."""
        if task.target is None or task.piped or not task.target.exists():
            return False
        try:
            inputs = [digest(source) for source in task.sources if source is not None]
        except (OSError, Failure):
            return False
        made_from = fingerprint(self.recipe, inputs, task.number)
        return self.finished.holds(task.target, made_from)

    def _sweep(self) -> None:
        for folder in {task.target.parent for task in self.plan.tasks if task.target is not None}:
            sweep(folder)

    def _work(self) -> Iterator[Outcome]:
        """The outcomes, in order, as they come to their ends."""
        # Pipes are read and written here, not in a thread: one that hangs there could not be
        # stopped.
        piped = any(None in task.sources for task in self.plan.tasks)
        read = partial(self._read, piped=sys.stdin.buffer.read() if piped else b"")
        writing: deque[tuple[Outcome, Future[None]]] = deque()
        with _threads() as readers, _threads() as writers, worker() as work:
            try:
                for outcome in _read_ahead(readers, read, self.plan.tasks):
                    if outcome.ready:
                        work(partial(self._work_on, outcome))
                    if outcome.task.target is None:
                        self._write(outcome)
                        yield outcome
                        continue
                    writing.append((outcome, writers.submit(self._write, outcome)))
                    while writing and (_crowded(writing) or writing[0][1].done()):
                        yield _settled(writing)
                while writing:
                    yield _settled(writing)
            except BaseException:
                self.stopping = True
                raise

    def _work_elsewhere(self) -> Iterator[Outcome]:
        """The outcomes, in the order in which workers on Ray come to the end of them."""
        from imgan.batch.cluster import Cluster

        with _threads() as readers, Cluster(self) as cluster:
            yield from cluster.outcomes(_read_ahead(readers, self._look, self.plan.tasks))

    def _look(self, task: Task) -> Outcome:
        """What is known of a task by what lies there: final, or ready for a worker."""
        there = [path for path in (task.target, task.receipt) if path is not None and path.exists()]
        if there and not self.job.overwrite:
            return self._read(task, b"")
        return Outcome(task, ready=True)

    def _read(self, task: Task, piped: bytes) -> Outcome:
        outcome = Outcome(task)
        job = self.job
        with outcome.stage():
            sources = [_once(source, piped) for source in task.sources]
            outcome.made_from = fingerprint(
                self.recipe, [digest(source) for source in sources], task.number
            )
            if task.target is not None and task.target.exists() and not job.overwrite:
                if not self.finished.holds(task.target, outcome.made_from):
                    raise Failure(f"{task.target} exists; --overwrite to replace", code="exists")
                if task.receipt is not None and not task.receipt.exists():
                    raise Failure(
                        f"{task.target} exists without {task.receipt}; --overwrite makes both",
                        code="exists",
                    )
                outcome.status = ALREADY_DONE
                return outcome
            if task.receipt is not None and task.receipt.exists() and not job.overwrite:
                raise Failure(f"{task.receipt} exists; --overwrite to replace", code="exists")
            if self.operation.takes is Takes.EACH:
                picture = open_picture(sources[0], task.name)
                if not self.operation.formats:
                    # Refused before the work.
                    form = format_of(
                        task.target,
                        job.format or (picture.source.format if task.target else PIPE_FORMAT),
                    )
                    form.require_room(*self.operation.result_size(*picture.pixels.shape[:2]))
                outcome.picture, outcome.notes = picture, picture.source.notes
            outcome.ready = True
        return outcome

    def _work_on(self, outcome: Outcome) -> None:
        if self.opened is None:
            self.opened = self.operation.open(self.runtime)
        process, takes = self.opened, self.operation.takes
        with outcome.stage():
            if takes is Takes.EACH:
                result = process(outcome.picture)
            elif takes is Takes.ALL:
                result = process(Opened(outcome.task.sources))
            else:
                result = process(outcome.task.number)
            self._keep(outcome, result)

    def _keep(self, outcome: Outcome, result: Result) -> None:
        picture = result.made
        own: tuple[str, ...] = ()
        if isinstance(picture, Picture):
            own = picture.source.notes
            if not self.job.no_provenance:
                picture = self.operation.stated(picture)
            if self.statement:
                picture = replace(picture, source=replace(picture.source, pipeline=self.statement))
        outcome.picture, outcome.facts, outcome.extras = picture, result.facts, result.extras
        outcome.notes = tuple(dict.fromkeys((*outcome.notes, *own, *result.notes)))

    def _write(self, outcome: Outcome) -> None:
        # Receipt and side files take their names after the picture: none is there without it.
        with outcome.stage(), ExitStack() as stack:
            if outcome.picture is None:
                return
            task, job = outcome.task, self.job
            if task.receipt is not None:
                known = {key: value for key, value in outcome.line.items() if key != "status"}
                text = json.dumps(known, indent=2) + "\n"
                _beside(stack, task.receipt, job.overwrite).write(text.encode())
            for path, extra in outcome.extras.items():
                self._save_extra(extra, path, _beside(stack, path, job.overwrite))
            try:
                outcome.notes += self._save(outcome.picture, task.target)
            except SameThere:
                outcome.status = ALREADY_DONE
            else:
                outcome.status = DONE
            if task.target is not None:
                self.finished.record(task.target, outcome.made_from)
            outcome.picture = None

    def _save(self, result: Picture | Product, target: Path | None) -> tuple[str, ...]:
        job = self.job
        if target is not None:
            make_folder(target.parent)
        if isinstance(result, Picture):
            save = partial(
                save_picture,
                result,
                quality=job.quality,
                strip_metadata=job.strip_metadata,
                overwrite=job.overwrite,
            )
            if target is not None:
                return save(target, format=job.format)
            return _to_stdout(partial(save, format=job.format or PIPE_FORMAT))
        suffix = self.operation.formats[0] if target is None else target.suffix.lower()
        if target is None:
            return _to_stdout(partial(_written, result, suffix))
        with _named(target), whole_file(target, job.overwrite) as file:
            result.write(file, suffix)
        return ()

    def _save_extra(self, extra: Picture | Product, path: Path, file: BinaryIO) -> None:
        if isinstance(extra, Picture):
            save_picture(extra, file, quality=self.job.quality, format=path.suffix)
        else:
            extra.write(file, path.suffix.lower())


def _statement(job: Job, operation: Operation, models: Models) -> str:
    """What results are to hold of how they were made; "" for nothing."""
    if not job.embed:
        return ""
    from imgan.embedding import statement

    return statement(job, operation, models)


class Opened(Sequence[Picture]):
    """Pictures of files, each opened when it is asked for, and not kept."""

    def __init__(self, sources: Sequence[Path | None]) -> None:
        self.sources = [source for source in sources if source is not None]

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        """Raises Failure for a picture that cannot be opened."""
        if isinstance(index, slice):
            return Opened(self.sources[index])
        return open_picture(self.sources[index])


def _once(source: Path | None, piped: bytes) -> Path | bytes:
    """A source that can be read twice: what is no file, such as a pipe with a name, is read now."""
    if source is None:
        return piped
    if is_remote(source):
        return source
    return source.read_bytes() if source.exists() and not source.is_file() else source


def _read_ahead(
    pool: ThreadPoolExecutor, read: Callable[[Task], Outcome], tasks: Sequence[Task]
) -> Iterator[Outcome]:
    """The tasks' pictures in order, with the next ones decoded meanwhile.

    How many is reckoned from the size of the latest; at first it is one.
    """
    remaining = iter(tasks)
    ahead = deque(pool.submit(read, task) for task in islice(remaining, 1))
    while ahead:
        outcome = ahead.popleft().result()
        depth = max(1, min(DEPTH, AHEAD // max(1, outcome.nbytes)))
        ahead += [pool.submit(read, task) for task in islice(remaining, max(0, depth - len(ahead)))]
        yield outcome


def _beside(stack: ExitStack, path: Path, overwrite: bool) -> BinaryIO:
    """A file that takes its name when the stack is left well."""
    stack.enter_context(_named(path))
    make_folder(path.parent)
    return stack.enter_context(whole_file(path, overwrite))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Failures of writing a file, with its name."""
    try:
        yield
    except Failure as failure:
        if str(failure).startswith(str(path)):
            raise
        raise type(failure)(f"{path} {failure}", code=failure.code) from failure
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}", code="unwritable") from error


def _to_stdout(save: Callable[[BinaryIO], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return save(sys.stdout.buffer)
    except Failure as failure:
        if isinstance(failure.__cause__, BrokenPipeError):
            # What is left in the buffer would make Python complain when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _written(product: Product, suffix: str, stream: BinaryIO) -> tuple[str, ...]:
    product.write(stream, suffix)
    return ()


def _crowded(writing: Sequence[tuple[Outcome, Future[None]]]) -> bool:
    return len(writing) > DEPTH or sum(outcome.nbytes for outcome, _ in writing) > AHEAD


def _settled(writing: deque[tuple[Outcome, Future[None]]]) -> Outcome:
    outcome, written = writing.popleft()
    written.result()
    return outcome


@contextmanager
def _threads(count: int = DEPTH) -> Iterator[ThreadPoolExecutor]:
    """Threads that finish what they are at, and nothing more, when the block is left early."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
