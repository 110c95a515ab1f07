"""A batch on Ray: paths go out to workers that hold one warm process each, and rows come back."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgan.batch.job import Job
from imgan.batch.plan import Plan, Task
from imgan.batch.resume import Finished
from imgan.batch.run import FAILED, Batch, Listener, Outcome
from imgan.errors import Failure
from imgan.files import digest, sweep
from imgan.operations import Operation
from imgan.options import fields_of
from imgan.references import Reference
from imgan.stopping import undisturbed

LOCAL = "local"
"""The address that starts Ray on this machine, for this batch."""

TRIES = 3
"""How often a picture is given out whose workers are lost."""

PATIENCE = 300
"""Seconds that Ray's processes here have to start and to answer. By default they have 10 to 100:
too few where ten programs share a core. Each worker is ended then before it has come up, and
another begun, without an end."""

WAITS = {
    "RAY_gcs_server_port_wait_time_s": PATIENCE,
    "RAY_worker_register_timeout_seconds": PATIENCE,
    "RAY_agent_register_timeout_ms": PATIENCE * 1000,
    "RAY_health_check_timeout_ms": PATIENCE * 1000,
}
"""Variables of the environment by which Ray is told so."""

LOOK = 1.0
"""Seconds after which waiting for workers is interrupted, so that signals are heeded."""


class PictureWorker:
    """What runs in an actor: a batch that is told its tasks one by one."""

    def __init__(self, given: tuple[Job, Operation, str]) -> None:
        self.job, operation, self.recipe = given
        self.batch = Batch(self.job, operation, Listener(), plan=Plan(()))
        self.batch.finished = self.finished = _Kept()

    def do(self, task: Task, again: bool) -> tuple[Outcome, str]:
        """What became of a task, and the digest of what was written. `again` after a worker was
        lost over it: what lies there is that one's.

        Raises Failure where the operation does not open.
        """
        if self.batch.recipe != self.recipe:
            raise Failure("imgan, its plugins or its models are others on the cluster than here")
        self.batch.job = replace(self.job, overwrite=self.job.overwrite or again)
        self.finished.latest = ""
        outcome = self.batch.do(task)
        outcome.extras = {}
        return outcome, self.finished.latest


class _Kept(Finished):
    """Remembers, in this machine's own memory, too, and for who asked."""

    latest = ""

    def record(self, output: Path, made_from: str, sha256: str = "") -> None:
        self.latest = digest(output)
        super().record(output, made_from, self.latest)


@dataclass(frozen=True)
class _Given:
    """A task that a worker has."""

    task: Task
    worker: Any
    tries: int


