"""How often each edit was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """So many of so many portraits, and where not to expect much."""

    kept: int
    of: int
    beware: str = ""


KEPT: dict[tuple[str, bool], Kept] = {}
"""By attribute and whether it was added; sharp portraits that no network was trained on."""

OFFERED = 0.35
"""What is kept less often is experimental."""


def experimental(edit: tuple[str, bool]) -> bool:
    """Whether an edit is kept so seldom that it has to be asked for as what it is."""
    figure = KEPT.get(edit)
    return figure is not None and figure.kept < OFFERED * figure.of
