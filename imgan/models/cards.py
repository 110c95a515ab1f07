"""Facts about weights: what a network does, where it comes from, and which file it is."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from imgan.errors import Failure

METADATA_KEY = "imgan.card"
"""The key of an ONNX file's `metadata_props` under which its description lies, as JSON."""

NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What people state about a network. It travels inside the ONNX file.

    Raises Failure when a value is not of its kind: texts are one printable line, since they may
    come from a stranger's file and end up on a terminal.
    """

    name: str
    """What `--model` takes: small letters, digits, ".", "_" and "-"."""
    operation: str
    """The command that the network serves, such as "upscale"."""
    licence: str = NOT_STATED
    """Of the weights, not of the code."""
    dataset: str = NOT_STATED
    dataset_terms: str = NOT_STATED
    paper: str = NOT_STATED
    input: str = NOT_STATED
    """Range and size, such as "RGB 0..1, any size"."""
    command: str = NOT_STATED
    """The command that trained it."""
    url: str | None = None
    """Where the file can be fetched (http or https)."""
    traits: Mapping[str, float | str] = field(default_factory=dict, hash=False)
    """What the operation has to know of the network, such as {"from": "summer", "to": "winter"}."""
    figures: Mapping[str, float | str] = field(default_factory=dict, hash=False)
    """What was measured, such as {"Set5 PSNR": 31.6}."""

    def __post_init__(self) -> None:
        for key in (f.name for f in fields(self) if f.name in _KINDS):
            fits, kind = _KINDS[key]
            if not fits(getattr(self, key)):
                raise Failure(f"model {self.name!r}: {key} must be {kind}")

    def number(self, trait: str, otherwise: float) -> float:
        """A trait that is a number, or what is taken where the card has none. Raises Failure for a
        trait in words."""
        value = self.traits.get(trait, otherwise)
        if isinstance(value, str):
            raise Failure(f"model {self.name!r}: its trait {trait} is {value!r}, and not a number")
        return value


@dataclass(frozen=True, kw_only=True)
class ModelCard(Description):
    """A description and the file that it belongs to."""

    file: str
    """The name of the file, without a folder."""
    sha256: str
    size: int
    """Bytes."""
    folder: Path | None = field(default=None, compare=False)
    """Where the card was read. A file that ships with it lies in `weights/` there."""


def read_cards(source: Path) -> tuple[ModelCard, ...]:
    """The cards of a `models.toml`: a table `[[model]]` each, all but `url` and `traits` required.

    Raises Failure, with file, model and key, on anything else.
    """
    cards, required = {}, _CARD_KEYS - {"url", "traits"}
    with _named(source):
        for table in _tables(source):
            card = ModelCard(**_checked(table, required), folder=source.parent)
            if card.name in cards:
                raise Failure(f"model {card.name!r} is there twice")
            cards[card.name] = card
    return tuple(cards.values())


def read_description(source: Path) -> tuple[Description, str | None]:
    """The one `[[model]]` of a person's own card file, and the SHA-256 that it states, if it does.

    Only `name` and `operation` are required. The file's own facts (`file`, `sha256`, `size`) may
    stand there, so that an entry of a `models.toml` will do.
    """
    with _named(source):
        match _tables(source):
            case [table]:
                stated = dict(_checked(table, required={"name", "operation"}))
            case tables:
                raise Failure(f"one table [[model]] is wanted, there are {len(tables)}")
        sha256 = stated.pop("sha256", None)
        stated.pop("file", None)
        stated.pop("size", None)
        return Description(**stated), sha256


def name_of(file: Path) -> str:
    """A model's name from a file's: small letters, digits, and what may stand between them."""
    return re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("._-") or "model"


def card_to_json(card: Description) -> str:
    """The description alone, for `metadata_props`: a file cannot hold its own SHA-256."""
    return json.dumps({key: value for key, value in _items(card) if key in _STATED_KEYS})


def card_from_json(text: str, source: Path) -> Description:
    """The inverse of `card_to_json`; `source` is the file that the text was found in."""
    with _named(source):
        try:
            table = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Failure(f"its card ({METADATA_KEY}) is not JSON: {error}") from error
        if not isinstance(table, dict):
            raise Failure(f"its card ({METADATA_KEY}) is not a JSON object")
        return Description(**_checked(table, required={"name", "operation"}, known=_STATED_KEYS))


def card_to_toml(card: ModelCard) -> str:
    """A table `[[model]]` that `read_cards` reads back."""
    lines, tables = ["[[model]]"], []
    for key, value in _items(card):
        if not isinstance(value, Mapping):
            lines.append(f"{key} = {_literal(value)}")
        elif value or key == "figures":
            tables.append(f"[model.{key}]")
            tables += [f"{_literal(k)} = {_literal(v)}" for k, v in value.items()]
    return "\n".join([*lines, *tables]) + "\n"


def _literal(value: str | float) -> str:
    # JSON's strings and finite numbers are TOML's too, as long as the text is printable.
    return json.dumps(value, ensure_ascii=False)


def _items(card: Description) -> Iterator[tuple[str, Any]]:
    """The keys that a card states, in the order in which people read them."""
    for f in fields(card):
        if f.name != "folder" and getattr(card, f.name) is not None:
            yield f.name, getattr(card, f.name)


def _tables(source: Path) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise Failure(f"not TOML: {error}") from error
    tables = content.pop("model", [])
    if content or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise Failure("only tables [[model]] may stand there")
    return tables


def _checked(
    table: dict[str, Any], required: set[str], known: set[str] | None = None
) -> dict[str, Any]:
    name = table.get("name", "without a name")
    if unknown := sorted(table.keys() - (known or _CARD_KEYS)):
        raise Failure(f"model {name!r}: unknown key {unknown[0]!r}")
    if missing := sorted(required - table.keys()):
        raise Failure(f"model {name!r}: no key {missing[0]!r}")
    return table


@contextmanager
def _named(source: Path) -> Iterator[None]:
    """Failures inside begin with the name of the file."""
    try:
        yield
    except Failure as failure:
        raise Failure(f"{source}: {failure}") from failure


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _is_figure(value: Any) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < math.inf  # math.isfinite overflows on a large int
    return _is_line(value)


def _are_figures(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_line(k) and _is_figure(value[k]) for k in value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_TEXT = (_is_line, "one line of text")
_NAME = (_matches("[a-z0-9][a-z0-9._-]*"), 'small letters, digits, ".", "_" and "-"')
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": _NAME,
    "operation": _NAME,
    "licence": _TEXT,
    "dataset": _TEXT,
    "dataset_terms": _TEXT,
    "paper": _TEXT,
    "input": _TEXT,
    "command": _TEXT,
    "url": (lambda value: value is None or _matches(r"https?://[!-~]+")(value), "an http(s) URL"),
    "traits": (_are_figures, "a table of finite numbers or lines of text"),
    "figures": (_are_figures, "a table of finite numbers or lines of text"),
    "file": (_matches("[A-Za-z0-9][A-Za-z0-9._-]*"), "the name of a file, without a folder"),
    "sha256": (_matches("[0-9a-f]{64}"), "64 hexadecimal digits in small letters"),
    "size": (_is_size, "a number of bytes above 0"),
}
_STATED_KEYS = {f.name for f in fields(Description)}
_CARD_KEYS = {f.name for f in fields(ModelCard)} - {"folder"}
