"""What small pictures go through before an upscaler learns from them."""

from __future__ import annotations

import numpy as np
import skimage.data

from imgan_upscale.training.degradations import _filtered, _gaussian, _sinc, degrade

LARGE = skimage.data.astronaut()[32:160, 160:288]


def test_the_same_generator_gives_the_same_small_picture_and_others_other_ones() -> None:
    made = [degrade(LARGE, 32, np.random.default_rng(seed)) for seed in (1, 1, 2, 3)]
    assert {picture.shape for picture in made} == {(32, 32, 3)}
    assert (made[0] == made[1]).all()
    assert len({picture.tobytes() for picture in made}) == 3


def test_small_pictures_show_the_same_things_in_the_same_place() -> None:
    true = LARGE.reshape(32, 4, 32, 4, 3).mean((1, 3))
    seen = np.stack([degrade(LARGE, 32, np.random.default_rng(seed)) for seed in range(40)])
    # Noise and blur are lost in the mean; a shift by a pixel is not: that is 13 levels here.
    assert np.abs(seen.mean(0) - true).mean() < 6
    assert np.abs(seen - true).mean((1, 2, 3)).max() < 25


def test_no_kernel_changes_what_is_even() -> None:
    even = np.full((40, 40, 3), (200, 30, 90), np.uint8)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for kernel in (_gaussian(rng, 2.0), _sinc(rng)):
            assert (_filtered(even, kernel) == even).all()


def test_a_sinc_filter_rings_and_a_gaussian_does_not() -> None:
    edge = np.full((40, 40, 3), 100, np.uint8)
    edge[:, 20:] = 150
    rng = np.random.default_rng(0)
    ringing, blurred = _filtered(edge, _sinc(rng)), _filtered(edge, _gaussian(rng, 2.0))
    assert ringing.max() > 150
    assert (blurred.min(), blurred.max()) == (100, 150)
