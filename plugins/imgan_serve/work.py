"""The work of all requests: networks that stay loaded, and the one thread that uses them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from imgan.batch.run import Stopped
from imgan.errors import Misuse
from imgan.images import Picture
from imgan.models.store import Models
from imgan.operations import Operation, Process, Result, Runtime, Takes
from imgan.options import canonical, fields_of

KEPT = 8
"""Operations, each with its settings, that stay open: those used last."""


@dataclass
class Job:
    """How far one request is, and whether anybody still waits for it."""

    share: float = 0.0
    working: bool = False
    stopped: bool = False

    def report(self, share: float) -> None:
        """For `Meter`. Raises Stopped where nobody waits any more."""
        if self.stopped:
            raise Stopped
        self.share = share


class Warm:
    """Operations that stay open, all on one runtime, so that a network is loaded once.

    As in a batch, one thread opens and calls them: nothing in an operation need know of others.
    """

    def __init__(self, device: str) -> None:
        self.models = Models.installed()
        self.thread = ThreadPoolExecutor(1, "imgan-work")
        self._runtime = Runtime(device, self.models)
        self._open: OrderedDict[str, Process] = OrderedDict()

    def work(
        self, operation: Operation, pictures: Sequence[Picture], measured: bool, job: Job
    ) -> Result:
        """The result for the pictures of one request. To be called in `thread`.

        Raises Stopped, Misuse for another number of pictures than it takes, and what the operation
        raises.
        """
        given = arguments(operation, pictures)
        job.working = True
        self._runtime.meter.listener = job.report
        job.report(0.0)
        return self._process(operation, measured)(given)

    def _process(self, operation: Operation, measured: bool) -> Process:
        fields = {f.name: canonical(getattr(operation, f.name)) for f in fields_of(type(operation))}
        key = json.dumps([operation.name, fields, measured])
        if key not in self._open:
            self._open[key] = operation.open(replace(self._runtime, measured=measured))
        self._open.move_to_end(key)
        while len(self._open) > KEPT:
            self._open.popitem(last=False)
        return self._open[key]


def arguments(
    operation: Operation, pictures: Sequence[Picture]
) -> Picture | Sequence[Picture] | int:
    """What the operation's process is called with. Raises Misuse."""
    takes = operation.takes
    if takes is Takes.NONE:
        if pictures:
            raise Misuse(f"{operation.name} takes no picture")
        if len(operation.results()) > 1:
            raise Misuse("a request has one result: ask for one")
        return 0
    if not pictures:
        raise Misuse("there is no picture: send it as the body, or as a part named picture")
    if takes is Takes.ALL:
        return pictures
    if len(pictures) > 1:
        raise Misuse(f"{operation.name} takes one picture, not {len(pictures)}")
    return pictures[0]
