"""Writes the tables of `docs/models.md` from the cards that ship: `python tests/model_tables.py`.

A region `<!-- cards NAME NAME -->` ... `<!-- end -->` holds what those cards say, and
`<!-- cards -->` one line of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from imgan.models.cards import NOT_STATED, ModelCard
from imgan.plugins import registry

FILE = Path(__file__).parents[1] / "docs" / "models.md"

REGION = re.compile(r"(<!-- cards([^\n]*?) -->\n).*?(<!-- end -->)", re.DOTALL)

FACTS = {
    "data": "dataset",
    "terms of the data": "dataset_terms",
    "licence of the weights": "licence",
    "paper": "paper",
    "takes": "input",
}

MANY = re.compile(r"(?:(?P<kind>accuracy) (?P<of>.+)|(?P<of2>.+) (?P<kind2>added|removed))")
"""Figures of attributes, which have a table of their own."""


def text() -> str:
    """The page with its tables as the cards have them now. Raises KeyError for a model that is not
    there."""
    return REGION.sub(_region, FILE.read_text(encoding="utf-8"))


def described() -> set[str]:
    """The models that the page has regions for."""
    return {name for found in REGION.finditer(FILE.read_text()) for name in found[2].split()}


def _region(found: re.Match[str]) -> str:
    names = found[2].split()
    models = registry().models
    lines = _described([models[name] for name in names]) if names else _listed(models.values())
    return found[1] + "\n".join(lines) + "\n" + found[3]


def _listed(cards: Iterable[ModelCard]) -> Iterator[str]:
    yield from _table(
        ("model", "serves", "file", "licence of the weights"),
        (
            (f"[`{card.name}`](#{_section(card.name)})", _serves(card), _size(card), card.licence)
            for card in sorted(cards, key=lambda card: card.name)
        ),
    )


def _section(name: str) -> str:
    """The anchor of the heading above a model's region."""
    heading = ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("<!-- cards") and name in line.split():
            return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
    raise KeyError(name)


def _described(cards: Sequence[ModelCard]) -> Iterator[str]:
    names = [f"`{card.name}`" for card in cards]
    rows = [("serves", *map(_serves, cards)), ("file", *map(_size, cards))]
    for title, key in FACTS.items():
        values = [str(getattr(card, key)) for card in cards]
        if set(values) != {NOT_STATED}:
            rows.append((title, *values))
    keys = [*dict.fromkeys(key for card in cards for key in card.figures)]
    for key in keys:
        if not _attribute(key) or len([*filter(_attribute, keys)]) < 10:
            rows.append((key, *(_figure(card, key) for card in cards)))
    yield from _table(("", *names), rows)
    yield ""
    yield "```"
    yield from (card.command for card in cards)
    yield "```"
    yield from _attributes(cards, keys)


def _attributes(cards: Sequence[ModelCard], keys: Sequence[str]) -> Iterator[str]:
    """Tables of figures that each attribute has one of."""
    found = [each for each in map(_attribute, keys) if each]
    if len(found) < 10:
        return
    kinds = [*dict.fromkeys(kind for kind, _ in found)]
    yield ""
    yield from _table(
        ("attribute", *kinds),
        (
            (slug, *(_first(cards, _key(kind, slug)) for kind in kinds))
            for slug in dict.fromkeys(slug for _, slug in found)
        ),
    )


def _attribute(key: str) -> tuple[str, str] | None:
    """What is measured, and of which attribute."""
    found = MANY.fullmatch(key)
    if found is None:
        return None
    return (found["kind"] or found["kind2"], found["of"] or found["of2"])


def _key(kind: str, slug: str) -> str:
    return f"{kind} {slug}" if kind == "accuracy" else f"{slug} {kind}"


def _figure(card: ModelCard, key: str) -> str:
    return str(card.figures.get(key, "")).replace("|", "/")


def _first(cards: Sequence[ModelCard], key: str) -> str:
    return next((_figure(card, key) for card in cards if key in card.figures), "")


def _serves(card: ModelCard) -> str:
    found = registry()
    known = card.operation in {*found.operations, *found.commands, "evaluate"}
    return f"`imgan {card.operation}`" if known else "measures and losses"


def _size(card: ModelCard) -> str:
    return f"{card.size / 1e6:.1f} MB"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (header, ["---"] * len(header), *rows):
        cells = (cell.replace("|", "/") for cell in row)
        yield "|" + "|".join(f" {cell} ".replace("  ", " ") for cell in cells) + "|"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
