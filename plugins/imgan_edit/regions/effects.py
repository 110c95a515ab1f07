"""What the engine knows: an effect for each attribute that it adds, or takes away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from imgan.errors import Failure, Skip
from imgan.images.fields import reached, resized
from imgan_edit.regions.age import older, younger
from imgan_edit.regions.bald import shaven_head
from imgan_edit.regions.bangs import add_bangs
from imgan_edit.regions.beard import add_beard, add_goatee, add_moustache, add_stubble
from imgan_edit.regions.brows import arched_brows, bushy_brows
from imgan_edit.regions.gender import (
    plain_lips,
    softer_form,
    stronger_form,
    without_shadow,
)
from imgan_edit.regions.glasses import add_eyeglasses, add_sunglasses
from imgan_edit.regions.hair_color import DYES, Dye, hair_color
from imgan_edit.regions.makeup import eye_makeup, lipstick, rosy_cheeks
from imgan_edit.regions.matte import hair_box
from imgan_edit.regions.mouth import close_mouth, no_smile, smile
from imgan_edit.regions.removal import remove_eyeglasses, remove_moustache
from imgan_edit.regions.silver import gray_hair
from imgan_edit.regions.skin import pale_skin, tanned_skin
from imgan_edit.regions.view import Change, Effect, View, bounds, within
from imgan_edit.regions.waves import add_waves


def heavy_makeup(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Lips, eyes and cheeks, as far as each is to be seen."""
    painted = [
        (lipstick, 0.65 * amount),
        (eye_makeup, 0.85 * amount),
        (rosy_cheeks, 0.45 * amount),
    ]
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
        change = change.whole(small)
        added = change.where[..., None] * (change.pixels - small.pixels)
        place = reached(bounds(change.where > 0), small.shape, view.shape)
        pixels = resized(added, *view.shape, place)
        pixels += view.pixels[place]
        where = resized(change.where, *view.shape, place) > 1 / 256
        return Change(pixels.clip(0, 1, out=pixels), where.astype(np.float32), place)

    return enlarged


def dyeing(dye: Dye) -> Effect:
    """The hair in that colour."""
    return of_hair(partial(hair_color, dye=dye))


def of_hair(effect: Effect) -> Effect:
    """An effect that changes the hair's colours: only where there is hair, and the face, is looked
    at."""
    dyes = smooth(effect, STRANDS)

    def around(view: View, amount: float, rng: np.random.Generator) -> Change:
        box = hair_box(view)
        change = dyes(view.cut(box), amount, rng)
        return replace(change, place=within(box, change.box))

    return around


def woman(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Smooth skin without the shadow of a beard, a little make-up, a softer form. Raises Failure
    for a beard, and for a head that is turned far."""
    shaven = replace(view, pixels=without_shadow(view, amount, rng).pixels)
    made_up = [
        (smooth(younger), 0.8 * amount),
        (smooth(lipstick), 0.38 * amount),
        (eye_makeup, 0.5 * amount),
        (smooth(rosy_cheeks), 0.45 * amount),
    ]
    painted = replace(view, pixels=chained(shaven, made_up, rng)[0].whole(shaven).pixels)
    return _formed_last(view, painted, softer_form, amount, rng)


def man(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Stubble, bushier brows, plain lips, a stronger form. Raises Failure for painted lips, and for
    a head that is turned far."""
    plain = replace(view, pixels=plain_lips(view, amount, rng).pixels)
    grown = [(bushy_brows, 0.6 * amount), (smooth(add_stubble, STRANDS), 0.45 * amount)]
    painted = replace(view, pixels=chained(plain, grown, rng)[0].whole(plain).pixels)
    return _formed_last(view, painted, stronger_form, amount, rng)


def _formed_last(
    view: View, painted: View, form: Effect, amount: float, rng: np.random.Generator
) -> Change:
    """What moves comes last: masks do not move with it."""
    pixels = form(painted, amount, rng).pixels
    return Change(pixels, (pixels != view.pixels).any(2).astype(np.float32))


EFFECTS: Mapping[tuple[str, bool], Effect] = {
    ("eyeglasses", False): remove_eyeglasses,
    ("mustache", False): remove_moustache,
    ("smiling", True): smile,
    ("smiling", False): no_smile,
    ("mouth-slightly-open", False): close_mouth,
    ("male", True): man,
    ("male", False): woman,
    ("wavy-hair", True): add_waves,
    ("bald", True): shaven_head,
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
    ("gray-hair", True): of_hair(gray_hair),
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
    nothing = slice(0, 0), slice(0, 0)
    done = Change(view.pixels[nothing], np.zeros((0, 0), np.float32), nothing)
    seen, reasons = view, []
    for effect, amount in effects:
        if done.where.size:
            seen = replace(view, pixels=done.whole(view).pixels)
        try:
            change = effect(seen, amount, rng).trimmed()
        except Failure as failure:
            reasons.append(failure)
            continue
        before = seen.pixels[change.box]
        pixels = change.pixels - before
        pixels *= change.where[..., None]
        pixels += before
        change = Change(pixels, (change.where > 0).astype(np.float32), change.box)
        done = _both(seen, done, change) if done.where.size else change
    if reasons and len(reasons) == len(effects):
        raise Skip(str(reasons[-1]), code="face-unfit")
    return done, tuple(map(str, reasons))


def _both(view: View, first: Change, second: Change) -> Change:
    """A change, and a second one, of the view that shows the first already."""
    where = first.whole(view).where
    where[second.box] = np.maximum(where[second.box], second.where)
    pixels = view.pixels.copy()
    pixels[second.box] = second.pixels
    return Change(pixels, where).trimmed()
