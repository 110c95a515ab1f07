"""Files that appear whole or not at all, and what tells one from another."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from imgan.errors import Failure


def digest(source: Path | bytes) -> str:
    """SHA-256, in hexadecimal, of a file, which is read in pieces, or of bytes."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def whole_file(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a new file beside the target that takes its name once the block has gone well.

    When the block raises, Ctrl-C included, nothing is left. The permissions are those of any new
    file, which a temporary file of `tempfile` would not have. A link is followed, not replaced.

    Raises:
        Failure: the target exists and `overwrite` is false, or it is not a regular file.
        OSError: the folder is missing, read-only or full.
    """
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file():
        raise Failure("is not a regular file")
    if target.exists() and not overwrite:
        raise Failure("exists; --overwrite to replace")
    temporary = target.with_name(f".imgan-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x+b") as file:
            yield file
        if overwrite:
            temporary.replace(target)
        else:
            _take_free_name(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _take_free_name(temporary: Path, target: Path) -> None:
    """Rename, unless another program took the name in the meantime."""
    try:
        try:
            target.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            target.open("xb").close()
            temporary.replace(target)
    except FileExistsError:
        raise Failure("exists; --overwrite to replace") from None
