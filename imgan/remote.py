"""Paths beyond this machine: `s3://`, `gs://`, `hf://` and whatever else fsspec reads.

Such a path is a `UPath` of universal_pathlib, which has the methods of `pathlib.Path` and is typed
as one here. Whole objects are read, and written with one put.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard, cast

from imgan.errors import Failure, Misuse

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")

_VERSIONS = ("ETag", "etag", "md5Hash", "content_hash", "blob_id")
"""What stores call the content of an object, in fsspec's information about it."""


def path_of(words: str | Path) -> Path:
    """A path as it was typed. Raises Misuse for a kind of address that nobody knows, and Failure
    where a package is missing."""
    if isinstance(words, Path) or not _URL.match(words):
        return Path(words)
    try:
        from upath import UPath

        path: Any = UPath(words)
        path.fs  # noqa: B018, it imports the package for this kind
    except ModuleNotFoundError:
        raise Failure(f'{words}: pip install "imgan[remote]" reads such addresses') from None
    except ImportError as error:
        raise Failure(f"{words}: {_line(error)}") from error
    except ValueError as error:
        raise Misuse(f"{words}: {_line(error)}") from error
    return cast(Path, path)


def is_remote(path: object) -> bool:
    """Whether it is a path, but none of this machine."""
    upath = sys.modules.get("upath")
    return upath is not None and isinstance(path, upath.UPath)


def is_path(value: object) -> TypeGuard[Path]:
    return isinstance(value, Path) or is_remote(value)


def place(path: Path) -> str:
    """One name for one file, however it is spelt."""
    return str(path) if is_remote(path) else os.path.normcase(path.resolve())


def is_folder(path: Path) -> bool:
    """Raises Failure for a store that cannot be asked."""
    if not is_remote(path):
        return os.path.isdir(path)
    with _told(path):
        return path.is_dir()


def entries(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, in order, and whether each is a folder. Raises OSError, and Failure."""
    if not is_remote(folder):
        return [(entry, os.path.isdir(entry)) for entry in sorted(folder.iterdir())]
    remote: Any = folder
    with _told(folder):
        # One request for all, which `iterdir` and `is_dir` would ask one by one.
        found = {
            Path(info["name"]).name: info["type"] == "directory"
            for info in remote.fs.ls(remote.path, detail=True)
            if info["name"].strip("/") != remote.path.strip("/")
        }
    return [(folder / name, found[name]) for name in sorted(found)]


def read_object(path: Path) -> bytes:
    """Raises Failure."""
    with _told(path):
        return path.read_bytes()


def version(path: Path) -> str:
    """What tells the content of an object from another: what the store says, else SHA-256.

    Raises Failure.
    """
    remote: Any = path
    with _told(path):
        info = remote.fs.info(remote.path)
    stated = next((f"{key} {info[key]}" for key in _VERSIONS if info.get(key)), None)
    return stated or hashlib.sha256(read_object(path)).hexdigest()


@contextmanager
def whole_object(target: Path, overwrite: bool) -> Iterator[BinaryIO]:
    """As `imgan.files.whole_file`: what is written in the block is put at its end, in one piece.

    Raises SameThere and Failure.
    """
    file = BytesIO()
    yield file
    remote: Any = target
    try:
        _put(remote, file.getvalue(), overwrite)
    except FileExistsError:
        from imgan.files import SameThere

        if read_object(target) == file.getvalue():
            raise SameThere("is there already") from None
        raise Failure("exists; --overwrite to replace", code="exists") from None
    except Exception as error:  # each store has exceptions of its own
        raise Failure(f"cannot be written: {_line(error)}") from error


def _put(remote: Any, data: bytes, overwrite: bool) -> None:
    """Raises FileExistsError, and whatever the store does."""
    if not overwrite:
        try:
            remote.fs.pipe_file(remote.path, data, mode="create")
            return
        except (NotImplementedError, TypeError, ValueError):  # it cannot tell in the same request
            if remote.exists():
                raise FileExistsError(str(remote)) from None
    remote.fs.pipe_file(remote.path, data)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What stores raise, each its own kind, as Failure."""
    try:
        yield
    except FileNotFoundError as error:
        raise Failure(f"{path}: there is no such object") from error
    except Exception as error:
        raise Failure(f"{path}: cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
