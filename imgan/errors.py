"""The two ways in which imgan says no. The command line prints one line and no more."""

from __future__ import annotations

import sys


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


debugging = False
"""Whether tracebacks are shown (`--debug`)."""


def show_traceback(error: BaseException) -> None:
    """Print the traceback of what went wrong on standard error, if that is asked for."""
    if debugging and sys.stderr is not None:
        import traceback

        traceback.print_exception(error)


def reason(error: Exception) -> str:
    """One line for people. What nobody foresaw also says where it happened."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for a picture of this size"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message} ({_whose(error)})"


def _whose(error: Exception) -> str:
    """Where it happened and who can mend it: a foreign plugin's own authors, if it was there."""
    import traceback
    from pathlib import Path

    frames = traceback.extract_tb(error.__traceback__)
    from imgan.plugins import registry

    for plugin in registry().plugins:
        file = getattr(sys.modules.get(plugin.module), "__file__", None)
        if file is None or plugin.package == "imgan":
            continue
        own = [f for f in frames if Path(f.filename).is_relative_to(Path(file).parent)]
        if own:
            place = f"{own[-1].filename}:{own[-1].lineno}"
            return f"at {place}; please report this to the authors of {plugin.package}"
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}; please report this"
