"""A thread that works while another can be interrupted, and that is left to itself then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue

GRACE = 1.0
"""Seconds for which an interrupted program waits for work to end in order."""


@contextmanager
def worker() -> Iterator[Callable[[Callable[[], object]], None]]:
    """What calls a function in a thread of its own, always the same, and waits for it.

    The thread that waits can be interrupted meanwhile, by a signal. When the block is left, what is
    still at work has a moment to end. A network may be in the middle of a long layer: such a thread
    ends with the program, which does not wait for it.
    """
    given: SimpleQueue[tuple[Callable[[], object], Future[None]] | None] = SimpleQueue()
    thread = threading.Thread(target=_work_off, args=(given,), daemon=True)
    thread.start()

    def call(function: Callable[[], object]) -> None:
        done: Future[None] = Future()
        given.put((function, done))
        done.result()

    try:
        yield call
    finally:
        given.put(None)
        thread.join(GRACE)


def _work_off(given: SimpleQueue[tuple[Callable[[], object], Future[None]] | None]) -> None:
    while (task := given.get()) is not None:
        function, done = task
        try:
            function()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        del function, done, task  # a picture is not kept while the next one is waited for
