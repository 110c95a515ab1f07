"""How often each edit was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from imgan.kept import Kept

KEPT = {
    ("pale-skin", False): Kept(8, 14, "faces before an orange edge, very dark skin"),
    ("wearing-lipstick", True): Kept(7, 12, "open smiles"),
    ("bangs", True): Kept(7, 11, "sharp close-ups; always curtain bangs; bands, curls"),
    ("rosy-cheeks", True): Kept(7, 12, "dark skin"),
    ("sunglasses", True): Kept(6, 12, "faces close to the camera, short arms"),
    ("brown-hair", True): Kept(6, 14, "scarves, bands and hands in the hair"),
    ("pale-skin", True): Kept(6, 14, "dark skin, bright light"),
    ("eyeglasses", True): Kept(5, 12, "faces close to the camera, short arms"),
    ("mustache", True): Kept(4, 11, "smooth lips; women and children"),
    ("5-o-clock-shadow", True): Kept(4, 11, "smooth chins; women and children"),
    ("smiling", True): Kept(5, 14, "eyes that do not smile; teeth are never added"),
    ("black-hair", True): Kept(5, 14, "light fringes, scarves and bands in the hair"),
    ("young", True): Kept(5, 14, "faces that are young already"),
    ("heavy-makeup", True): Kept(4, 12, "open smiles, dark skin"),
    ("bushy-eyebrows", True): Kept(4, 13, "thin brows"),
    ("arched-eyebrows", True): Kept(3, 10, "brows near the lids"),
    ("no-beard", False): Kept(3, 11, "smooth chins; women and children"),
    ("goatee", True): Kept(2, 11, "smooth chins; women and children"),
    ("smiling", False): Kept(2, 14, "smiles that show teeth"),
    ("young", False): Kept(2, 14, "hair and ground turn grey"),
    ("gray-hair", True): Kept(2, 14, "a grey veil on skin, flat grey"),
    ("blond-hair", True): Kept(1, 14, "dark hair, skin and things beside hair"),
    ("eyeglasses", False): Kept(0, 6, "nearly always"),
    ("mustache", False): Kept(0, 7, "nearly always"),
    ("mouth-slightly-open", False): Kept(0, 5, "nearly always"),
}
"""By attribute and whether it was added; portraits that no network was trained on, two thirds of
them sharp ones of 600 pixels and more, the others of CelebAMask-HQ."""


def experimental(edit: tuple[str, bool]) -> bool:
    """Whether an edit is kept so seldom that it has to be asked for as what it is."""
    figure = KEPT.get(edit)
    return figure is not None and figure.experimental
