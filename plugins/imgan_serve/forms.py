"""What an operation takes, as a form shows it and as a request states it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_args

from imgan.errors import Misuse
from imgan.models.store import Models
from imgan.operations import Operation, Takes
from imgan.options import Field, build, canonical, fields_of, option
from imgan.references import Reference

T = TypeVar("T")

KINDS: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Reference: "picture",
}
"""What a control is, in the words of JSON Schema where it has one."""

SWITCHES = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def describe(kind: type[Operation], models: Models) -> dict[str, Any]:
    """An operation and its controls, JSON-able. Fields that name files have none."""
    known = listed(kind, models)
    known["model"] = [card.name for card in models.serving(kind.name)]
    summary, _, _ = (kind.__doc__ or "").partition("\n")
    usual = Takes.EACH if kind.inputs else Takes.NONE
    return {
        "name": kind.name,
        "summary": summary.replace("`", ""),
        "pictures": (kind.takes if isinstance(kind.takes, Takes) else usual).value,
        "fields": controls(kind, known),
    }


def controls(kind: type[Any], known: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The fields of a dataclass of options but those that name files; `known` are values of some
    that are worth offering."""
    fields = [field for field in fields_of(kind) if field.kind is not Path]  # type: ignore[arg-type]
    return [_control(field, known.get(field.name, [])) for field in fields]


def _control(field: Field, known: Sequence[str]) -> dict[str, Any]:
    least, most = field.limits
    enum = issubclass(field.kind, Enum)
    helps = [getattr(extra, "help", "") for extra in get_args(field.hint)[1:]]
    needed = field.default is MISSING
    return {
        "name": field.name,
        "type": "string" if enum else KINDS[field.kind],
        "many": field.many,
        "needed": needed,
        "default": None if needed else canonical(field.default),
        "minimum": least,
        "maximum": most,
        "choices": [str(member.value) for member in field.kind] if enum else [],  # type: ignore[attr-defined]
        "known": list(known),
        "help": next(filter(None, helps), ""),
    }


def listed(kind: type[Operation], models: Models) -> dict[str, list[str]]:
    """The values that `--list` names, by field: those of a column that is headed by an option, and
    those that stand after one in their row."""
    if kind.listing is Operation.listing:
        return {}
    needed = {
        field.name: Reference(Path()) for field in fields_of(kind) if field.default is MISSING
    }
    header, rows, *_ = kind(**needed).listing(models)
    options = {field.option: field.name for field in fields_of(kind)}
    headings = options | {name: name for name in options.values()}
    known: dict[str, list[str]] = {}
    for row in rows:
        under = [(headings.get(title), cell) for title, cell in zip(header, row, strict=False)]
        after = [(options.get(word), cell) for word, cell in pairwise(row)]
        for name, cell in under + after:
            if name:
                known.setdefault(name, []).append(cell)
    return {name: list(dict.fromkeys(values)) for name, values in known.items()}


def read(
    kind: type[T], texts: Mapping[str, Sequence[str]], pictures: Mapping[str, Sequence[Reference]]
) -> T:
    """A dataclass of options as a request states it. No word of a request is taken for a path.

    Raises Misuse for what it does not take.
    """
    known = {field.name: field for field in fields_of(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {name: list(given) for name, given in texts.items()}
    for name in known.keys() & texts.keys():
        values[name] = _value(known[name], texts[name])
    for name, given in pictures.items():
        if name not in known or known[name].kind is not Reference:
            raise Misuse(f"{option(name)} takes no picture")
        values[name] = list(given) if known[name].many else given[-1]
    return build(kind, values)


def _value(field: Field, given: Sequence[str]) -> Any:
    if field.kind is Path:
        raise Misuse(f"{field.option} names a file, and no request does: leave it out")
    if field.kind is Reference:
        raise Misuse(f"{field.option} is a picture: send it as a part of multipart/form-data")
    if len(given) > 1 and not field.many:
        raise Misuse(f"{field.option} is given {len(given)} times")
    typed = list(_typed(field, given))
    return typed if field.many else typed[0]


def _typed(field: Field, given: Sequence[str]) -> Iterator[Any]:
    for text in given:
        if field.kind is bool:
            yield SWITCHES.get(text.lower(), text)
        elif field.kind in (int, float):
            try:
                yield field.kind(text)
            except ValueError:
                yield text  # `Field.read` says what it must be
        else:
            yield text
