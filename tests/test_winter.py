"""`imgan translate --to winter`: snow lies on the ground and in trees, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from imgan.errors import Misuse, Skip
from imgan.images.oklab import to_oklab
from imgan.images.tensors import Bytes
from imgan.kept import Kept
from imgan.models.store import Models
from imgan.operations import Meter
from imgan_translate import Translate
from imgan_translate.drawn.scene import glanced, seen
from imgan_translate.drawn.winter import Winter

SKY, LAWN, WOOD = (110, 160, 230), (95, 140, 50), (38, 58, 30)
MEADOW, FOREST = slice(130, None), slice(80, 115)
"""Rows of the scene."""


def _winter(photo: Bytes, snowfall: float = 0, seed: int = 0) -> Bytes:
    return Winter(snowfall, seed)(photo, Meter())


def _scene(scale: int = 1) -> Bytes:
    """A sky, firs, and a lawn before them."""
    rng = np.random.default_rng(0)
    scene = np.empty((192, 256, 3), np.float32)
    scene[:60], scene[60:120], scene[120:] = SKY, WOOD, LAWN
    scene[60:120] *= rng.uniform(0.4, 1.8, (60, 256, 1))
    scene[120:] *= rng.uniform(0.85, 1.15, (72, 256, 1))
    scene[:60] += rng.uniform(-1, 1, (60, 256, 1))
    return scene.clip(0, 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)


def _lab(picture: Bytes) -> np.ndarray:
    return to_oklab(picture / np.float32(255))


def _rows(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop and part.stop * scale)


@pytest.mark.parametrize("scale", [1, 4])
def test_a_lawn_is_covered_and_the_sky_is_not(scale: int) -> None:
    before, after = _lab(_scene(scale)), _lab(_winter(_scene(scale)))
    lawn, sky = after[_rows(MEADOW, scale)], slice(5 * scale, 50 * scale)
    assert lawn[..., 0].mean() > 0.8
    assert np.hypot(*np.moveaxis(lawn[..., 1:], 2, 0)).mean() < 0.03
    assert np.abs(after[sky][..., 0] - before[sky][..., 0]).max() < 0.06
    assert after[sky][..., 2].mean() < -0.04


def test_trees_carry_some_snow_and_are_dark_below() -> None:
    before, after = _lab(_scene())[FOREST], _lab(_winter(_scene()))[FOREST]
    light = after[..., 0]
    assert 0.01 < (light > 0.6).mean() < 0.4
    assert np.median(light) < 0.4
    chroma = [np.hypot(*np.moveaxis(lab[..., 1:], 2, 0)).mean() for lab in (before, after)]
    assert chroma[1] < 0.7 * chroma[0]


def test_a_scene_is_told_apart() -> None:
    small = _scene() / np.float32(255)
    scene = seen(small, glanced(small)[1])
    assert scene.sky[5:50].mean() > 0.9
    assert scene.trees[FOREST].mean() > 0.8
    assert scene.ground[MEADOW].mean() > 0.9


def test_what_would_not_look_like_winter_is_refused_unless_snow_falls() -> None:
    night = (_scene() * 0.25).astype(np.uint8)
    lawn = _scene()[130:]
    grey = skimage.data.camera()[::2, ::2, None].repeat(3, 2)
    for photo in (night, lawn, grey, skimage.data.astronaut()[60:220, 150:300]):
        with pytest.raises(Skip, match="would not look like winter") as refused:
            _winter(photo)
        assert refused.value.code == "no-winter"
    snowed = _winter(grey, snowfall=0.5)
    assert 0.005 < (snowed > grey.astype(int) + 30).mean() < 0.3


def test_a_seed_has_its_own_flakes() -> None:
    scene = _scene()
    first, again, other = (_winter(scene, 0.8, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    sky = np.s_[5:40]
    assert first[sky].mean() > _winter(scene)[sky].mean() + 2


def test_it_snows_in_winter_alone() -> None:
    with pytest.raises(Misuse, match="--snowfall"):
        Translate(to="monet", snowfall=0.5).check()


def test_what_was_kept_too_seldom_is_asked_for_as_what_it_is() -> None:
    assert [Kept(6, 20).experimental, Kept(7, 20).experimental, Kept(0, 0).experimental] == [
        True,
        False,
        False,
    ]
    models = Models.installed()
    with pytest.raises(Misuse, match=r"of 20 results 4 were kept by eye; --experimental"):
        Translate(to="summer").cards(models)
    assert [card.name for card in Translate(to="summer", experimental=True).cards(models)] == [
        "translate-summer"
    ]
    assert [row[3] for row in Translate().listing(models).rows if row[0] == "summer"] == [
        "4 of 20, experimental"
    ]
