"""Things that are drawn on a face: glasses, in perspective and where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan_edit.regions.fields import blurred
from imgan_edit.regions.finish import grain, softness
from imgan_edit.regions.glasses import (
    CLEAR_SHAPES,
    SUN_SHAPES,
    add_eyeglasses,
    add_sunglasses,
)
from imgan_edit.regions.pose import POINTS, Pose
from imgan_edit.regions.view import Change, Masks, View
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
    """A face of one colour, skin all over its middle, with grain."""
    rng = np.random.default_rng(0)
    pixels = np.float32([0.8, 0.6, 0.5]) + rng.normal(0, 0.01, (SIZE, SIZE, 1))
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    oval = ((x - 120) / 75) ** 2 + ((y - 120) / 100) ** 2 < 1
    empty = np.zeros((SIZE, SIZE), np.float32)
    masks = dict.fromkeys(CLASSES, empty) | {"skin": oval.astype(np.float32)} | parts
    pixels = np.broadcast_to(pixels, (SIZE, SIZE, 3)).astype(np.float32)
    return View(pixels, turned(yaw), Masks(masks), (0, 0, SIZE, SIZE))


def worn(view: View, change: Change) -> NDArray[np.float32]:
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
    right[:, 195:] = 1
    view = plain(-20, hair=right)
    bare = add_eyeglasses(plain(-20), 1, np.random.default_rng(3), "wayfarer")
    covered = add_eyeglasses(view, 1, np.random.default_rng(3), "wayfarer")
    assert np.abs(bare.pixels - view.pixels)[:, 200:].max() > 0.2
    assert np.abs(covered.pixels - view.pixels)[:, 200:].max() < 0.05


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


def test_softness_and_grain_are_those_of_the_photo() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    edges = (((x + 0.3 * y) // 40) % 2).astype(np.float32)
    soft = [softness(blurred(edges, sigma)) for sigma in (0.8, 1.5, 2.5)]
    assert soft == sorted(soft)
    assert soft[1] == pytest.approx(1.5, abs=0.3)
    noisy = (blurred(edges, 2) + rng.normal(0, 0.03, edges.shape)).astype(np.float32)
    assert grain(noisy, np.ones_like(noisy)) == pytest.approx(0.03, rel=0.15)
