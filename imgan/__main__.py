"""The entry point, and `python -m imgan`: quiet at Ctrl-C from the start, quick at a Tab."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line."""
    # What is imported first takes a while, and there is nothing to finish.
    heeded = signal.getsignal(signal.SIGINT)
    if heeded is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    if "_IMGAN_COMPLETE" in os.environ:
        from imgan.completion import main as complete

        if complete():
            return
    from imgan.cli import main as run
    from imgan.plugins import registry

    registry()
    signal.signal(signal.SIGINT, heeded)
    run()


def _stop(number: int, frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"imgan: stopped\n")
    os._exit(130)


if __name__ == "__main__":
    main()
