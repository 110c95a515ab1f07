"""Files that appear whole or not at all, and what tells one from another."""

from __future__ import annotations

import filecmp
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, BytesIO, FileIO, UnsupportedOperation
from pathlib import Path
from typing import BinaryIO, NoReturn

from imgan.errors import Failure
from imgan.remote import is_remote, version, whole_object

if os.name == "posix":
    import fcntl

PART = ".imgan-*.part"
"""Files on their way. One that nobody holds was left behind by a program that was killed."""


class SameThere(Failure):
    """Another program has taken the name meanwhile, for a file of equal bytes."""


class WholeFile(BufferedRandom):
    """A file whose every byte goes through Python, which sees a write that falls short.

    Pillow's encoders and others write to a descriptor where they can get one, and do not notice a
    full disk.
    """

    def fileno(self) -> NoReturn:
        raise UnsupportedOperation("written through Python alone")


def digest(source: Path | bytes) -> str:
    """SHA-256, in hexadecimal, of a file, which is read in pieces, or of bytes.

    Of an object beyond this machine it is what its store tells it by, so that it need not be read.
    """
    if not isinstance(source, bytes) and is_remote(source):
        return version(source)
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def whole_file(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a new file beside the target that takes its name once the block has gone well.

    When the block raises, Ctrl-C included, nothing is left. All bytes are on the disk before the
    name is. The permissions are those of any new file, which a temporary file of `tempfile` would
    not have. A link is followed, not replaced.

    Raises:
        SameThere: the target has come into being meanwhile, with the same bytes.
        Failure: the target exists and `overwrite` is false, or it is not a regular file.
        OSError: the folder is missing, read-only or full.
    """
    if is_remote(target):
        with whole_object(target, overwrite) as file:
            yield file
        return
    target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file():
        raise Failure("is not a regular file")
    if target.exists() and not overwrite:
        raise _exists()
    with _part(target) as (temporary, raw):
        with WholeFile(raw) as file:
            yield file
            file.flush()
            os.fsync(raw.fileno())
        if overwrite:
            temporary.replace(target)
        else:
            _take_free_name(temporary, target)


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, FileIO]]:
    """A new file beside the target, held until the block is left; then its name is free again."""
    temporary, raw, held = _begun(target)
    try:
        yield temporary, raw
    finally:
        raw.close()
        temporary.unlink(missing_ok=True)
        if held is not None:
            os.close(held)


def _begun(target: Path) -> tuple[Path, FileIO, int | None]:
    """A new file, its name, and what holds it although the file is closed."""
    while True:
        temporary = target.with_name(f".imgan-{secrets.token_hex(8)}.part")
        raw = FileIO(temporary, "x+")
        try:
            held = _hold(raw)
        except BlockingIOError:
            held = None
        except OSError:  # a file system without locks
            return temporary, raw, None
        if held is not None and temporary.exists():
            return temporary, raw, held
        # Another command sweeps just now, and takes it for one that was left behind.
        raw.close()
        if held is not None:
            os.close(held)


def make_folder(folder: Path) -> None:
    """With those above it. Stores of objects have none."""
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)


def sweep(folder: Path) -> None:
    """Delete what a killed run left half-written in a folder: files that no process holds."""
    if is_remote(folder):
        return
    for part in folder.glob(PART):
        with suppress(OSError), FileIO(part, "r+") as raw:
            os.close(_hold(raw))  # `raw` holds it on
            part.unlink()


def _hold(raw: FileIO) -> int:
    """Mark a file as being written, until it and the descriptor returned are closed.

    Raises BlockingIOError while another process holds it, and OSError where none can know.
    """
    if os.name != "posix":
        raise OSError("no locks that a killed program loses")
    fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return os.dup(raw.fileno())


def _exists() -> Failure:
    return Failure("exists; --overwrite to replace", code="exists")


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
        if filecmp.cmp(temporary, target, shallow=False):
            raise SameThere("is there already") from None
        raise _exists() from None
