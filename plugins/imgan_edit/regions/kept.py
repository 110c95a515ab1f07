"""How often each edit was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from imgan.kept import Kept

KEPT = {
    ("pale-skin", False): Kept(8, 14, "faces before an orange edge, very dark skin"),
    ("wearing-lipstick", True): Kept(7, 12, "open smiles"),
    ("rosy-cheeks", True): Kept(7, 12, "dark skin"),
    ("brown-hair", True): Kept(8, 14, "very dark hair, gaps between curls"),
    ("smiling", True): Kept(5, 14, "eyes that do not smile; teeth are never added"),
    ("black-hair", True): Kept(7, 15, "light hair before a light ground, fringe tips"),
    ("pale-skin", True): Kept(6, 14, "dark skin, bright light"),
    ("mustache", True): Kept(4, 11, "smooth lips; women and children"),
    ("5-o-clock-shadow", True): Kept(4, 11, "smooth chins; women and children"),
    ("young", True): Kept(5, 14, "faces that are young already"),
    ("heavy-makeup", True): Kept(4, 12, "open smiles, dark skin"),
    ("bushy-eyebrows", True): Kept(4, 13, "thin brows"),
    ("arched-eyebrows", True): Kept(3, 10, "brows near the lids"),
    ("eyeglasses", True): Kept(3, 14, "small faces, hair before the face, bare temples"),
    ("no-beard", False): Kept(3, 11, "smooth chins; women and children"),
    ("sunglasses", True): Kept(3, 14, "small faces, hair before the face, bare temples"),
    ("eyeglasses", False): Kept(1, 6, "thick frames, brows behind rims"),
    ("smiling", False): Kept(2, 14, "smiles that show teeth"),
    ("goatee", True): Kept(2, 11, "smooth chins; women and children"),
    ("young", False): Kept(2, 14, "hair and ground turn grey"),
    ("mouth-slightly-open", False): Kept(0, 5, "nearly always"),
    ("blond-hair", True): Kept(2, 13, "dark hair, curls"),
    ("gray-hair", True): Kept(0, 15, "nearly always"),
    ("bangs", True): Kept(0, 11, "nearly always"),
}
"""By attribute and whether it was added; portraits that no network was trained on, two thirds of
them sharp ones of 600 pixels and more, the others of CelebAMask-HQ."""


def experimental(edit: tuple[str, bool]) -> bool:
    """Whether an edit is kept so seldom that it has to be asked for as what it is."""
    figure = KEPT.get(edit)
    return figure is not None and figure.experimental
