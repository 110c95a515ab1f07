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


DRAWN = ("sunglasses",)
"""What is drawn, and no attribute of CelebA's."""

NAMED = (*SLUGS, *DRAWN)
"""What people may name; the order of changes."""

SEEN_AS = {slug: index for index, slug in enumerate(SLUGS)} | {
    "sunglasses": SLUGS.index("eyeglasses")
}
"""By which of the 40 a classifier sees each."""

_BEARD = ("5-o-clock-shadow", "goatee", "mustache", "sideburns")

HAIR_COLOURS = ("black-hair", "blond-hair", "brown-hair", "gray-hair")
"""Colours of which hair has one."""

_FOLLOWS: dict[tuple[str, bool], dict[str, bool]] = {
    ("bald", True): dict.fromkeys(("bangs", "wavy-hair", "straight-hair", *HAIR_COLOURS), False),
    ("bangs", True): {"bald": False, "receding-hairline": False},
    ("wavy-hair", True): {"bald": False, "straight-hair": False},
    ("no-beard", True): dict.fromkeys(_BEARD, False),
    ("mustache", True): {"no-beard": False},
    ("male", False): {"no-beard": True, **dict.fromkeys(_BEARD, False)},
    ("sunglasses", True): {"eyeglasses": False},
    **{
        (colour, True): {"bald": False, **{o: False for o in HAIR_COLOURS if o != colour}}
        for colour in HAIR_COLOURS
    },
}


OPPOSITES = {"beard": "no-beard", "old": "young", "woman": "male"}
"""What people say, and the attribute of which it is the lack."""

_COMMON = {
    "glasses": "eyeglasses", "lipstick": "wearing-lipstick", "makeup": "heavy-makeup",
    "man": "male", "moustache": "mustache", "smile": "smiling", "stubble": "5-o-clock-shadow",
    "wavy": "wavy-hair",
}  # fmt: skip
"""What else people say."""

PAINTED = frozenset({"eyeglasses", "mustache"})
"""What is taken away by a network that paints the skin under it."""

MOST = 5.0
"""How many times --strength an attribute may have; nothing is drawn beyond."""


def follows(slug: str, added: bool) -> Mapping[str, bool]:
    """What cannot stay as it is when an attribute is added, or taken away: slugs, and there or not.

    The hair has one colour, and the bald have none.
    """
    return _FOLLOWS.get((slug, added), {})


def parse(words: Iterable[str]) -> dict[str, float]:
    """The slugs that the words of an option name, in the order given, and how much of each.

    A word may hold several names between commas, each with a number: `bangs=0.7,young`; 1 is meant
    without. Case, `-`, `_` and spaces do not matter. Raises Misuse for a name that is none, with
    the nearest ones, for a number that is not above 0 or over `MOST`, and for two numbers of one
    name. An opposite comes as itself: `changes` knows what it lacks.
    """
    amounts: dict[str, float] = {}
    for typed in (part for word in words for part in word.split(",") if part.strip()):
        name, given, number = typed.partition("=")
        slug, amount = _slug(name), _amount(typed, number) if given else 1.0
        if amounts.setdefault(slug, amount) != amount:
            raise Misuse(f"{slug} has two numbers, {amounts[slug]:g} and {amount:g}: leave one out")
    return amounts


def changes(
    add: Iterable[str], remove: Iterable[str]
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """What to add and what to take away, and how much: to add a beard is to remove no-beard.

    Raises what `parse` raises.
    """
    named = {True: parse(add), False: parse(remove)}
    sides: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for there, amounts in named.items():
        for slug, amount in amounts.items():
            opposite = OPPOSITES.get(slug)
            sides[there ^ (opposite is not None)].setdefault(opposite or slug, amount)
    return sides[True], sides[False]


def spoken(slug: str, added: bool) -> tuple[str, str]:
    """The option and the word by which people ask for an attribute, or for its lack."""
    for word, lacked in OPPOSITES.items():
        if slug == lacked and (not added or slug.startswith("no-")):
            return "--remove" if added else "--add", word
    return "--add" if added else "--remove", slug


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
                both = " and ".join(
                    " ".join(spoken(*one)) for one in ((slug, there), (other, other_there))
                )
                raise Misuse(f"{both} contradict each other: leave one out")


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


_BY_BARE_NAME = {_bare(slug): slug for slug in (*NAMED, *OPPOSITES)} | _COMMON
