"""Words that people type, in either spelling: colour is color, and grey is gray."""

from __future__ import annotations

from collections.abc import Iterable


def american(word: str) -> str:
    """The word in the spelling by which words are compared."""
    return word.replace("colour", "color").replace("grey", "gray")


def spelled(word: str, known: Iterable[str]) -> str:
    """The known word that is this one, in whichever spelling; the word itself when none is."""
    return next((one for one in known if american(one) == american(word)), word)
