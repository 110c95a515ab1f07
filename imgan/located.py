"""TOML files that people write: what is wrong in one is said with its file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from imgan.errors import Failure, Misuse


class Located:
    """The content of a TOML text, and on which line each key stands."""

    def __init__(self, name: str, text: str) -> None:
        """`name` is the file's, for messages. Raises Misuse, with the line, for what is no TOML."""
        self.name = name
        self.text = text
        try:
            self.content: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            message = str(error)
            place = re.search(r" \(at line (\d+), column \d+\)$", message)
            line = int(place[1]) if place else len(text.splitlines())
            raise Misuse(f"{name}:{line}: {message.partition(' (at ')[0]}") from error

    @classmethod
    def read(cls, path: Path) -> Located:
        """A file. Raises Failure when it cannot be read, Misuse when it is no TOML."""
        try:
            return cls(str(path), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise Failure(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Misuse(f"{path}: not TOML: it is no UTF-8") from error

    def line(self, *keys: str | int) -> int:
        """Where a key stands, from 1: `line("step", 1, "add")`; the nearest above it, if it is not
        there."""
        while keys:
            first = 1  # of a statement that may go on over several lines
            for number, content in self._prefixes:
                if _holds(content, keys):
                    return first
                first = number + 1
            keys = keys[:-1]
        return 1

    def misuse(self, message: str, *keys: str | int) -> Misuse:
        """What is wrong with a key."""
        return Misuse(f"{self.name}:{self.line(*keys)}: {message}")

    @cached_property
    def _prefixes(self) -> list[tuple[int, Mapping[str, Any]]]:
        """What the first lines hold, for every count of lines that ends a statement.

        `tomllib` tells no lines, but it does tell whether a text is whole.
        """
        lines = self.text.splitlines(keepends=True)
        found: list[tuple[int, Mapping[str, Any]]] = []
        for count in range(1, len(lines) + 1):
            try:
                found.append((count, tomllib.loads("".join(lines[:count]))))
            except tomllib.TOMLDecodeError:
                continue
        return found


def _holds(content: Any, keys: tuple[str | int, ...]) -> bool:
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