class Cluster:
    """The workers of one batch, as a context."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.given: dict[Any, _Given] = {}
        self.again: deque[tuple[Task, int]] = deque()
        self.idle: list[Any] = []
        self.most = 0
        """Workers at a time; none before there is work."""
        self.lost = 0
        """Workers lost since a picture came back."""
        self.half_written: set[Path] = set()
        """Folders in which lost workers may have left parts of files."""
        self.ray: Any = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self.ray is None:
            ray = sys.modules.get("ray")
            if self.batch.job.ray == LOCAL and ray is not None:  # it was about to start
                ray.shutdown()
            return
        if kind is not None and self.ray.is_initialized():
            # What is being worked on is finished, and remembered.
            for ref in self.given:
                with suppress(Exception):
                    self._remember(*self.ray.get(ref))
                self.idle.append(self.given[ref].worker)
        for folder in self.half_written:  # now that nobody begins a file there
            sweep(folder)
        for worker in self.idle:
            self.ray.kill(worker)
        if self.batch.job.ray == LOCAL:
            self.ray.shutdown()

    def outcomes(self, checked: Iterator[Outcome]) -> Iterator[Outcome]:
        """What becomes of the tasks, as they come to their ends. Raises Failure where an operation
        does not open, or workers are lost one after the other."""
        waiting = True
        while waiting or self.again or self.given:
            while (self.idle or not self.most) and (self.again or waiting):
                if self.again:
                    self._give(*self.again.popleft())
                elif (outcome := next(checked, None)) is None:
                    waiting = False
                elif outcome.ready:
                    self._give(outcome.task, 0)
                else:
                    yield outcome
            done, _ = self.ray.wait(list(self.given), timeout=LOOK) if self.given else ([], [])
            for ref in done:
                with undisturbed():  # what was done is remembered
                    outcome = self._settle(ref)
                if outcome:
                    yield outcome

    def _start(self) -> None:
        self.ray = _start(str(self.batch.job.ray))
        self.hire = _hiring(self.ray, self.batch)
        self.most = _workers(self.ray, self.batch.job)
        self.idle = [self.hire() for _ in range(self.most)]

    def _give(self, task: Task, tries: int) -> None:
        if not self.most:
            self._start()
        with undisturbed():  # what a worker is at is known
            worker = self.idle.pop()
            ref = worker.do.remote(_absolute(task), tries > 0)
            self.given[ref] = _Given(task, worker, tries + 1)

    def _settle(self, ref: Any) -> Outcome | None:
        """What a worker made of its task; None if it was lost and the task is to be tried again."""
        given = self.given.pop(ref)
        try:
            outcome, sha256 = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayActorError as error:
            return self._replace(given, error)
        self.idle.append(given.worker)
        self.lost = 0
        outcome.task = given.task
        self._remember(outcome, sha256)
        return outcome

    def _remember(self, outcome: Outcome, sha256: str) -> None:
        if sha256 and outcome.task.target is not None:
            self.batch.finished.record(outcome.task.target, outcome.made_from, sha256)

    def _replace(self, given: _Given, error: Exception) -> Outcome | None:
        self.ray.kill(given.worker)  # in case that it only cannot be reached
        self.lost += 1
        why = " ".join(str(error).split())
        if self.lost > TRIES * self.most:
            raise Failure(f"{self.lost} workers were lost one after the other: {why}")
        self.idle.append(self.hire())
        if given.task.target is not None:
            self.half_written.add(given.task.target.parent)
        if given.tries < TRIES:
            self.batch.listener.say(f"{given.task.name}: its worker was lost; it is tried again")
            self.again.append((given.task, given.tries))
            return None
        line = f"its worker was lost {given.tries} times: {why}"
        return Outcome(given.task, FAILED, error=line, error_code="lost")


def _absolute(task: Task) -> Task:
    """As any folder understands it."""

    def made(path: Path | None) -> Path | None:
        return path.absolute() if isinstance(path, Path) else path

    sources = tuple(map(made, task.sources))
    return replace(task, sources=sources, target=made(task.target), receipt=made(task.receipt))


def _start(address: str) -> Any:
    """The module `ray`, connected. Raises Failure."""
    # Ray prints what its daemons say among the JSON lines; this is how it can be told not to.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        import ray
    except ModuleNotFoundError:
        raise Failure('--ray needs Ray: pip install "imgan[ray]"') from None
    heeded = signal.getsignal(signal.SIGTERM)
    try:
        if not ray.is_initialized():
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if address == LOCAL:
                _start_here(ray, include_dashboard=False, **quiet)
            else:
                ray.init(address, **quiet)
    except Exception as error:  # of many kinds
        raise Failure(f"--ray {address}: {' '.join(str(error).split())}") from error
    finally:
        # Ray puts its own in the place of the one by which a batch ends in order.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heeded)
    return ray


def _start_here(ray: Any, **options: Any) -> None:
    """`ray.init` with patience. One of its processes ends when another, written in Python, has not
    come up in 15 seconds, whatever it is told (ray-project/ray, issue 65983); at the next try that
    one's files are in memory."""
    for name, patience in WAITS.items():
        os.environ.setdefault(name, str(patience))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ray.init(**options)
        except Exception as error:
            if "timed out" not in str(error).lower() or time.monotonic() > deadline:
                raise
            ray.shutdown()
        else:
            return


def _gpus(ray: Any, job: Job) -> int:
    return 0 if job.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))


def _workers(ray: Any, job: Job) -> int:
    """As many as GPUs or, without any, CPUs, unless --workers says otherwise."""
    return job.workers or _gpus(ray, job) or int(ray.cluster_resources().get("CPU", 1))


def _hiring(ray: Any, batch: Batch) -> Callable[[], Any]:
    """What makes a worker: with a GPU each where there are some, else with a CPU."""
    gpus = 1 if _gpus(ray, batch.job) else 0
    # Ray shows each worker its own GPU alone.
    device = re.sub(r"cuda:\d+", "cuda", batch.job.device)
    job = replace(batch.job, inputs=None, output=None, ray=None, workers=None, device=device)
    shared = ray.put((job, _carried(batch.operation), batch.recipe))
    actor = ray.remote(num_cpus=1, num_gpus=gpus)(PictureWorker)
    return lambda: actor.remote(shared)


def _carried(operation: Operation) -> Operation:
    """The operation with the pictures that it names, which other machines may not have."""
    for part in operation.operations:
        for field in fields_of(type(part)):
            value = getattr(part, field.name)
            for one in value if isinstance(value, list | tuple) else [value]:
                # A folder is not read: it has to be there, too.
                if isinstance(one, Reference) and not _is_folder(one):
                    _ = one.picture, one.sha256
    return operation


def _is_folder(reference: Reference) -> bool:
    return isinstance(reference.source, Path) and reference.source.is_dir()
