"""How often each edit was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from imgan.kept import Kept

KEPT = {
    ("pale-skin", False): Kept(8, 14, "faces before an orange edge, very dark skin"),
    ("wearing-lipstick", True): Kept(7, 12, "open smiles"),
    ("bangs", True): Kept(7, 11, "sharp close-ups; always curtain bangs; bands, curls"),
    ("rosy-cheeks", True): Kept(7, 12, "dark skin"),
    ("sunglasses", True): Kept(6, 12, "faces close to the camera, short arms"),
    ("brown-hair", True): Kept(13, 29, "rims of the old colour; gaps and ground take colour"),
    ("pale-skin", True): Kept(6, 14, "dark skin, bright light"),
    ("eyeglasses", True): Kept(5, 12, "faces close to the camera, short arms"),
    ("mustache", True): Kept(6, 17, "open mouths, turned heads; women and children"),
    ("5-o-clock-shadow", True): Kept(9, 17, "open mouths, grey men; women and children"),
    ("smiling", True): Kept(27, 58, "corners hooked up on one side; teeth are never added"),
    ("black-hair", True): Kept(11, 28, "sideburns and rims of the old colour; hard edges"),
    ("young", True): Kept(5, 19, "folds that stay; grey hair beside smooth skin"),
    ("heavy-makeup", True): Kept(8, 12, "grey smudges on lids; children"),
    ("bushy-eyebrows", True): Kept(4, 13, "thin brows"),
    ("arched-eyebrows", True): Kept(7, 12, "inner ends that stay low"),
    ("no-beard", False): Kept(13, 33, "open mouths, turned heads; women and children"),
    ("goatee", True): Kept(11, 33, "open mouths, turned heads; square sides"),
    ("smiling", False): Kept(1, 7, "faint smiles; teeth that show are refused"),
    ("young", False): Kept(1, 14, "young faces, dark hair, fringes; hair like carved"),
    ("gray-hair", True): Kept(2, 6, "rims of the old colour; dark hair is refused"),
    ("blond-hair", True): Kept(7, 21, "a rim of the old colour at the forehead; ground"),
    ("male", True): Kept(2, 12, "open mouths, painted lips, hands"),
    ("male", False): Kept(1, 12, "beards, hard light, old men"),
    ("wavy-hair", True): Kept(3, 12, "short, black and curly hair"),
    ("bald", True): Kept(3, 12, "fringes, busy ground, ears behind hair"),
    ("eyeglasses", False): Kept(0, 6, "nearly always"),
    ("mustache", False): Kept(0, 7, "nearly always"),
    ("mouth-slightly-open", False): Kept(2, 11, "notches at the corners, thin upper lips"),
}
"""By attribute and whether it was added; portraits that no network was trained on, sharp ones
of 500 pixels and more and small ones of CelebAMask-HQ, FFHQ and LFW; beards of men."""


def experimental(edit: tuple[str, bool]) -> bool:
    """Whether an edit is kept so seldom that it has to be asked for as what it is."""
    figure = KEPT.get(edit)
    return figure is not None and figure.experimental
