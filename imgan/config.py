"""Defaults that a person keeps in `imgan.toml`, or in environment variables, for the commands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

from imgan.batch.job import Job
from imgan.errors import Failure, Misuse
from imgan.operations import Operation
from imgan.options import Field, field_words, fields_of
from imgan.references import Reference

FILE = "imgan.toml"
PREFIX = "IMGAN_"
HOME = "IMGAN_HOME"
"""A folder, and no default of an option."""

SHARED = ("run", "replay")
"""Commands that have the shared options alone."""

NAMED = ("inputs", "output", "from_file", "null", "dry_run", "watch")
"""What belongs to one call."""

Operations = Mapping[str, type[Operation]]


@dataclass(frozen=True)
class Setting:
    """One default and where it stands."""

    command: str
    """"" for all commands."""
    name: str
    value: Any
    place: str
    """"imgan.toml:3", or the name of a variable."""

    @property
    def text(self) -> str:
        """For people."""
        value = self.value.value if isinstance(self.value, Enum) else self.value
        return f"{value} ({self.place})"


def config_files() -> list[Path]:
    """Where `imgan.toml` may lie, the stronger first: the working folder, and `$IMGAN_HOME` or else
    where the system keeps a user's configuration."""
    if home := os.environ.get(HOME):
        folder = Path(home).expanduser()
    else:
        from platformdirs import user_config_path

        folder = user_config_path("imgan", appauthor=False)
    here = Path(FILE)
    own = folder / FILE
    return [here] if own.resolve() == here.resolve() else [here, own]


def settings(operations: Operations) -> list[Setting]:
    """Every default that somebody has set, the stronger first: variables, then the files; in each,
    what is set for one command before what is set for all.

    Raises Misuse, with the file and line or the variable, for unknown names and unfit values.
    """
    found = _sorted(_of_environment(operations))
    for path in config_files():
        if path.is_file():
            found += _sorted(_of_file(path, operations))
    return found


def defaults(command: str, found: Iterable[Setting]) -> dict[str, Any]:
    """What holds for a command, by the names of its options."""
    values: dict[str, Any] = {}
    for setting in found:
        if setting.command in ("", command):
            values.setdefault(setting.name, setting.value)
    return values


def _sorted(found: Iterable[Setting]) -> list[Setting]:
    return sorted(found, key=lambda setting: not setting.command)


def _of_file(path: Path, operations: Operations) -> Iterable[Setting]:
    from imgan.located import Located

    file = Located.read(path)
    shared = _shared()
    for key, value in file.content.items():
        if not isinstance(value, dict):
            if key not in shared:
                known = [*shared, *operations]
                raise file.misuse(f"there is no option {key}{_nearest(key, known)}", key)
            yield Setting(
                "", key, _read(file.misuse, shared[key], value, path, key), _at(file, key)
            )
            continue
        if key not in (*SHARED, *operations):
            raise file.misuse(
                f"there is no command {key}{_nearest(key, [*operations, *SHARED])}", key
            )
        fields = _options(key, operations)
        for name, one in value.items():
            if name not in fields:
                near = _nearest(name, list(fields))
                raise file.misuse(f"{key} has no option {name}{near}", key, name)
            read = _read(file.misuse, fields[name], one, path, key, name)
            yield Setting(key, name, read, _at(file, key, name))


def _at(file: Any, *keys: str) -> str:
    return f"{file.name}:{file.line(*keys)}"


def _read(misuse: Any, field: Field, value: Any, path: Path, *keys: str) -> Any:
    try:
        return field.read(_beside(value, field, path.parent))
    except Failure as failure:
        raise misuse(field_words(str(failure)), *keys) from failure


def _beside(value: Any, field: Field, folder: Path) -> Any:
    """A value with its paths as seen from the folder of the file."""
    if field.kind not in (Path, Reference):
        return value
    if isinstance(value, list):
        return [_beside(one, field, folder) for one in value]
    return folder / value if isinstance(value, str) else value


def _of_environment(operations: Operations) -> Iterable[Setting]:
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or variable == HOME or not text:
            continue
        command, field = _meant(variable, operations)
        try:
            value = field.read(field.typed(text))
        except Failure as failure:
            told = field_words(str(failure)).removeprefix(f"{field.name} ")
            raise Misuse(f"{variable}={text}: {told}") from failure
        yield Setting(command, field.name, value, variable)


def _meant(variable: str, operations: Operations) -> tuple[str, Field]:
    """The command, "" for all, and the option of a variable."""
    known = {PREFIX + name.upper(): ("", field) for name, field in _shared().items()}
    for command in (*SHARED, *operations):
        start = f"{PREFIX}{command.upper().replace('-', '_')}_"
        if variable.startswith(start) or variable not in known:
            for name, field in _options(command, operations).items():
                known.setdefault(start + name.upper(), (command, field))
    if variable not in known:
        raise Misuse(f"{variable}: there is no such option{_nearest(variable, list(known))}")
    return known[variable]


def _options(command: str, operations: Operations) -> dict[str, Field]:
    own = {} if command in SHARED else {f.name: f for f in fields_of(operations[command])}
    return {**_shared(), **own}


def _shared() -> dict[str, Field]:
    return {field.name: field for field in fields_of(Job) if field.name not in NAMED}


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
