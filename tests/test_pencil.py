"""`imgan translate --to sketch`: lines, hatches and paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from imgan.images.tensors import Bytes
from imgan.operations import Meter
from imgan_translate import Translate
from imgan_translate.drawn.fields import softened
from imgan_translate.drawn.pencil import PAPER, pencil
from imgan_translate.run import drawn


def _drawn(photo: Bytes) -> np.ndarray:
    return pencil(photo, Meter())[..., 0].astype(np.float32)


def test_a_drawing_is_grey_and_the_same_each_time() -> None:
    photo = skimage.data.astronaut()[:240, 100:400]
    made = pencil(photo, Meter())
    assert (made == made[..., :1]).all()
    assert np.array_equal(pencil(photo, Meter()), made)
    # Most of it is paper, and the darkest is graphite.
    assert np.median(made) > 150
    assert 10 < made.min() < 90


def test_a_sketch_asks_for_no_network_and_no_face(here: Path) -> None:
    target = drawn(Translate(to="sketch"))
    assert target is not None
    assert target.draw is pencil


def test_lines_are_drawn_in_light_and_in_shadow_and_even_ground_is_paper() -> None:
    photo = np.full((200, 300, 3), 235, np.uint8)
    photo[:, 200:] = 60
    photo[100:103, 20:280] = photo[100:103, 20:280] // 3
    made = _drawn(photo)
    assert made[98:105, 40:180].min(0).max() < 140
    assert made[20:80, 20:180].mean() > PAPER - 12
    shadow = made[20:80, 220:280]
    assert shadow.mean() < made[20:80, 20:180].mean() - 40
    assert made[98:105, 220:280].min(0).mean() < shadow.mean() - 30


def test_lips_are_darker_than_skin_of_the_same_luma() -> None:
    photo = np.full((200, 300, 3), (215, 160, 130), np.uint8)
    photo[80:120, 100:200] = (250, 137, 160)
    luma = photo @ (0.299, 0.587, 0.114)
    assert abs(luma[100, 150] - luma[20, 20]) < 2
    made = _drawn(photo)
    assert made[85:115, 110:190].mean() < made[20:60].mean() - 15


def test_a_border_gets_no_lines_from_the_other_side() -> None:
    photo = np.full((200, 300, 3), 235, np.uint8)
    photo[190:] = 20
    assert _drawn(photo)[:10].min() > PAPER - 40


def test_hatches_follow_hair_and_are_slanted_elsewhere() -> None:
    waves = 110 + 60 * np.sin(np.arange(300) / 2.5)
    photo = np.broadcast_to(waves[None, :, None], (300, 300, 3)).astype(np.uint8)
    down, across = np.gradient(_drawn(photo)[20:-20, 20:-20])
    assert (across**2).mean() > 6 * (down**2).mean()
    plain = np.full((300, 300, 3), 235, np.uint8)
    plain[:, 100:] = 90
    down, across = np.gradient(_drawn(plain)[20:-20, 140:-20])
    assert (down * across).mean() > 0.2 * (down**2).mean()


@pytest.mark.parametrize("longer", [400, 900])
def test_a_photo_is_drawn_alike_at_every_size(longer: int) -> None:
    image = Image.fromarray(skimage.data.astronaut()[:384])
    pictures = [
        _drawn(np.asarray(image.resize((side, round(side * 0.75)), Image.Resampling.LANCZOS)))
        for side in (600, longer)
    ]
    small = [
        np.asarray(Image.fromarray(each).resize((200, 150), Image.Resampling.BOX))
        for each in pictures
    ]
    coarse = [softened(each, 2) for each in small]
    assert np.abs(coarse[0] - coarse[1]).mean() < 6
