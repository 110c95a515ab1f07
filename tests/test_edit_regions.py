"""The engine `regions` on drawn faces: each effect where it belongs, as much as asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from imgan.errors import Failure, Skip
from imgan.faces import Face
from imgan.images import Picture, Source, to_srgb
from imgan.images.fields import Place, blurred, boxed, guided, reached, resized, warped
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.attributes import PAINTED
from imgan_edit.regions import engine, warp
from imgan_edit.regions.closing import Gap
from imgan_edit.regions.clusters import share_of
from imgan_edit.regions.effects import EFFECTS, chained
from imgan_edit.regions.hair_color import DYES, SLOPE, Dye, Tone, dyed, hair_color
from imgan_edit.regions.lips import Lips
from imgan_edit.regions.matte import hair_alpha, hair_matte
from imgan_edit.regions.skin import skin_matte
from imgan_edit.regions.view import Effect, Masks, View
from imgan_parse import CLASSES

UNIT = 40
"""The eyes of drawn faces are so far apart."""

COLOURS = {
    "background": (0.75, 0.8, 0.85), "skin": (0.85, 0.65, 0.55), "nose": (0.86, 0.66, 0.56),
    "left_eye": (0.9, 0.9, 0.9), "right_eye": (0.9, 0.9, 0.9), "left_brow": (0.3, 0.2, 0.15),
    "right_brow": (0.3, 0.2, 0.15), "mouth": (0.95, 0.95, 0.9), "upper_lip": (0.7, 0.35, 0.35),
    "lower_lip": (0.75, 0.4, 0.4), "hair": (0.36, 0.24, 0.16), "neck": (0.8, 0.6, 0.5),
    "cloth": (0.2, 0.3, 0.6),
}  # fmt: skip


@cache
def drawn(
    gap: float = 0.0,
    scale: float = 1.0,
    grey: bool = False,
    smiling: bool = False,
    hair: float = 1.2,
) -> View:
    """A face of ovals, 4 x 4.4 distances of the eyes, with strands and pores. `gap` opens the
    mouth by so much of that distance; so far below the eyes `hair` hangs."""
    unit = UNIT * scale
    height, width = round(4.4 * unit) | 1, round(4 * unit) | 1
    middle = width / 2, 2.0 * unit
    x = (np.arange(width) + 0.5 - middle[0]) / unit
    y = (np.arange(height)[:, None] + 0.5 - middle[1]) / unit

    def oval(cx: float, cy: float, rx: float, ry: float) -> NDArray[np.bool_]:
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1

    face = oval(0, 0.45, 0.95, 1.35)
    hairline = -0.55 if hair else -0.75  # short hair leaves more of the forehead
    lips = y + (0.1 * (x / 0.42) ** 2 if smiling else 0)  # from where they are, to y of no smile

    def lip(rx: float, ry: float) -> NDArray[np.bool_]:
        return (x / rx) ** 2 + ((lips - 1.05) / ry) ** 2 < 1

    shapes = {
        "hair": oval(0, 0.2, 1.35, 1.65) & (y < hair),
        "neck": (np.abs(x) < 0.5) & (y > 1.2),
        "cloth": (y > 2.1) & (np.abs(x) < 1.7),
        "skin": face & (y > hairline - 0.1 * np.cos(2 * x)),
        "nose": oval(0, 0.45, 0.2, 0.2),
        "left_eye": oval(-0.5, 0, 0.2, 0.08), "right_eye": oval(0.5, 0, 0.2, 0.08),
        "left_brow": oval(-0.5, -0.28, 0.3, 0.06), "right_brow": oval(0.5, -0.28, 0.3, 0.06),
        "mouth": lip(0.36, gap / 2 + 1e-6) & (np.abs(lips - 1.05) < gap / 2),
        "upper_lip": lip(0.42, 0.1 + gap / 2) & (lips < 1.05),
        "lower_lip": lip(0.42, 0.12 + gap / 2) & (lips >= 1.05),
    }  # fmt: skip
    names = np.zeros((height, width), int)
    for name in ("hair", "neck", "cloth", "skin", "nose", "left_eye", "right_eye", "left_brow",
                 "right_brow", "upper_lip", "lower_lip", "mouth"):  # fmt: skip
        names[shapes[name]] = CLASSES.index(name)
    palette = np.array([COLOURS.get(name, (0.5,) * 3) for name in CLASSES])
    rng = np.random.default_rng(0)
    strands = (
        1 + 0.35 * rng.normal(size=(1, width, 1)) * (names == CLASSES.index("hair"))[..., None]
    )
    folds = (
        1 + 0.05 * np.sin(40 * y + 3 * x)[..., None] * (names == CLASSES.index("skin"))[..., None]
    )
    pixels = (palette[names] * strands * folds).clip(0.02, 0.98)
    pixels = blurred((pixels + rng.normal(0, 0.004, pixels.shape)).astype(np.float32), 0.6)
    if grey:
        pixels = np.repeat(pixels.mean(2, keepdims=True), 3, 2)
    pixels = (pixels.clip(0, 1) * 255).round().astype(np.float32) / 255
    masks = Masks({
        name: blurred((names == i).astype(np.float32), 0.8) for i, name in enumerate(CLASSES)
    })  # fmt: skip
    points = np.array([[-0.5, 0], [0.5, 0], [0, 0.55], [-0.38, 1.05], [0.38, 1.05]])
    return View(pixels, points * unit + middle, masks, (0, 0, width, height))


DRAWN = [edit for edit in EFFECTS if edit[1] or edit[0] not in PAINTED if edit[0] != "bangs"]
"""What needs no painter, nor, as bangs do, strands and a parting: test_edit_things.py has these."""


def moved(view: View, effect: Effect, amount: float = 1.0) -> NDArray[np.floating]:
    """What an effect adds to a view."""
    made = effect(view, amount, np.random.default_rng(0)).whole(view)
    assert made.pixels.shape == view.pixels.shape
    assert made.pixels.min() >= 0
    assert made.pixels.max() <= 1
    return made.where[..., None] * (made.pixels - view.pixels)


def much(view: View, change: NDArray[np.floating], *names: str) -> float:
    """The mean change in some parts, away from their borders."""
    part = view.part(*names) > 0.99
    return float(np.abs(change).sum(2)[part].mean())


def opened(slug: str, added: bool, grey: bool = False) -> View:
    """A face on which the effect can be done."""
    gap = 0.08 if slug == "mouth-slightly-open" else 0.0
    # Glasses are for larger faces.
    scale = 1.3 if slug.endswith("glasses") else 1.0
    hair = {"bald": 0.0, "wavy-hair": 2.0}.get(slug, 1.2)
    return drawn(gap, scale, grey, (slug, added) == ("smiling", False), hair)


@pytest.mark.parametrize(("slug", "added"), DRAWN)
def test_effects_change_something_stay_off_the_ground_and_follow_the_amount(
    slug: str, added: bool
) -> None:
    view, effect = opened(slug, added), EFFECTS[slug, added]
    none, half, whole = (moved(view, effect, amount) for amount in (0.0, 0.5, 1.0))
    assert np.abs(whole).max() > 0.03
    if slug != "mouth-slightly-open":
        assert np.abs(none).max() < 0.02
        assert np.abs(none).sum() < np.abs(half).sum() < np.abs(whole).sum()
    assert much(view, whole, "cloth") < 0.002
    assert np.abs(whole[:4]).max() < 0.02
    assert np.abs(whole[:, :4]).max() < 0.02


@pytest.mark.parametrize(("slug", "added"), DRAWN)
def test_a_grey_face_gets_hardly_any_colour(slug: str, added: bool) -> None:
    view = opened(slug, added, grey=True)
    made = EFFECTS[slug, added](view, 1.0, np.random.default_rng(0))
    assert np.ptp(made.pixels, axis=2).max() < 0.06


@pytest.mark.parametrize("color", DYES)
def test_hair_gets_its_colour_and_skin_keeps_its_own(color: str) -> None:
    view = drawn()
    change = moved(view, EFFECTS[f"{color}-hair", True])
    lab = to_oklab((view.pixels + change).clip(0, 1))[view.part("hair") > 0.99].mean(0)
    assert lab[0] == pytest.approx(DYES[color].middle, abs=0.1)
    assert (np.hypot(*lab[1:]) < 0.03) == (color == "black")
    assert much(view, change, "skin") < 0.02
    assert much(view, change, "left_eye", "right_eye", "left_brow", "right_brow") < 0.01


def test_grey_hair_is_lighter_paler_and_keeps_dark_strands() -> None:
    view = drawn()
    change = moved(view, EFFECTS["gray-hair", True])
    inside = view.part("hair") > 0.99
    before, after = (to_oklab(p.clip(0, 1))[inside] for p in (view.pixels, view.pixels + change))
    assert after[:, 0].mean() > before[:, 0].mean() + 0.08
    assert after[:, 0].std() > before[:, 0].std()
    assert np.hypot(*after[:, 1:].mean(0)) < 0.6 * np.hypot(*before[:, 1:].mean(0))
    assert much(view, change, "skin") < 0.02


@pytest.mark.parametrize("dye", [*DYES.values(), dyed("#7a3b2e")])
@pytest.mark.parametrize("middle", [0.3, 0.45, 0.75])
def test_lightness_goes_up_nowhere_steeply_and_ends_before_white(dye: Dye, middle: float) -> None:
    hair = np.linspace(middle - 0.15, middle + 0.15, 50, dtype=np.float32)
    tone = Tone.of(hair, np.ones_like(hair), dye, 1.0)
    light = np.linspace(0, 1, 400, dtype=np.float32)
    slopes = np.diff(tone(light)) / np.diff(light)
    assert slopes.min() > -1e-3
    assert slopes.max() < SLOPE[1] + 1e-3
    assert tone(light).min() > 0
    assert tone(light).max() < 0.97


def painted(name: str, colour: tuple[float, float, float], strands: float = 0.0) -> View:
    """The drawn face whose `name` has another colour, flat but for `strands` of the photo's."""
    view = drawn()
    part = view.part(name)[..., None]
    made = np.array(colour, np.float32) + strands * (view.pixels - np.array(COLOURS[name]))
    pixels = view.pixels + part * (made - view.pixels)
    return View(pixels.clip(0, 1).astype(np.float32), view.points, view.parts, view.box)


