"""Files that a command makes which is no operation, and a bar while it searches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imgan.errors import Failure
from imgan.files import whole_file
from imgan.images import Picture, Source, save_picture
from imgan.images.tensors import Bytes
from imgan.operations import TRAINED


def free(targets: Sequence[Path], overwrite: bool) -> None:
    """Raise Failure when a file is there and is not to be replaced."""
    for target in targets:
        if target.exists() and not overwrite:
            raise Failure(f"{target} exists; --overwrite replaces it")


def save_made(pixels: Bytes, target: Path, overwrite: bool) -> None:
    """A generated picture to a file that says so, and its name to standard output."""
    picture = Picture(np.ascontiguousarray(pixels), source=Source(made=TRAINED))
    save_picture(picture, target, overwrite=overwrite)
    print(target)


def write(content: Callable[[Any], object], target: Path, overwrite: bool) -> None:
    """A file that is no picture, whole or not at all, and its name to standard output."""
    try:
        with whole_file(target, overwrite) as file:
            content(file)
    except Failure as failure:
        raise Failure(f"{target}: {failure}") from None
    except OSError as error:
        raise Failure(f"{target}: {error.strerror or error}") from None
    print(target)


@contextmanager
def progress(steps: int) -> Iterator[Callable[[int, float], None] | None]:
    """A bar with the loss on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=steps, loss=0.0)
        yield lambda step, loss: bar.update(task, completed=step, loss=loss)
