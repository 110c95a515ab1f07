"""`--watch`: the pictures that come into folders, each worked on once it is whole."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imgan.batch.job import Job
from imgan.batch.plan import Plan, Task, make_plan
from imgan.batch.report import Report
from imgan.batch.run import Batch, Listener
from imgan.errors import Failure, Misuse
from imgan.operations import Operation, Takes
from imgan.remote import is_folder, is_remote, path_of, place
from imgan.terminal import say

STEADY = 1.0
"""Seconds for which a file must not change to be whole."""

TICK = 0.25
"""Seconds between looks at files that are not yet whole."""

LISTING = 30.0
"""Seconds after which folders are listed anew without news: some file systems tell none."""

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds."""


def watch(job: Job, operation: Operation) -> None:
    """Work on all pictures in the folders of a job, and on each that comes, until it is stopped.

    Ends with what a signal raises. A picture that fails is told, and taken up again when its file
    changes. Raises Misuse for what cannot be watched.
    """
    folders = _folders(job, operation)
    batch = Batch(job, operation, Listener(), Plan(()))
    arrivals = Arrivals()
    with _news(folders, job.recursive) as news:
        if not job.quiet:
            say(f"watching {', '.join(map(str, folders))}; Ctrl-C ends it")
        trouble = ""
        while True:
            try:
                tasks = make_plan(job, operation, batch.is_finished).tasks
            except Failure as failure:
                tasks = ()
                if failure.code != "no-picture" and str(failure) != trouble:
                    trouble = str(failure)
                    say(trouble)
            whole = arrivals.whole(tasks)
            if whole:
                _round(batch, Plan(whole))
            else:
                _wait(news, TICK if arrivals.coming else LISTING)


@dataclass
class Arrivals:
    """Which files have come, and which of them have stopped to change."""

    coming: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)
    """Their latest stamp, and since when they have it."""
    taken: dict[Path, Stamp] = field(default_factory=dict)
    """Those that were worked on, as they were then."""

    def whole(self, tasks: Sequence[Task], now: float | None = None) -> tuple[Task, ...]:
        """The tasks whose inputs have been the same for a while, each once."""
        now = time.monotonic() if now is None else now
        found = []
        before, self.coming = self.coming, {}
        for task in tasks:
            (source,) = task.sources
            assert source is not None
            try:
                status = source.stat()
            except OSError:  # gone again
                continue
            stamp = status.st_size, status.st_mtime_ns
            if self.taken.get(source) == stamp:
                continue
            former, since = before.get(source, (None, now))
            if former != stamp:
                since = now
            if now - since >= STEADY and stamp[0]:
                self.taken[source] = stamp
                found.append(task)
            else:
                self.coming[source] = stamp, since
        return tuple(found)


def _round(batch: Batch, plan: Plan) -> None:
    """Some pictures, told as a batch of their own."""
    try:
        with Report(batch.job, batch.operation.name) as report:
            batch.plan, batch.listener = plan, report
            outcomes = batch.run()
        report.close(outcomes)
    except Misuse:
        raise
    except Failure as failure:
        say(str(failure))


def _folders(job: Job, operation: Operation) -> list[Path]:
    """What is watched. Raises Misuse for what cannot be."""
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        raise Misuse('--watch needs a package: pip install "imgan[watch]"') from None
    folders = [path_of(word) for word in job.inputs or []]
    if not folders or job.from_file is not None:
        raise Misuse("--watch: name the folders to watch")
    if job.ray is not None:
        raise Misuse("--watch works on this machine: leave --ray out")
    if operation.takes is not Takes.EACH or operation.side_files():
        raise Misuse("--watch: this does not make one result of each picture")
    for folder in folders:
        if is_remote(folder) or not is_folder(folder):
            raise Misuse(f"--watch {folder}: it watches folders of this machine")
    if job.name is not None and "{number" in job.name:
        raise Misuse("--watch: pictures that come have no {number}: leave it out of --name")
    if job.receipt not in (None, "each"):
        raise Misuse("--watch: --receipt each writes one beside every output")
    if job.output is not None:
        _refuse_circles(place(path_of(job.output)), [place(folder) for folder in folders], job)
    return folders


def _refuse_circles(output: str, folders: Sequence[str], job: Job) -> None:
    """What is written must not be taken for what has come."""
    for folder in folders:
        inside = job.recursive and len(folders) > 1 and Path(output).is_relative_to(folder)
        if output == folder or inside:
            raise Misuse(f"--watch: -o {job.output} is watched itself: write elsewhere")


@contextmanager
def _news(folders: Sequence[Path], recursive: bool) -> Iterator[queue.Queue[object]]:
    """Something is put there when files change. In a thread of its own, so that signals end the
    program as they do elsewhere."""
    import watchfiles

    news: queue.Queue[object] = queue.Queue()
    end = threading.Event()

    def listen() -> None:
        changes = watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=200,
            stop_event=end,
            rust_timeout=500,
            recursive=recursive,
            ignore_permission_denied=True,
        )
        try:
            for change in changes:
                news.put(change)
        except Exception as error:  # a folder that is gone; listing goes on
            news.put(error)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield news
    finally:
        end.set()
        listener.join()


def _wait(news: queue.Queue[object], seconds: float) -> None:
    """Until there is news, which is then taken off, or for some seconds."""
    try:
        news.get(timeout=seconds)
        while True:
            news.get_nowait()
    except queue.Empty:
        return
