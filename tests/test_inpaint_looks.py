"""What a hole is expected to look like, and that what is copied agrees with it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from imgan.images import Picture
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_inpaint import Inpaint
from imgan_inpaint.looks import Looks, expected
from imgan_inpaint.membrane import boxed, grown, membrane
from imgan_inpaint.run import Inpainting
from imgan_inpaint.synthesis import fill, texture

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

GREY, RED, BLUE = (120, 120, 120), (200, 30, 30), (60, 90, 200)


class Unsure:
    """A network that knows no more than what lies around a hole."""

    side, stays, hints = 64, False, True

    def __call__(self, picture: Floats, hole: Mask) -> Floats:
        return membrane(picture, hole)


def looks_of(picture: Floats, hole: Mask, guess: Floats | None = None) -> Looks:
    planes = np.concatenate([picture, texture(picture, ~hole)], 2)
    return expected(planes, hole, np.random.default_rng(0), guess)


def wall(height: int = 96, width: int = 112, grain: float = 6) -> Floats:
    rng = np.random.default_rng(0)
    return np.array(GREY, np.float32) + rng.normal(0, grain, (height, width, 1)).astype(np.float32)


def hole_in(picture: Floats, top: int, left: int, height: int, width: int) -> Mask:
    hole = np.zeros(picture.shape[:2], bool)
    hole[top : top + height, left : left + width] = True
    picture[hole] = (0, 255, 0)
    return hole


def test_a_thing_that_touches_a_hole_ends_there() -> None:
    picture = wall()
    picture[30:66, 70:] = RED
    hole = hole_in(picture, 26, 30, 44, 40)
    looks = looks_of(picture, hole)
    # But for what is blurred right beside it.
    assert np.abs(looks.planes[26:70, 30:64, :3] - GREY).max() < 40
    assert looks.goes_on[48, 72] < 0.7 < 0.9 < looks.goes_on[48, 27]
    made = fill(picture, hole, guess=Unsure())
    # The wall comes up to the thing: but for what is right beside it nothing is red.
    reddish = (made[..., 0] - made[..., 2] > 60) & hole
    assert reddish[:, :60].sum() == 0


def test_a_horizon_goes_on_through_a_hole() -> None:
    picture = wall()
    picture[48:] = BLUE
    hole = hole_in(picture, 28, 36, 40, 40)
    colours = looks_of(picture, hole).planes[..., :3]
    assert np.abs(colours[30:41, 40:72] - GREY).max() < 40
    assert np.abs(colours[55:66, 40:72] - BLUE).max() < 40


def test_a_network_says_which_of_two_things_is_there() -> None:
    picture = wall()
    picture[:, 56:] = BLUE
    hole = hole_in(picture, 0, 32, 96, 48)
    for colour in (GREY, BLUE):
        guess = np.where(hole[..., None], np.array(colour, np.float32), picture)
        mean = looks_of(picture, hole, guess).planes[hole, :3].mean(0)
        others = BLUE if colour is GREY else GREY
        assert np.abs(mean - colour).sum() < np.abs(mean - others).sum()


@pytest.mark.parametrize("model", [None, "none"])
def test_an_even_background_with_grain_stays_even_and_grainy(model: str | None) -> None:
    y, x = np.mgrid[:120, :140].astype(np.float32)
    clean = np.stack([90 + 0.4 * x, 110 + 0.3 * y, 160 - 0.2 * x], 2)
    rng = np.random.default_rng(0)
    photo = (clean + rng.normal(0, 1, (120, 140, 1))).round().clip(0, 255).astype(np.uint8)
    hole = hole_in(photo.copy(), 40, 50, 44, 40)  # type: ignore[arg-type]
    wish = Inpaint(model=model)
    made, _ = Inpainting(wish, Runtime("cpu", Models.installed())).filled(
        Picture(np.where(hole[..., None], np.uint8(0), photo)), hole
    )
    assert (made[~hole] == photo[~hole]).all()
    apart = np.abs(boxed(made.astype(np.float32) - clean, 2) / 25)[hole]
    assert apart.max() < 5
    steep = np.hypot(*np.gradient(made.mean(2)))
    inside = ~grown(~hole, 2)
    assert 0.7 < steep[inside].mean() / steep[~grown(hole, 2)].mean() < 1.3


def test_work_is_told_bit_by_bit() -> None:
    picture = wall()
    hole = hole_in(picture, 20, 30, 50, 50)
    told: list[float] = []
    fill(picture, hole, meter=told.append)
    assert told == sorted(told)
    assert len(told) >= 6
    assert told[-1] == pytest.approx(1)


def test_sums_over_squares() -> None:
    planes = np.arange(30, dtype=np.float32).reshape(5, 6)
    assert boxed(planes, 1)[2, 3] == planes[1:4, 2:5].sum()
    assert boxed(planes, 1)[0, 0] == planes[:2, :2].sum()