def half_blue() -> View:
    """The drawn face whose hair is blue on one side."""
    view, blue = drawn(), painted("hair", (0.1, 0.2, 0.7))
    left = view.frame[0][..., None] < 0
    return View(np.where(left, blue.pixels, view.pixels), view.points, view.parts, view.box)


def unsure() -> View:
    """The drawn face of which the parser knows only about where its hair ends."""
    view = drawn()
    hair = blurred(view.parts["hair"], 0.12 * UNIT)
    return View(view.pixels, view.points, Masks({**view.parts, "hair": hair}), view.box)


@pytest.mark.parametrize(
    ("view", "color", "why"),
    [
        (unsure(), "brown", "is not sure"),
        (painted("hair", (0.7, 0.6, 0.42), 0.5), "black", "so light"),
        (painted("hair", (0.04, 0.03, 0.03)), "blond", "so dark"),
        (painted("hair", (0.1, 0.07, 0.06), 0.3), "gray", "so dark"),
        (painted("hair", (0.05, 0.045, 0.04), 0.3), "black", "that colour already"),
        (painted("background", COLOURS["hair"]), "brown", "looks so much like"),
        (half_blue(), "black", "several colours"),
    ],
)
def test_hair_that_would_not_be_dyed_well_is_refused(view: View, color: str, why: str) -> None:
    with pytest.raises(Failure, match=why):
        EFFECTS[f"{color}-hair", True](view, 1.0, np.random.default_rng(0))


