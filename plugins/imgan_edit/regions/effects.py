"""What the engine knows: an effect for each attribute that it adds, or takes away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from imgan.errors import Failure, Skip
from imgan.images.fields import resized
from imgan_edit.regions.age import older, younger
from imgan_edit.regions.bangs import add_bangs
from imgan_edit.regions.beard import add_beard, add_goatee, add_moustache, add_stubble
from imgan_edit.regions.brows import arched_brows, bushy_brows
from imgan_edit.regions.glasses import add_eyeglasses, add_sunglasses
from imgan_edit.regions.hair_color import DYES, Dye, hair_color
from imgan_edit.regions.makeup import eye_makeup, lipstick, rosy_cheeks
from imgan_edit.regions.matte import hair_box
from imgan_edit.regions.mouth import close_mouth, no_smile, smile
from imgan_edit.regions.removal import remove_eyeglasses, remove_moustache
from imgan_edit.regions.skin import pale_skin, tanned_skin
from imgan_edit.regions.view import Change, Effect, View, bounds


def heavy_makeup(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Lips, eyes and cheeks, as far as each is to be seen."""
    painted = [(lipstick, amount), (eye_makeup, amount), (rosy_cheeks, amount)]
    return chained(view, painted, rng)[0]


SMOOTH = 128.0
"""Distance of the eyes, in pixels, at which colours are changed at most."""

STRANDS = 96.0
"""The same for hair: what is finer than that keeps its contrast, and only its edges blur."""


def smooth(effect: Effect, eye_distance: float = SMOOTH) -> Effect:
    """An effect that changes colours: of a large face it is made on a smaller copy, and what it
    added is enlarged. What is finer than that copy keeps its contrast."""

    def enlarged(view: View, amount: float, rng: np.random.Generator) -> Change:
        small = view.at(eye_distance)
        change = effect(small, amount, rng)
        if small is view:
            return change
        added = resized(change.where[..., None] * (change.pixels - small.pixels), *view.shape)
        where = (resized(change.where, *view.shape) > 1 / 256).astype(np.float32)
        return Change((view.pixels + added).clip(0, 1), where)

    return enlarged


def dyeing(dye: Dye) -> Effect:
    """The hair in that colour: only where there is hair, and the face, is looked at."""
    dyes = smooth(partial(hair_color, dye=dye), STRANDS)

    def around(view: View, amount: float, rng: np.random.Generator) -> Change:
        place = hair_box(view)
        change = dyes(view.cut(place), amount, rng)
        pixels, where = view.pixels.copy(), np.zeros(view.shape, np.float32)
        pixels[place], where[place] = change.pixels, change.where
        return Change(pixels, where)

    return around


EFFECTS: Mapping[tuple[str, bool], Effect] = {
    ("eyeglasses", False): remove_eyeglasses,
    ("mustache", False): remove_moustache,
    ("smiling", True): smile,
    ("smiling", False): no_smile,
    ("mouth-slightly-open", False): close_mouth,
    ("arched-eyebrows", True): arched_brows,
    ("bushy-eyebrows", True): bushy_brows,
    ("young", True): smooth(younger),
    ("young", False): smooth(older),
    ("pale-skin", True): smooth(pale_skin),
    ("pale-skin", False): smooth(tanned_skin),
    ("rosy-cheeks", True): smooth(rosy_cheeks),
    ("wearing-lipstick", True): smooth(lipstick),
    ("heavy-makeup", True): smooth(heavy_makeup),
    **{(f"{color}-hair", True): dyeing(dye) for color, dye in DYES.items()},
    ("5-o-clock-shadow", True): add_stubble,
    ("mustache", True): add_moustache,
    ("goatee", True): add_goatee,
    ("no-beard", False): add_beard,
    ("bangs", True): add_bangs,
    ("eyeglasses", True): add_eyeglasses,
    ("sunglasses", True): add_sunglasses,
}
"""By attribute and whether it is added, in the order in which several are done: what moves pixels
comes before what colours them."""


def chained(
    view: View, effects: Sequence[tuple[Effect, float]], rng: np.random.Generator
) -> tuple[Change, tuple[str, ...]]:
    """Effects one after the other, each with its amount, and why others of them were left out.

    Raises Skip, for the last one's reason, when none can be done.
    """
    where = np.zeros(view.shape, np.float32)
    pixels, reasons = view.pixels, []
    for effect, amount in effects:
        seen = replace(view, pixels=pixels)
        try:
            change = effect(seen, amount, rng)
        except Failure as failure:
            reasons.append(failure)
            continue
        place = bounds(change.where > 0)
        pixels = pixels.copy()
        before = pixels[place]
        pixels[place] = before + change.where[place][..., None] * (change.pixels[place] - before)
        where = np.maximum(where, change.where > 0)
    if reasons and len(reasons) == len(effects):
        raise Skip(str(reasons[-1]), code="face-unfit")
    return Change(pixels, where), tuple(map(str, reasons))
