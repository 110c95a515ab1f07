"""What the shell offers at a Tab: commands, options, and the values that options take.

The scripts are typer's (`imgan --install-completion`). The answers are given here, without the
command line, which takes longer to build than a person likes to wait at a Tab.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from importlib.metadata import entry_points

from imgan.batch.job import Job
from imgan.models.cards import ModelCard
from imgan.operations import Operation
from imgan.options import Field, fields_of
from imgan.plugins import CORE_COMMANDS, GROUP, Registry, discover

VARIABLE = "_IMGAN_COMPLETE"
"""The environment variable by which a shell asks."""

DEVICES = ("auto", "cpu", "cuda", "cuda:0")
FORMATS = ("jpg", "png", "webp", "tiff", "bmp", "gif", "heic", "avif")
_MODELS = ("show", "add", "remove", "verify")


def answer(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """What is printed to the shell that asks, and the exit code; None to let typer answer."""
    shell = environment[VARIABLE].removeprefix("complete_")
    if not environment[VARIABLE].startswith("complete_") or shell not in ("bash", "zsh", "fish"):
        return None
    if shell == "bash":
        words = _split(environment["COMP_WORDS"])
        at = int(environment["COMP_CWORD"])
        before, begun = words[1:at], words[at] if at < len(words) else ""
    else:
        line = environment.get("_TYPER_COMPLETE_ARGS", "")
        before, begun = _split(line)[1:], ""
        if before and not line.endswith(" "):
            before, begun = before[:-1], before[-1]
    offered = offers(before, begun)
    if offered is None:
        return None
    if shell == "zsh":
        quoted = "\n".join('"' + value.replace(":", r"\:") + '"' for value in offered)
        return f"_arguments '*: :(({quoted}))'" if offered else "_files", 0
    if shell == "fish" and environment.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return "", 0 if offered else 1
    return "\n".join(offered), 0


def offers(before: list[str], begun: str) -> list[str] | None:
    """What the last word of a line may become, after the words before it; None for commands that
    are not operations and have options of their own."""
    if not before:
        found = _registry()
        names = sorted([*found.operations, *found.commands]) + sorted(CORE_COMMANDS)
        options = ["--help", "--version", "--install-completion", "--show-completion"]
        return _beginning(begun, options if begun.startswith("-") else names)
    command, *words = before
    found = _registry(command)
    if command in found.operations:
        return _of_operation(found.operations[command], words, begun)
    if command == "models" and not begun.startswith("-"):
        if words[:1] and words[0] in ("show", "verify", "remove"):
            return _beginning(begun, sorted(card.name for card in _cards()))
        return _beginning(begun, _MODELS) if not words else None
    groups = {"train": [*found.recipes], "evaluate": [*found.evaluations]}
    if command in groups and not words:
        return _beginning(begun, sorted(groups[command]))
    return None


def _of_operation(kind: type[Operation], words: list[str], begun: str) -> list[str]:
    options = {field.name: field for field in (*fields_of(kind), *fields_of(Job))}
    named = {name: field for field in options.values() for name in field.names}
    option, given, part = begun.partition("=")
    if given and option in named:
        values = _values(kind, named[option], part)
        return [f"{option}={value}" for value in values]
    if begun.startswith("-"):
        return _beginning(begun, [*sorted(named), "--help"])
    last = named.get(words[-1]) if words else None
    if last is not None and last.kind is not bool:
        return _values(kind, last, begun)
    return [] if words else _beginning(begun, kind.values("inputs"))


def _values(kind: type[Operation], field: Field, begun: str) -> list[str]:
    """Values of an option; of a list between commas, of its last one."""
    if issubclass(field.kind, Enum):
        return _beginning(begun, [str(member.value) for member in field.kind])
    if field.name == "device":
        return _beginning(begun, DEVICES)
    if field.name == "format":
        return _beginning(begun, FORMATS)
    if field.name == "model":
        return _beginning(begun, [c.name for c in _cards() if c.operation == kind.name])
    head, comma, begun = begun.rpartition(",")
    cards = _cards() if kind.values_need_models else ()
    traits = [card.traits for card in cards if card.operation == kind.name]
    return [head + comma + value for value in _beginning(begun, kind.values(field.name, traits))]


def _cards() -> list[ModelCard]:
    from imgan.models.store import own_cards

    return [*_registry().models.values(), *own_cards()]


def _registry(command: str = "") -> Registry:
    """The plugin of that name, if it brings the command of that name; else all plugins."""
    points = entry_points(group=GROUP)
    if own := [point for point in points if point.name == command]:
        found = discover(own, reserved=CORE_COMMANDS)
        if command in found.operations:
            return found
    return discover(points, reserved=CORE_COMMANDS)


def _beginning(begun: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(begun)]


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # within quotation marks
        words.append(lexer.token)
    return words


def main() -> bool:
    """Answer the shell; false where typer has to."""
    answered = answer(os.environ)
    if answered is None:
        return False
    print(answered[0])
    sys.exit(answered[1])