def test_a_cut_of_a_view_shows_the_same_parts_where_they_are() -> None:
    view = drawn()
    place = slice(20, 120), slice(30, 130)
    part = view.cut(place)
    assert np.array_equal(part.part("skin"), view.part("skin")[place])
    np.testing.assert_allclose(part.points + np.array([30, 20]), view.points)
    assert part.box == (30, 20, 100, 100)
    whole = view.at(20).part("skin")[10:60, 15:65]
    np.testing.assert_allclose(part.at(20).part("skin"), whole, atol=0.06)


def test_a_change_of_a_part_of_a_view_is_one_of_the_whole() -> None:
    view = drawn()
    made = EFFECTS["black-hair", True](view, 1.0, np.random.default_rng(0))
    rows, columns = made.trimmed().box
    whole = made.whole(view)
    assert rows.stop - rows.start < view.shape[0]
    assert np.array_equal(whole.trimmed().pixels, made.trimmed().pixels)
    assert (whole.pixels[whole.where == 0] == view.pixels[whole.where == 0]).all()
    assert not whole.where[:, : columns.start].any()


def test_a_free_colour_dyes_to_that_colour() -> None:
    view = drawn()
    change = moved(view, partial(hair_color, dye=dyed("#7a3b2e")))
    mean = (view.pixels + change)[view.part("hair") > 0.99].mean(0)
    np.testing.assert_allclose(mean, np.array([0x7A, 0x3B, 0x2E]) / 255, atol=0.09)


