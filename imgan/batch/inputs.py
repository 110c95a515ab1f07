"""Where the names of inputs come from: the command line, a list, or a pipe."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from imgan.batch.job import Job
from imgan.errors import Failure, Misuse

STREAM = "-"


def inputs_of(job: Job) -> list[str]:
    """The inputs of a job, in order: those named, then those listed; `[STREAM]` for what is piped
    in when there are none.

    Raises Misuse where there is nothing, and Failure for a list that cannot be read.
    """
    if job.null and job.from_file is None:
        raise Misuse("-0 says how --from-file is written: name the list")
    if job.from_file is None:
        return job.inputs or _piped()
    listed = _listed(job.from_file, b"\0" if job.null else b"\n")
    if STREAM in (job.inputs or []):
        raise Misuse("- stands for one picture: it takes no --from-file beside it")
    inputs = [*(job.inputs or []), *listed]
    if not inputs:
        where = "standard input" if job.from_file == STREAM else job.from_file
        raise Misuse(f"--from-file: there is no name in {where}")
    return inputs


def _listed(source: str, end: bytes) -> list[str]:
    """The names in a list; a file that is called - is one here."""
    try:
        if source != STREAM:
            content = Path(source).read_bytes()
        elif sys.stdin is None:
            raise Misuse("standard input is closed: name the file of the list")
        else:
            content = sys.stdin.buffer.read()
    except OSError as error:
        message = f"--from-file {source}: cannot be read: {error.strerror}"
        raise Failure(message, code="unreadable") from error
    lines = content.split(end)
    if end == b"\n":
        lines = [line.removesuffix(b"\r") for line in lines]
    return [f".{os.sep}-" if line == b"-" else os.fsdecode(line) for line in lines if line]


def _piped() -> list[str]:
    """Standard input, if something is piped or redirected into it."""
    if sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty():
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except OSError:  # a stand-in without a file
            return [STREAM]
        if not stat.S_ISCHR(mode):  # neither a terminal nor /dev/null
            return [STREAM]
    raise Misuse("no input: name pictures or folders, or pipe one picture in")
