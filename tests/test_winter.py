"""`imgan translate --to winter`: snow lies on grass and on leaves, and on nothing else."""

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
from imgan_translate.drawn.winter import Winter

SKY, LAWN, WALL = (110, 160, 230), (90, 150, 50), (150, 60, 50)


def _winter(photo: Bytes, snowfall: float = 0, seed: int = 0) -> Bytes:
    return Winter(snowfall, seed)(photo, Meter())


def _scene(scale: int = 1) -> Bytes:
    """A sky over a lawn, and a red wall on it."""
    scene = np.empty((120, 160, 3), np.uint8)
    scene[:60], scene[60:] = SKY, LAWN
    scene[50:90, 20:60] = WALL
    noise = np.random.default_rng(0).integers(-2, 3, (120, 160, 1))
    scene = (scene + noise).clip(0, 255).astype(np.uint8)
    return scene.repeat(scale, 0).repeat(scale, 1)


def _lab(picture: Bytes) -> np.ndarray:
    return to_oklab(picture / np.float32(255))


@pytest.mark.parametrize("scale", [1, 4])
def test_a_lawn_is_covered_and_sky_and_walls_are_not(scale: int) -> None:
    before, after = _lab(_scene(scale)), _lab(_winter(_scene(scale)))
    lawn = np.s_[100 * scale :, 80 * scale :]
    assert after[lawn][..., 0].mean() > 0.8
    assert np.hypot(*np.moveaxis(after[lawn][..., 1:], 2, 0)).mean() < 0.03
    for left in (
        np.s_[5 * scale : 40 * scale],
        np.s_[60 * scale : 80 * scale, 30 * scale : 50 * scale],
    ):
        assert np.abs(after[left][..., 0] - before[left][..., 0]).max() < 0.06
        ratio = np.linalg.norm(after[left][..., 1:].mean((0, 1)))
        assert ratio > 0.5 * np.linalg.norm(before[left][..., 1:].mean((0, 1)))


def test_leaves_carry_snow_above_and_are_brown_below() -> None:
    rng = np.random.default_rng(0)
    clumps = 0.5 + 0.5 * np.sin(np.arange(200)[:, None] / 1.3 + rng.normal(0, 0.3, (1, 240)))
    tree = (np.array([40, 70, 25]) + clumps[..., None] * [70, 90, 40]).astype(np.uint8)
    lab = _lab(_winter(tree))
    light, b = lab[30:-30, 30:-30, 0], lab[30:-30, 30:-30, 2]
    assert np.quantile(light, 0.95) > 0.75
    assert np.quantile(light, 0.2) < 0.5
    assert b[light < 0.5].mean() > b[light > 0.75].mean() + 0.01


def test_a_photo_without_plants_is_refused_unless_snow_falls() -> None:
    grey = skimage.data.camera()[::2, ::2, None].repeat(3, 2)
    for photo in (grey, skimage.data.astronaut()[60:220, 150:300]):
        with pytest.raises(Skip, match="--snowfall"):
            _winter(photo)
    assert (_winter(grey, snowfall=0.5) > grey.astype(int) + 30).mean() > 0.005


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