def test_hair_that_is_mixed_with_the_wall_gives_the_wall_back() -> None:
    view = drawn()
    matte = hair_matte(view)
    border = (matte.alpha > 0.2) & (matte.alpha < 0.8)
    assert border.any()
    # As hair all through it is no lighter than hair.
    assert matte.hair[border].mean() < 0.45
    assert view.pixels[border].mean() > matte.hair[border].mean() + 0.05
    assert matte.alpha[view.part("hair") > 0.999].mean() > 0.97
    assert matte.alpha[view.part("skin") > 0.999].mean() < 0.02


def test_a_hand_that_the_parser_took_for_hair_is_none_and_a_large_one_is_refused() -> None:
    view = drawn()
    x, y = view.frame
    away = np.hypot(x + 1.1, y - 0.6)
    hand = np.where((away < 0.22)[..., None], np.float32(COLOURS["skin"]), view.pixels)
    held = View(hand, view.points, view.parts, view.box)
    alpha = hair_matte(held).alpha
    assert alpha[away < 0.15].max() < 0.1
    assert alpha[(view.part("hair") > 0.99) & (away > 0.4)].mean() > 0.95
    with pytest.raises(Failure, match="are not found"):
        moved(held, EFFECTS["black-hair", True])


def test_clusters_tell_what_has_the_colours_of_a_part() -> None:
    view = drawn()
    near = np.ones(view.shape, bool)
    near[:10] = False
    # Where the part is not known it is found by its colour.
    known = view.part("hair") * (view.frame[0] < 1.2)
    share = share_of(known, view, near)
    assert share[(view.part("hair") > 0.99) & near].mean() > 0.85
    assert share[view.part("skin", "background") > 0.99].mean() < 0.06
    assert not share[:10].any()
    np.testing.assert_array_equal(share, share_of(known, view, near))


def test_who_has_no_hair_gets_no_colour() -> None:
    view = drawn()
    bald = View(view.pixels, view.points, Masks({**view.parts, "hair": 0 * view.parts["hair"]}),
                view.box)  # fmt: skip
    with pytest.raises(Failure, match="no hair to colour"):
        EFFECTS["black-hair", True](bald, 1.0, np.random.default_rng(0))


