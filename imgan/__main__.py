"""The entry point, and `python -m imgan`: quiet at Ctrl-C from the start, quick at a Tab."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line."""
    if "_IMGAN_COMPLETE" in os.environ:
        from imgan.completion import main as complete

        if complete():
            return
    from imgan.cli import main as run
    from imgan.plugins import registry

    registry()
    signal.signal(signal.SIGINT, _heeded)
    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # by a signal
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    """End without waiting for threads, which may be in the middle of a network."""
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or its reader is gone
            stream.flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"imgan: stopped\n")
    os._exit(130)


# From here on: what is imported first takes a while, and there is nothing to finish.
_heeded = signal.getsignal(signal.SIGINT)
if _heeded is signal.default_int_handler:
    signal.signal(signal.SIGINT, _stop)

if __name__ == "__main__":
    main()
