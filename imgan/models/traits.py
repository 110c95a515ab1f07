"""Traits of a network as an operation knows them: typed, and no value that it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Self, get_args, get_type_hints

from imgan.errors import Failure
from imgan.models.cards import Description


@dataclass(frozen=True)
class Traits:
    """The fields of a subclass are traits, each with the value of a card that does not state it.

    A field is an int, a float, a str, an enumeration of words (StrEnum), or one of these and None.
    What else a card states is for people, or for others, and is left alone.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    """What traits and words were called when cards that people still have were written."""

    @classmethod
    def of(cls, card: Description) -> Self:
        """The traits of a card. Raises Failure for a value that is not of its field's kind."""
        stated = {cls.renamed.get(name, name): value for name, value in card.traits.items()}
        kinds = get_type_hints(cls)
        return cls(
            **{
                field.name: _read(card.name, field.name, stated[field.name], kinds[field.name], cls)
                for field in fields(cls)
                if field.name in stated
            }
        )


def _read(model: str, name: str, value: float | str, hint: Any, kind: type[Traits]) -> Any:
    wanted = next(each for each in (*get_args(hint), hint) if each is not type(None))
    trait = f"model {model!r}: its trait {name} is {value!r}"
    if issubclass(wanted, StrEnum):
        word = kind.renamed.get(str(value), str(value))
        if word not in set(wanted):
            raise Failure(f"{trait}; known are {', '.join(wanted)}")
        return wanted(word)
    if wanted is str:
        return str(value)
    if isinstance(value, str):
        raise Failure(f"{trait}, and not a number")
    if wanted is int and value != int(value):
        raise Failure(f"{trait}, and not a whole number")
    return wanted(value)