def test_pale_is_lighter_tanned_darker_and_hair_is_no_skin() -> None:
    view = drawn()
    pale, tanned = (moved(view, EFFECTS["pale-skin", added]) for added in (True, False))
    skin = view.part("skin") > 0.99
    assert pale[skin].mean() > 0.03
    assert tanned[skin].mean() < -0.05
    assert skin_matte(view)[view.part("hair") > 0.999].max() < 0.1


def test_a_smile_lifts_the_corners_and_another_mouth_lowers_them() -> None:
    for added in (True, False):
        view = drawn(smiling=not added)
        before = Lips.of(view)
        lips = view.part("upper_lip", "lower_lip")
        seen = View(np.repeat(lips[..., None], 3, 2), view.points, view.parts, view.box)
        made = EFFECTS["smiling", added](seen, 1.0, np.random.default_rng(0)).pixels[..., 0] > 0.3
        x = np.nonzero(made.any(0))[0]
        ends = [np.nonzero(made[:, column])[0].mean() for column in (x[2], x[-3])]
        lower = np.mean(ends) / UNIT - 2.0 - before.middle[1]
        wider = (x[-1] - x[0]) / UNIT / 2 - before.half
        assert (lower < -0.02, wider > 0) == (added, added)
    with pytest.raises(Failure, match="does not smile"):
        EFFECTS["smiling", False](drawn(), 1.0, np.random.default_rng(0))


def test_an_open_mouth_closes_and_what_cannot_close_well_is_left() -> None:
    view = drawn(gap=0.08)
    made = view.pixels + moved(view, EFFECTS["mouth-slightly-open", False])
    teeth = to_oklab(made)[..., 0][view.part("mouth") > 0.9]
    assert (teeth > 0.9).mean() < 0.05
    with pytest.raises(Failure, match="closed already"):
        EFFECTS["mouth-slightly-open", False](drawn(), 1.0, np.random.default_rng(0))
    with pytest.raises(Failure, match="laugh"):
        EFFECTS["mouth-slightly-open", False](drawn(gap=0.4), 1.0, np.random.default_rng(0))
    with pytest.raises(Failure, match="shows teeth"):
        EFFECTS["smiling", False](drawn(gap=0.08, smiling=True), 1.0, np.random.default_rng(0))
    shade = 1 - 0.6 * view.part("upper_lip")[..., None]
    shaded = replace(view, pixels=view.pixels * shade)
    with pytest.raises(Failure, match="shade"):
        EFFECTS["mouth-slightly-open", False](shaded, 1.0, np.random.default_rng(0))


def test_what_is_seen_between_lips_is_found_and_taken_out() -> None:
    view = drawn(gap=0.1)
    lips = Lips.of(view)
    gap = Gap.of(view, lips)
    assert gap.corners == pytest.approx(lips.corners)
    assert gap.width(np.array([-0.6, 0.0, 0.6])) == pytest.approx([0, 0.1, 0], abs=0.035)
    x, seam = np.zeros(2), gap.line(np.zeros(1))[0]
    # What meets at the seam came from both rims, and nose and chin stay.
    above, below = (shift(x, np.array([seam, 3.0])) for shift in (gap.above, gap.below))
    assert below[0] - above[0] == pytest.approx(gap.width(x)[0])
    assert gap.above(x, np.array([0.3, 0.5])) == pytest.approx(0)
    assert below[1] == 0
    # Corners are where the dark beyond the masks ends.
    right, down = view.frame
    dark = (np.abs(right) < 0.46) & (np.abs(down - lips.middle[1]) < 0.025)
    gaping = replace(view, pixels=np.where(dark[..., None], 0.1, view.pixels).astype(np.float32))
    assert Gap.of(gaping, lips).corners[:, 0] == pytest.approx([-0.46, 0.46], abs=0.03)


