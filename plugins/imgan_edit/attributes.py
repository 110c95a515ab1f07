"""CelebA's 40 attributes (Liu et al. 2015), and what people type for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from imgan.errors import Misuse
from imgan.words import american

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


_BEARD = ("5-o-clock-shadow", "goatee", "mustache", "sideburns")

RESIDUAL = (
    "bald", "bangs", "black-hair", "blond-hair", "brown-hair", "bushy-eyebrows", "eyeglasses",
    "heavy-makeup", "high-cheekbones", "male", "mouth-slightly-open", "mustache", "no-beard",
    "pale-skin", "smiling", "wavy-hair", "young",
)  # fmt: skip
"""What the engine `residual` edits, in the order of its network's input."""

HAIR_COLOURS = ("black-hair", "blond-hair", "brown-hair")
HAIR = ("bald", "bangs", "wavy-hair", *HAIR_COLOURS)
"""What it edits of the hair; the rest is to be seen in the face."""

COLOURING = {
    **dict.fromkeys((*HAIR_COLOURS, "bald", "pale-skin"), 1.0),
    **dict.fromkeys(("bangs", "heavy-makeup", "mouth-slightly-open", "smiling"), 0.3),
}
"""What may change colours, as hair and teeth have to, and how freely; the rest changes light and
shade."""

SKIN = ("heavy-makeup", "high-cheekbones", "male", "young")
"""What changes skin, and makes nothing light that is dark, such as hair beside it."""

_HAIR = (*HAIR_COLOURS, "gray-hair")
"""Colours of which hair has one."""

_FOLLOWS: dict[tuple[str, bool], dict[str, bool]] = {
    ("bald", True): dict.fromkeys(("bangs", "wavy-hair", "straight-hair", *_HAIR), False),
    ("bangs", True): {"bald": False, "receding-hairline": False},
    ("wavy-hair", True): {"bald": False, "straight-hair": False},
    ("no-beard", True): dict.fromkeys(_BEARD, False),
    ("mustache", True): {"no-beard": False},
    ("male", False): {"no-beard": True, **dict.fromkeys(_BEARD, False)},
    **{
        (colour, True): {"bald": False, **{other: False for other in _HAIR if other != colour}}
        for colour in _HAIR
    },
}

_ALONG: dict[tuple[str, bool], dict[str, bool]] = {
    ("smiling", True): {"high-cheekbones": True},
    ("smiling", False): {"high-cheekbones": False, "mouth-slightly-open": False},
    ("male", True): {"heavy-makeup": False, "wearing-lipstick": False},
    **{("heavy-makeup", there): {"wearing-lipstick": there} for there in (False, True)},
}


MOST = 5.0
"""How many times --strength an attribute may have; nothing is drawn beyond."""


def follows(slug: str, added: bool) -> Mapping[str, bool]:
    """What cannot stay as it is when an attribute is added, or taken away: slugs, and there or not.

    The hair has one colour, and the bald have none.
    """
    return _FOLLOWS.get((slug, added), {})


def brings(slug: str, added: bool) -> Mapping[str, bool]:
    """What changes with an attribute unless it is asked for otherwise: what follows, and what goes
    along with it in people.

    Who stops smiling and is to keep the open mouth and the cheeks of a smile, which hardly anyone
    has, gets lines around the mouth that fool a classifier, and no other expression.
    """
    return {**_ALONG.get((slug, added), {}), **follows(slug, added)}


def parse(words: Iterable[str]) -> dict[str, float]:
    """The slugs that the words of an option name, in the order given, and how much of each.

    A word may hold several names between commas, each with a number: `bangs=0.7,young`; 1 is meant
    without. Case, `-`, `_` and spaces do not matter. Raises Misuse for a name that is none, with
    the nearest ones, for a number that is not above 0 or over `MOST`, and for two numbers of one
    name.
    """
    amounts: dict[str, float] = {}
    for typed in (part for word in words for part in word.split(",") if part.strip()):
        name, given, number = typed.partition("=")
        slug, amount = _slug(name), _amount(typed, number) if given else 1.0
        if amounts.setdefault(slug, amount) != amount:
            raise Misuse(f"{slug} has two numbers, {amounts[slug]:g} and {amount:g}: leave one out")
    return amounts


def check(added: Iterable[str], removed: Iterable[str]) -> None:
    """Raises Misuse when two of the slugs cannot be had together: `follows` says which."""
    wanted = [(slug, True) for slug in added] + [(slug, False) for slug in removed]
    for index, (slug, there) in enumerate(wanted):
        for other, other_there in wanted[index + 1 :]:
            if (
                other == slug
                or follows(slug, there).get(other, other_there) != other_there
                or follows(other, other_there).get(slug, there) != there
            ):
                raise Misuse(
                    f"{_option(there)} {slug} and {_option(other_there)} {other} contradict each "
                    "other: leave one out"
                )


def _option(there: bool) -> str:
    return "--add" if there else "--remove"


def _amount(typed: str, number: str) -> float:
    try:
        amount = float(number)
    except ValueError:
        amount = math.nan
    if 0 < amount <= MOST:
        return amount
    raise Misuse(f"{typed.strip()}: give a number above 0, to {MOST:g}, after =, as in bangs=0.7")


def _slug(typed: str) -> str:
    bare = _bare(typed)
    if bare in _BY_BARE_NAME:
        return _BY_BARE_NAME[bare]
    parts = [name for name in _BY_BARE_NAME if len(bare) > 2 and bare in name]
    near = parts or get_close_matches(bare, _BY_BARE_NAME, n=3)
    hint = f"did you mean {' or '.join(_BY_BARE_NAME[n] for n in near)}?" if near else ""
    raise Misuse(
        f"no attribute is called {typed.strip()!r}; {hint or '`imgan edit --list` has them'}"
    )


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, american(name.lower())))


_BY_BARE_NAME = {_bare(slug): slug for slug in SLUGS}
