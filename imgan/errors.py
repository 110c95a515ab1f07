"""The two ways in which imgan says no. The command line prints one line and no more."""

from __future__ import annotations

import traceback
from pathlib import Path


class Failure(Exception):
    """Work that could not be done: what, where, and how to mend it. Exit code 1.

    `code` is the reason for programs, a word of docs/errors.md, such as "exists".
    """

    exit_code = 1
    code = "failed"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class UnsupportedFile(Failure):
    """A file of another kind than is read here; the message is what it holds."""

    code = "unsupported"


class Skip(Failure):
    """A picture that has not what the operation works on, such as a face. The batch goes on."""

    code = "skipped"


class Misuse(Failure):
    """A command that cannot mean anything as typed. Exit code 2."""

    exit_code = 2
    code = "misuse"


def reason(error: Exception) -> str:
    """One line for people. What nobody foresaw also says where it happened."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for a picture of this size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    where = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())
    place = f"{Path(where.filename).name}:{where.lineno}"
    return f"{type(error).__name__}: {message} (at {place}; please report this)"