def test_a_turned_head_gets_no_other_mouth_and_hidden_lips_no_paint() -> None:
    view = drawn()
    points = view.points.copy()
    points[2, 0] += 0.4 * UNIT
    with pytest.raises(Failure, match=r"turned by \d+ degrees"):
        EFFECTS["smiling", True](View(view.pixels, points, view.parts, view.box), 1, None)
    lipless = {name: 0 * mask if "lip" in name else mask for name, mask in view.parts.items()}
    hidden = View(view.pixels, view.points, Masks(lipless), view.box)
    for slug in ("wearing-lipstick", "smiling"):
        with pytest.raises(Failure, match="lips are hidden"):
            EFFECTS[slug, True](hidden, 1.0, np.random.default_rng(0))


def test_old_deepens_the_folds_that_young_fills() -> None:
    view = drawn(scale=1.5)
    contrast = {}
    for added in (True, False):
        made = view.pixels + moved(view, EFFECTS["young", added])
        cheek = to_oklab(made)[..., 0][round(2.6 * 1.5 * UNIT) :, round(1.2 * 1.5 * UNIT) :]
        contrast[added] = cheek[: UNIT // 2, : UNIT // 2].std()
    before = to_oklab(view.pixels)[..., 0][round(2.6 * 1.5 * UNIT) :, round(1.2 * 1.5 * UNIT) :]
    plain = before[: UNIT // 2, : UNIT // 2].std()
    assert contrast[True] < 0.8 * plain
    assert contrast[False] > 1.3 * plain


def test_effects_in_a_row_each_count_and_one_that_cannot_be_done_does_not_stop_the_others() -> None:
    view = drawn()
    rng = np.random.default_rng(0)
    shut, black = EFFECTS["mouth-slightly-open", False], EFFECTS["black-hair", True]
    both, reasons = chained(view, [(shut, 1.0), (black, 1.0)], rng)
    assert reasons == ("the mouth is closed already",)
    alone = black(view, 1.0, rng)
    assert np.array_equal(both.whole(view).where > 0, alone.whole(view).where > 0)
    with pytest.raises(Skip, match="closed already"):  # a batch goes on
        chained(view, [(shut, 1.0)], rng)


def test_a_highlight_deep_in_the_hair_is_hair() -> None:
    view = drawn()
    lit = view.pixels.copy()
    rows, columns = slice(31, 35), slice(77, 85)
    assert (view.parts["hair"][rows, columns] > 0.9).all()
    wall = np.float32(COLOURS["hair"]) * 1.6
    lit[view.parts["background"] > 0.5] = wall
    lit[rows, columns] = wall
    alpha = hair_alpha(View(lit, view.points, view.parts, view.box))
    assert alpha[rows, columns].mean() > 0.9


class Drawn:
    """A parser that has drawn the face itself, in a photo of a face and nothing else."""

    def __init__(self, view: View) -> None:
        self.view = view

    def parse(self, picture: Picture, face: Face, box: tuple[int, int, int, int]) -> Drawn:
        self.pixels = to_srgb(picture.pixels, picture.source)
        assert picture.pixels.shape == self.view.pixels.shape
        return self

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        return self.view.parts[name]

    def piece(self, name: str, place: Place) -> NDArray[np.floating]:
        return self.view.parts[name][place]

    def at(self, height: int, width: int) -> dict[str, NDArray[np.floating]]:
        return self.view.parts.at(height, width)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("depth", [8, 16])
def test_a_face_is_edited_in_its_place_however_the_photo_lies(turns: int, depth: int) -> None:
    view = drawn()
    upright = (view.pixels * 255).round().astype(np.uint8)
    photo = np.ascontiguousarray(np.rot90(upright, -turns))
    seat = engine.Seat((slice(0, photo.shape[0]), slice(0, photo.shape[1])), 4 - turns)
    points = view.points
    height, width = upright.shape[:2]
    for _ in range(turns):  # a quarter clockwise
        points = np.stack([height - points[:, 1], points[:, 0]], 1)
        height, width = width, height
    np.testing.assert_allclose(
        engine.Seat(seat.place, turns).points(points), view.points, atol=1e-9
    )
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    face = Face((x0, y0, x1 - x0, y1 - y0), points)
    pixels = photo if depth == 8 else photo.astype(np.uint16) * 257 + 20
    picture = Picture(pixels)
    rng, blond = np.random.default_rng(0), EFFECTS["blond-hair", True]
    parser: Any = Drawn(view)
    drawing = engine.draw(engine.see(picture, face, parser), [(blond, 1.0)], rng)
    after = drawing.on(picture).pixels
    assert after.dtype == pixels.dtype
    change = np.abs(after.astype(int) - pixels).sum(2)
    hair = np.rot90(view.part("hair") > 0.99, -turns)
    far = np.rot90(view.part("hair", "skin", "background") < 0.01, -turns)
    assert (change[hair] > 0).mean() > 0.97
    assert not change[far].any()
    # Twice is the same; a grey photo stays grey; what is hidden stays.
    grey = Picture(np.repeat(pixels[..., :1], 3, 2), source=Source(grey=True))
    tinted = engine.draw(engine.see(grey, face, parser), [(blond, 1.0)], rng)
    assert np.ptp(tinted.on(grey).pixels.astype(int), axis=2).max() == 0
    pale, all_of_it = EFFECTS["pale-skin", True], np.ones((16, 16), np.float32)
    covered = engine.draw(engine.see(picture, face, parser), [(pale, 1.0)], rng, all_of_it)
    nose = np.rot90(view.part("nose") > 0.9, -turns)
    assert np.array_equal(covered.on(picture).pixels[nose], pixels[nose])


def test_oklab_goes_there_and_back_and_keeps_lightness_in_the_gamut() -> None:
    srgb = np.random.default_rng(0).random((200, 3)).astype(np.float32)
    np.testing.assert_allclose(from_oklab(to_oklab(srgb)), srgb, atol=3e-3)
    white, black = to_oklab(np.array([[1, 1, 1], [0, 0, 0]], np.float32))
    np.testing.assert_allclose([*white, *black], [1, 0, 0, 0, 0, 0], atol=2e-3)
    garish = from_oklab(np.array([[0.8, 0.3, 0.2]], np.float32))
    assert to_oklab(garish)[0, 0] == pytest.approx(0.8, abs=0.02)


def test_fields_are_smooth_within_range_and_of_any_size() -> None:
    plane = np.zeros((31, 47), np.float32)
    plane[15, 23] = 1
    wide = blurred(plane, 3.0)
    x = np.arange(47)
    assert wide.sum() == pytest.approx(1, abs=0.02)
    assert np.sqrt((wide * (x - 23) ** 2).sum()) == pytest.approx(3.0, rel=0.05)
    large = blurred(resized(plane, 310, 470), 30.0)
    assert large.max() <= resized(plane, 310, 470).max()
    step = np.repeat((np.arange(40) > 19)[None].astype(np.float32), 40, 0)
    guide = np.repeat(step[..., None], 3, 2)
    soft = blurred(step, 3.0)
    sharp = guided(guide, soft, 4, 1e-4)
    assert np.abs(np.diff(sharp)).max() > 3 * np.abs(np.diff(soft)).max()


def test_windows_are_means_and_a_part_of_an_enlargement_is_that_of_the_whole() -> None:
    plane = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    for radius in (2, 11):
        window = plane[8 - min(radius, 8) : 9 + radius, 20 - radius : 21 + radius]
        assert boxed(plane, radius)[8, 20] == pytest.approx(window.mean(), abs=1e-5)
    dot = np.zeros((21, 21), np.float32)
    dot[10, 10] = 1
    x = np.arange(21) - 10
    assert (boxed(dot, 1.4).sum(0) * x**2).sum() == pytest.approx(0.6 * 2 / 3 + 0.4 * 2, rel=1e-3)
    place = reached((slice(5, 9), slice(20, 40)), plane.shape, (75, 100))
    assert place == (slice(7, 28), slice(45, 100))
    part = resized(plane, 75, 100, place)
    assert np.abs(part - resized(plane, 75, 100)[place]).max() < 1e-4


def test_a_field_goes_through_its_points_and_pixels_go_with_it() -> None:
    places = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8], [0.2, 0.8]])
    values = np.array([[0.1, 0], [0, 0.1], [-0.1, 0], [0, 0]])
    x, y = np.meshgrid(np.linspace(0, 1, 51), np.linspace(0, 1, 51))
    field = warp.thin_plate(places, values, x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose([field[10, 10], field[10, 40], field[40, 25]], values[:3], atol=0.02)
    picture = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    still = np.zeros((20, 30), np.float32)
    assert np.array_equal(warped(picture, still, still), picture)
    right = warped(picture, still + 1, still)
    np.testing.assert_allclose(right[:, :-1], picture[:, 1:], atol=1e-6)


def test_a_bald_head_is_of_skin_where_there_was_hair() -> None:
    view = drawn(hair=0.0)
    made = EFFECTS["bald", True](view, 1.0, np.random.default_rng(0))
    after = view.pixels + made.where[..., None] * (made.pixels - view.pixels)
    x, y = view.frame
    crown = (np.abs(x) < 0.3) & (np.abs(y + 1.15) < 0.08)
    assert np.abs(view.pixels[crown].mean(0) - COLOURS["hair"]).max() < 0.1
    assert np.abs(after[crown].mean(0) - COLOURS["skin"]).max() < 0.1
    # Beyond the skull there is ground.
    outside = (np.abs(np.abs(x) - 1.13) < 0.04) & (np.abs(y + 0.5) < 0.1)
    assert np.abs(after[outside].mean(0) - COLOURS["background"]).max() < 0.12


def test_long_hair_does_not_become_bald_nor_short_hair_wavy() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Failure, match="long hair"):
        EFFECTS["bald", True](drawn(hair=2.0), 1.0, rng)
    with pytest.raises(Failure, match="too short to hang"):
        EFFECTS["wavy-hair", True](drawn(hair=0.0), 1.0, rng)


