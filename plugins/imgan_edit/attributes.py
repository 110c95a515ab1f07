"""CelebA's 40 attributes (Liu et al. 2015), and what people type for them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from imgan.errors import Misuse

# In CelebA's own order, which is the order of the networks' inputs and outputs.
_NAMES = """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
NAMES = tuple(_NAMES.split())

SLUGS = tuple(name.lower().replace("_", "-") for name in NAMES)
"""The names as they are typed and stand in file names: blond-hair."""


def parse(words: Iterable[str]) -> tuple[str, ...]:
    """The slugs that the words of an option name, each once, in the order given.

    A word may hold several names between commas; case, `-`, `_` and spaces do not matter. Raises
    Misuse for a name that is none, with the nearest ones.
    """
    typed = [part for word in words for part in word.split(",") if part.strip()]
    return tuple(dict.fromkeys(_slug(part) for part in typed))


def _slug(typed: str) -> str:
    bare = _bare(typed)
    if bare in _BY_BARE_NAME:
        return _BY_BARE_NAME[bare]
    parts = [name for name in _BY_BARE_NAME if len(bare) > 2 and bare in name]
    near = parts or get_close_matches(bare, _BY_BARE_NAME, n=3)
    hint = f"did you mean {' or '.join(_BY_BARE_NAME[n] for n in near)}?" if near else ""
    raise Misuse(
        f"no attribute is called {typed.strip()!r}; {hint or '`imgan edit --list` names all 40'}"
    )


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


_BY_BARE_NAME = {_bare(slug): slug for slug in SLUGS}
