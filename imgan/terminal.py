"""Standard streams, which may be closed: then they are None."""

from __future__ import annotations

import sys
from typing import TextIO

quiet = False
"""Whether nothing is said but what went wrong (`--quiet`)."""


def looks_on(stream: TextIO | None) -> bool:
    """Whether a person sees what is written to a stream."""
    return stream is not None and not stream.closed and stream.isatty()


def remark(line: str) -> None:
    """A line that nobody misses: `--quiet` leaves it out."""
    if not quiet:
        say(line)


def say(line: str) -> None:
    """A line on standard error, if there is one."""
    if sys.stderr is not None and not sys.stderr.closed:
        print(f"imgan: {line}", file=sys.stderr, flush=True)