def test_waves_leave_the_face_and_swing_more_further_down() -> None:
    view = drawn(hair=2.0)
    change = moved(view, EFFECTS["wavy-hair", True])
    assert much(view, change, "nose") == 0
    _, y = view.frame
    hair = (view.part("hair") > 0.99)[..., None]
    above, below = (np.abs(change * hair * part[..., None]) for part in (y < -0.5, y > 0.4))
    assert below.max() > 2 * above.max()


def test_a_beard_does_not_become_a_woman_s() -> None:
    view = drawn()
    x, y = view.frame
    beard = (view.part("skin") > 0.5) & (y > 0.85) & (np.abs(x) < 0.6)
    bearded = replace(view, pixels=view.pixels * np.where(beard, 0.4, 1)[..., None])
    with pytest.raises(Failure, match="a beard"):
        EFFECTS["male", False](bearded, 1.0, np.random.default_rng(0))


def test_a_man_has_a_darker_chin_and_thicker_brows_and_a_woman_deeper_lips() -> None:
    view = drawn()
    change = moved(view, EFFECTS["male", True])
    x, y = view.frame
    chin = (np.abs(x) < 0.3) & (np.abs(y - 1.5) < 0.08)
    assert change[chin].mean() < -0.03
    below_brows = (np.abs(np.abs(x) - 0.5) < 0.1) & (np.abs(y + 0.2) < 0.015)
    assert change[below_brows].mean() < -0.03
    lips = moved(view, EFFECTS["male", False])[view.part("lower_lip") > 0.9]
    assert lips.mean() < -0.03


def test_lines_of_age_are_dark_and_lie_on_the_skin() -> None:
    view = drawn(scale=1.5)
    change = moved(view, EFFECTS["young", False]).mean(2)
    x, y = view.frame
    forehead = (np.abs(x) < 0.4) & (y > -0.55) & (y < -0.4)
    rows = change[forehead]
    assert rows.min() < -0.02
    assert much(view, change[..., None], "left_eye", "right_eye") < 0.01
