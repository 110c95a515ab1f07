"""Signals that end a program, in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imgan.terminal import say

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not everywhere


class _Undisturbed:
    """How many blocks are not to be interrupted, one in another, and the signal that waits."""

    depth = 0
    waiting = 0


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Signals that end a program become SystemExit, so that every block is left in order.

    A second one ends the process at once; a hidden temporary file may then stay behind.
    """

    def stop(number: int, frame: object) -> None:
        for heeded in former:
            signal.signal(heeded, lambda number, frame: os._exit(128 + number))
        say("stopping …")
        if _Undisturbed.depth:
            _Undisturbed.waiting = number
        else:
            raise SystemExit(128 + number)

    former: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for heeded in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(heeded) is not signal.SIG_IGN:  # as under nohup
                former[heeded] = signal.signal(heeded, stop)
    try:
        yield
    finally:
        for heeded, handler in former.items():
            signal.signal(heeded, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block of a moment at the end of which such a signal is heeded, and not in its middle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Undisturbed.depth += 1
    try:
        yield
    finally:
        _Undisturbed.depth -= 1
        if _Undisturbed.waiting and not _Undisturbed.depth:
            number, _Undisturbed.waiting = _Undisturbed.waiting, 0
            raise SystemExit(128 + number)
