"""Things that are drawn on a face: glasses, bangs and beards, each where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import blurred, resized
from imgan_edit.regions import strands
from imgan_edit.regions.bangs import add_bangs
from imgan_edit.regions.beard import add_beard, add_goatee, add_moustache, add_stubble
from imgan_edit.regions.finish import grain, softness
from imgan_edit.regions.glasses import (
    CLEAR_SHAPES,
    SUN_SHAPES,
    add_eyeglasses,
    add_sunglasses,
)
from imgan_edit.regions.pose import POINTS, Pose
from imgan_edit.regions.tracks import Hair
from imgan_edit.regions.view import Change, Effect, Masks, View
from imgan_parse import CLASSES

SIZE, UNIT = 240, 60.0
MIDDLE = np.array([120.0, 100.0])


def turned(yaw: float) -> NDArray[np.floating]:
    """The five points of a mean head that is turned to the right."""
    angle = np.radians(yaw)
    cos, sin = np.cos(angle), np.sin(angle)
    x = POINTS[:, 0] * cos + POINTS[:, 2] * sin
    return MIDDLE + UNIT * np.stack([x, POINTS[:, 1]], 1)


def plain(yaw: float = 0.0, **parts: NDArray[np.float32]) -> View:
    """A face of one colour, skin all over its middle, with grain; hair is dark."""
    rng = np.random.default_rng(0)
    pixels = np.float32([0.8, 0.6, 0.5]) + rng.normal(0, 0.01, (SIZE, SIZE, 1))
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    oval = ((x - 120) / 75) ** 2 + ((y - 120) / 100) ** 2 < 1
    empty = np.zeros((SIZE, SIZE), np.float32)
    masks = dict.fromkeys(CLASSES, empty) | {"skin": oval.astype(np.float32)} | parts
    pixels = (pixels * (1 - 0.8 * masks["hair"][..., None])).astype(np.float32)
    return View(pixels, turned(yaw), Masks(masks), (0, 0, SIZE, SIZE))


def made(effect: Effect, view: View, amount: float = 1, seed: int = 0) -> NDArray[np.floating]:
    return effect(view, amount, np.random.default_rng(seed)).whole(view).pixels


def worn(view: View, change: Change) -> NDArray[np.float32]:
    change = change.whole(view)
    assert change.pixels.dtype == np.float32
    assert change.pixels.min() >= 0
    assert change.pixels.max() <= 1
    assert (change.pixels[change.where == 0] == view.pixels[change.where == 0]).all()
    return change.pixels


def at(pixels: NDArray[np.float32], x: float, y: float) -> float:
    """The mean lightness around a place, in distances of the eyes from their middle."""
    column, row = (MIDDLE + UNIT * np.array([x, y])).astype(int)
    return float(pixels[row - 2 : row + 3, column - 2 : column + 3].mean())


@pytest.mark.parametrize("yaw", [-25, -10, 0, 15, 25])
def test_the_pose_is_found(yaw: float) -> None:
    pose = Pose.of(turned(yaw))
    assert pose.yaw == pytest.approx(yaw, abs=1)
    assert pose.scale == pytest.approx(UNIT, rel=0.02)
    # But for perspective, the points come back.
    assert np.abs(pose.project(POINTS) - turned(yaw)).max() < 0.05 * UNIT


def test_a_plane_is_seen_where_it_projects_to() -> None:
    pose = Pose.of(turned(20))
    corner, u, v = np.array([0, 0, 0.3]), np.array([1, 0, -0.1]), np.array([0, 1, -0.2])
    x, y = pose.project(corner + 0.4 * u - 0.25 * v).astype(np.float32)
    a, b = pose.onto(corner, u, v, x, y)
    assert (a, b) == (pytest.approx(0.4, abs=1e-4), pytest.approx(-0.25, abs=1e-4))


@pytest.mark.parametrize("shape", CLEAR_SHAPES)
def test_eyeglasses_are_rims_around_what_stays_to_be_seen(shape: str) -> None:
    view = plain()
    pixels = worn(view, add_eyeglasses(view, 1, np.random.default_rng(1), shape))
    skin = at(view.pixels, 0, 0)
    for eye in (-0.5, 0.5):
        assert at(pixels, eye, 0.1) == pytest.approx(skin, abs=0.06)
    # Down a line through each eye there is a rim above it and one below it.
    for column in (90, 150):
        rims = np.abs(pixels[:, column] - view.pixels[:, column]).sum(1) > 0.1
        assert rims[70:100].any()
        assert rims[105:135].any()
    assert not rims[180:].any()


@pytest.mark.parametrize("shape", SUN_SHAPES)
def test_sunglasses_are_dark_and_darker_by_the_amount(shape: str) -> None:
    view = plain()
    half, whole = (
        worn(view, add_sunglasses(view, amount, np.random.default_rng(2), shape))
        for amount in (0.5, 1.0)
    )
    for eye in (-0.5, 0.5):
        assert at(whole, eye, 0.05) < at(half, eye, 0.05) < 0.8 * at(view.pixels, eye, 0.05)


def test_a_seed_is_a_shape_and_a_colour() -> None:
    view = plain()
    first, again, other = (
        add_eyeglasses(view, 1, np.random.default_rng(seed)).pixels for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_hair_covers_the_temples() -> None:
    right = np.zeros((SIZE, SIZE), np.float32)
    right[:, 182:] = 1
    view = plain(-20, hair=right)
    bare = add_eyeglasses(plain(-20), 1, np.random.default_rng(3), "wayfarer")
    covered = add_eyeglasses(view, 1, np.random.default_rng(3), "wayfarer")
    assert np.abs(bare.pixels - view.pixels)[:, 186:].max() > 0.2
    assert np.abs(covered.pixels - view.pixels)[:, 190:].max() < 0.05


def test_arms_do_not_end_on_bare_skin() -> None:
    view = plain()
    pixels = worn(view, add_eyeglasses(view, 1, np.random.default_rng(3), "wayfarer"))
    dark = (np.abs(pixels - view.pixels).max(2) > 0.2)[70:130]
    for columns in (slice(48, 54), slice(186, 192)):
        assert dark[:, columns].any(0).all()
    # And they do not stick out beside the head.
    assert not dark[:, 200:].any()


def test_hair_hangs_before_rims() -> None:
    lock = np.zeros((SIZE, SIZE), np.float32)
    lock[:, 140:150] = 1
    view = plain(hair=lock)
    pixels = worn(view, add_sunglasses(view, 1, np.random.default_rng(3), "wayfarer"))
    assert np.abs(pixels - view.pixels)[:, 142:148].max() < 0.1
    assert np.abs(pixels - view.pixels)[:, 156:164].max() > 0.3


def test_a_grey_photo_stays_grey() -> None:
    view = plain()
    grey = np.repeat(view.pixels.mean(2, keepdims=True), 3, 2)
    made = add_sunglasses(
        View(grey, view.points, view.parts, view.box), 1, np.random.default_rng(0)
    )
    assert np.ptp(made.pixels, axis=2).max() < 1e-6


def test_what_cannot_be_done_well_is_refused() -> None:
    with pytest.raises(Failure, match="turned by"):
        add_eyeglasses(plain(40), 1, np.random.default_rng(0))
    glasses = np.zeros((SIZE, SIZE), np.float32)
    glasses[85:120, 70:170] = 1
    with pytest.raises(Failure, match="already"):
        add_sunglasses(plain(glasses=glasses), 1, np.random.default_rng(0))
    with pytest.raises(Failure, match="30 pixels between the eyes are too few"):
        add_eyeglasses(plain().at(30), 1, np.random.default_rng(0))
    soft = plain()
    soft.pixels[:] = blurred(soft.pixels + glasses[..., None] * -0.5, 5)
    with pytest.raises(Failure, match="too blurred"):
        add_eyeglasses(soft, 1, np.random.default_rng(0))
    with pytest.raises(Failure, match="hair hangs"):
        add_eyeglasses(plain(hair=glasses), 1, np.random.default_rng(0))


def test_softness_and_grain_are_those_of_the_photo() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    edges = (((x + 0.3 * y) // 40) % 2).astype(np.float32)
    soft = [softness(blurred(edges, sigma)) for sigma in (0.8, 1.5, 2.5)]
    assert soft == sorted(soft)
    assert soft[1] == pytest.approx(1.5, abs=0.3)
    noisy = (blurred(edges, 2) + rng.normal(0, 0.03, edges.shape)).astype(np.float32)
    assert grain(noisy, np.ones_like(noisy)) == pytest.approx(0.03, rel=0.15)


HAIR = np.float32([0.25, 0.15, 0.1])


def haired(yaw: float = 0.0, long: bool = True, parted: bool = True) -> View:
    """A face below dark hair, parted in the middle or combed back, which hangs beside it if it is
    long, with brows and lips."""
    bald = plain(yaw)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    beside = (bald.parts["skin"] < 0.5) & (np.abs(x - 120) < 105) & (y < 200)
    hair = ((y < 52) & (np.abs(x - 120) < 85)) | (beside & long)
    brows = (np.abs(y - 84) < 3) & (np.abs(np.abs(x - 120) - 30) < 16)
    lips = (np.abs(y - 163) < 6) & (np.abs(x - 120) < 24)
    parts = {"hair": hair, "left_brow": brows & (x < 120), "right_brow": brows & (x > 120)}
    parts["upper_lip"] = lips
    masks = {name: np.float32(mask) for name, mask in parts.items()}
    masks["skin"] = bald.parts["skin"] * np.float32(~(hair | brows | lips))
    rng = np.random.default_rng(1)
    # Strands of one colour each, down, or on both sides of a parting down and out.
    tone = 1 + 0.3 * rng.normal(size=2 * SIZE)
    strand = HAIR * tone[np.int32(np.abs(x - 120) - np.minimum(y, 52) * parted), None]
    pixels = np.where((hair | brows)[..., None], strand, bald.pixels).clip(0, 1)
    return View(pixels.astype(np.float32), bald.points, Masks({**bald.parts, **masks}), bald.box)


def test_bangs_fall_over_both_sides_of_the_forehead_in_the_hairs_colour() -> None:
    view = haired()
    pixels = worn(view, add_bangs(view, 1, np.random.default_rng(0)))
    for x in (-0.8, 0.8):
        side = at(pixels, x, -0.6)
        assert side < 0.5 * at(view.pixels, x, -0.6)
        assert side == pytest.approx(float(HAIR.mean()), abs=0.1)
    # Not in the middle, nor over the eyes.
    for place in ((0.0, -0.4), (-0.45, 0.05), (0.45, 0.05)):
        assert at(pixels, *place) == pytest.approx(at(view.pixels, *place), abs=0.08)
    assert (pixels[170:] == view.pixels[170:]).all()


def test_bangs_part_where_the_hair_does_and_differ_by_seed() -> None:
    view = haired()
    one, other = (made(add_bangs, view, 1, seed) for seed in (0, 1))
    assert np.abs(one - other).max() > 0.2
    with pytest.raises(Failure, match="combed back"):
        add_bangs(haired(parted=False), 1, np.random.default_rng(0))


def test_bangs_cover_as_much_as_asked_for() -> None:
    view = haired()
    covered = [
        np.abs(made(add_bangs, view, amount, 0) - view.pixels).sum() for amount in (0.0, 0.5, 1.0)
    ]
    assert covered[0] == 0
    assert covered == sorted(covered)


def test_strands_of_ones_own_hair_are_followed() -> None:
    view = haired()
    hair = Hair.of(view, view.parts["hair"])
    seeds = np.array([[80.0, 30.0], [160.0, 30.0], [25.0, 150.0]])
    ways = np.array([[-1, 1], [1, 1], [0, 1]]) / np.array([[2**0.5], [2**0.5], [1]])
    assert hair.directions(seeds) == pytest.approx(ways, abs=0.1)
    places, inside = hair.followed(seeds, 6)
    assert inside.all()
    assert places[:, 6] == pytest.approx(seeds)
    # Two pixels a step, this way and that.
    assert places[:, -1] - places[:, 0] == pytest.approx(24 * ways, abs=1.5)


def test_bangs_need_hair_a_bare_forehead_and_no_hat() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Failure, match="no hair"):
        add_bangs(plain(), 1, rng)
    view = haired()
    above = np.float32(np.arange(SIZE)[:, None] < 30)
    hair = view.parts["hair"]
    hat = {**view.parts, "hair": hair * (1 - above), "hat": hair * above}
    red = np.where(hat["hat"][..., None] > 0, np.float32([0.8, 0.1, 0.1]), view.pixels)
    with pytest.raises(Failure, match="hat"):
        add_bangs(View(red.astype(np.float32), view.points, Masks(hat), view.box), 1, rng)
    glasses = {**view.parts, "glasses": view.parts["left_brow"]}
    with pytest.raises(Failure, match="glasses"):
        add_bangs(View(view.pixels, view.points, Masks(glasses), view.box), 1, rng)
    band = {**view.parts, "hair": hair * (np.float32(np.arange(SIZE)[:, None] > 40))}
    with pytest.raises(Failure, match="band"):
        add_bangs(View(view.pixels, view.points, Masks(band), view.box), 1, rng)
    with pytest.raises(Failure, match="too small"):
        add_bangs(view.at(30), 1, rng)
    # The parser takes the dark top of a head for a hat.
    assert add_bangs(View(view.pixels, view.points, Masks(hat), view.box), 1, rng).where.any()
    with pytest.raises(Failure, match="short"):
        add_bangs(haired(long=False), 1, rng)
    pale = View(view.pixels**0.2, view.points, Masks(view.parts), view.box)
    with pytest.raises(Failure, match="light hair"):
        add_bangs(pale, 1, rng)
    with pytest.raises(Failure, match="turned by"):
        add_bangs(haired(40), 1, rng)


def test_beards_grow_where_they_belong() -> None:
    view = haired()
    lip, chin, cheek = (0.0, 0.86), (0.0, 1.4), (-0.85, 1.0)
    grown = {
        "moustache": (add_moustache, (True, False, False)),
        "goatee": (add_goatee, (True, True, False)),
        "beard": (add_beard, (True, True, True)),
    }
    for effect, expected in grown.values():
        pixels = worn(view, effect(view, 1, np.random.default_rng(0)))
        for place, there in zip((lip, chin, cheek), expected, strict=True):
            darker = at(view.pixels, *place) - at(pixels, *place)
            assert (darker > 0.08) == there
        # Lips, eyes and forehead stay.
        for place in ((0.0, 1.05), (-0.5, 0.0), (0.0, -0.5)):
            assert at(pixels, *place) == pytest.approx(at(view.pixels, *place), abs=0.03)


def test_a_small_face_has_the_beard_of_a_large_one() -> None:
    large = haired()
    height, width = (side // 3 for side in large.shape)
    third = np.array([width / large.shape[1], height / large.shape[0]])
    small = View(
        resized(large.pixels, height, width),
        large.points * third,
        Masks(large.parts.at(height, width)),
        (0, 0, width, height),
    )
    drawn = [made(add_beard, view) - view.pixels for view in (large, small)]
    chin = [-resized(change, height, width)[58:64, 36:44].mean(2) for change in drawn]
    assert chin[1].mean() == pytest.approx(chin[0].mean(), rel=0.15)
    # No hair is as wide as a pixel: what is seen is a dense dark tone.
    assert chin[1].std() < 0.2 * chin[1].mean()


def test_stubble_is_fainter_than_a_beard() -> None:
    view = haired()
    faint, full = (
        np.abs(made(effect, view) - view.pixels).sum() for effect in (add_stubble, add_beard)
    )
    assert 0 < faint < 0.8 * full


def test_strands_in_front_cover_those_behind() -> None:
    places = np.stack([np.linspace(2, 18, 40), np.full(40, 10.5)], 1)[None].repeat(2, 0)
    colours = np.zeros((2, 40, 3), np.float32)
    colours[1] = 1
    weights = np.full((2, 40), 4, np.float32)
    layer = np.array([0, strands.LAYERS - 1])
    made = strands.drawn(places.astype(np.float32), colours, weights, layer, 20, 20)
    assert made[10, 10, 3] > 0.9
    assert made[10, 10, 0] / made[10, 10, 3] > 0.95
    assert made[:8].sum() == 0
