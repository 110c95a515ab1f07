"""The attributes of conditional generators: what people type for them, and y."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from imgan.errors import Misuse
from imgan.images.tensors import Floats

_NAMES = """
    Bald Bangs Black_Hair Blond_Hair Brown_Hair Bushy_Eyebrows Eyeglasses Gray_Hair Heavy_Makeup
    Male Mouth_Slightly_Open Mustache Pale_Skin Receding_Hairline Smiling Straight_Hair Wavy_Hair
    Wearing_Hat
"""
ATTRIBUTES = tuple(_NAMES.split())
"""Those of CelebA that IcGAN was published with, in the order of y."""


def slug(name: str) -> str:
    """An attribute as it is typed: Blond_Hair is blond-hair."""
    return "-".join(name.strip().lower().replace("_", " ").split())


def label(words: str, known: Sequence[str]) -> Floats:
    """y [A] of the attributes named, with commas between them: 1 for these, -1 for the others.

    `known` are the slugs of the generator's attributes. Raises Misuse for what is none of them.
    """
    return _y(_named(words, known), known)


def rows(several: Sequence[str], known: Sequence[str]) -> Floats:
    """y of every row of a sheet, [R, A]: each of `several` is one; of only one, its attributes
    come one by one, after a row without any; without one, each that the generator knows has a row,
    after one without any. Raises Misuse."""
    if len(several) > 1:
        return np.stack([label(words, known) for words in several])
    if not several:
        return np.stack([_y([], known), *(_y([slug], known) for slug in known)])
    named = _named(several[0], known)
    return np.stack([_y(named[:count], known) for count in range(len(named) + 1)])


def _named(words: str, known: Sequence[str]) -> list[str]:
    wanted = [slug(word) for word in words.split(",") if word.strip()]
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise Misuse(f"--attributes {name}: the generator has no such attribute; {hint}")
    return wanted


def _y(named: Sequence[str], known: Sequence[str]) -> Floats:
    return np.where(np.isin(known, named), 1, -1).astype(np.float32)
