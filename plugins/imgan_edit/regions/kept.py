"""How often each edit was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """So many of so many portraits, and where not to expect much."""

    kept: int
    of: int
    beware: str = ""


KEPT = {
    ("brown-hair", True): Kept(7, 14, "black hair, hair before a like ground"),
    ("black-hair", True): Kept(6, 13, "hair in parts of another light, curls"),
    ("smiling", True): Kept(7, 14, "turned faces; teeth are never added"),
    ("eyeglasses", True): Kept(4, 14, "thick rims on small faces, turned faces"),
    ("sunglasses", True): Kept(3, 14, "pale lenses, turned faces"),
    ("smiling", False): Kept(1, 5, "smiles that show teeth"),
    ("blond-hair", True): Kept(1, 14, "dark hair"),
    ("gray-hair", True): Kept(1, 16, "dark hair"),
    ("bangs", True): Kept(0, 11, "nearly always"),
}
"""By attribute and whether it was added; sharp portraits that no network was trained on."""

OFFERED = 0.35
"""What is kept less often is experimental."""


def experimental(edit: tuple[str, bool]) -> bool:
    """Whether an edit is kept so seldom that it has to be asked for as what it is."""
    figure = KEPT.get(edit)
    return figure is not None and figure.kept < OFFERED * figure.of
