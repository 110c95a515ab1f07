"""What was made of a small copy, brought to the photo's size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from imgan.images.tensors import Bytes
from imgan.images.upsampling import (
    LUMA,
    enlarged,
    guided_chroma,
    guided_filter,
    guided_upsample,
    keep_color,
    reduced,
    suppress_flat_texture,
    with_detail,
)


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """Soft patches of colour, a sharp edge, and grain; away from black and white."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(80, 176, (5, 6, 3), dtype=np.uint8))
    picture = np.array(coarse.resize((240, 200), Image.Resampling.BICUBIC)).astype(int)
    picture[:, 117:] -= 40
    return (picture + rng.integers(-6, 7, (200, 240, 1))).clip(0, 255).astype(np.uint8)


def test_a_copy_is_reduced_only_when_it_is_larger(photo: Bytes) -> None:
    assert reduced(photo, 240) is photo
    assert reduced(photo, 60).shape == (50, 60, 3)


@pytest.mark.parametrize("carry", [with_detail, guided_upsample])
def test_what_was_left_alone_stays_as_it_was(
    photo: Bytes, carry: Callable[[Bytes, Bytes, Bytes], Bytes]
) -> None:
    small = reduced(photo, 60)
    assert np.abs(carry(photo, small, small).astype(int) - photo).mean() < 1


def test_a_change_of_colours_goes_through_the_photos_own_pixels(photo: Bytes) -> None:
    small = reduced(photo, 60)
    mixed = np.array([[0.5, 0.2, 0.1], [0.1, 0.6, 0.1], [0.0, 0.1, 0.7]])

    def change(picture: Bytes) -> Bytes:
        return (picture @ mixed + (20, 30, 10)).round().astype(np.uint8)

    wanted = change(photo).astype(int)
    result = guided_upsample(photo, small, change(small)).astype(int)
    assert np.abs(result - wanted).mean() < 1.5
    plain = enlarged(change(small), photo.shape).astype(int)
    assert np.abs(result - wanted).mean() < np.abs(plain - wanted).mean() / 2


def test_made_up_texture_is_not_carried_up_by_the_guided_filter(photo: Bytes) -> None:
    small = reduced(photo, 60)
    rng = np.random.default_rng(1)
    grained = (small + rng.integers(-40, 41, small.shape)).clip(0, 255).astype(np.uint8)
    assert np.abs(guided_upsample(photo, small, grained).astype(int) - photo).mean() < 8
    assert np.abs(with_detail(photo, small, grained).astype(int) - photo).mean() > 12


def test_a_pattern_drawn_onto_what_is_even_settles_and_strokes_elsewhere_stay() -> None:
    rng = np.random.default_rng(0)
    sky, leaves = np.full((64, 64, 3), 180), rng.integers(60, 200, (64, 64, 3))
    small = np.concatenate([sky, leaves], 1).astype(np.uint8)
    weave = 12 * ((np.indices((64, 128)) // 4).sum(0) % 2)[..., None]
    made = np.clip(small * [0.8, 0.9, 1.1] + weave, 0, 255).astype(np.uint8)
    calm = suppress_flat_texture(small, made).astype(int)
    assert calm[:, :44].std((0, 1)).max() < 0.1 * made[:, :44].std((0, 1)).max()
    assert np.abs(calm[:, :44].mean((0, 1)) - made[:, :44].mean((0, 1))).max() < 3
    assert np.abs(calm[:, 84:] - made[:, 84:]).mean() < 1


def test_a_picture_of_the_working_size_is_taken_as_it_is(photo: Bytes) -> None:
    made = 255 - photo
    assert with_detail(photo, photo, made) is made


def test_smoothing_takes_grain_and_leaves_edges(photo: Bytes) -> None:
    calm = guided_filter(photo, 0.002).astype(int)
    plain = np.array(Image.fromarray(photo).resize((60, 50)).resize((240, 200))).astype(int)

    def grain(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture[:, :110], axis=1)).mean())

    def edge(picture: np.ndarray) -> float:
        return float(np.abs(picture[:, 117] - picture[:, 116]).mean())

    assert grain(calm) < grain(photo.astype(int)) / 3
    assert edge(calm) > 0.6 * edge(photo.astype(int)) > edge(plain)
    assert np.abs(calm.mean((0, 1)) - photo.mean((0, 1))).max() < 1
    assert np.abs(guided_filter(photo, 0).astype(int) - photo).max() <= 1


def test_a_large_photo_is_smoothed_by_what_a_copy_shows(
    photo: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = guided_filter(photo, 0.002).astype(int)
    monkeypatch.setattr("imgan.images.upsampling.FINE", 120)
    assert np.abs(guided_filter(photo, 0.002) - whole).mean() < 3


def test_bands_of_a_large_photo_fit_together(photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    small = reduced(photo, 60)
    whole = guided_upsample(photo, small, 255 - small)
    bands = [slice(top, min(top + 7, 200)) for top in range(0, 200, 7)]
    monkeypatch.setattr("imgan.images.upsampling.rows", lambda height, width: bands)
    assert np.abs(guided_upsample(photo, small, 255 - small).astype(int) - whole).max() <= 1


def test_kept_colours_have_the_other_luminance(photo: Bytes) -> None:
    grey = np.repeat(photo.mean(2, keepdims=True).round().astype(np.uint8), 3, 2)
    kept = keep_color(photo, grey).astype(float)
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(kept @ luma - grey @ luma).max() <= 1
    assert np.abs((kept - photo).std(2)).max() <= 1


def test_colours_end_where_the_photo_has_an_edge_and_its_luminance_stays() -> None:
    gray = np.full((96, 192, 3), 90, np.uint8)
    gray[:, 96:] = 170
    small = reduced(gray, 96)
    made = small.astype(int)
    made[:, :49] += (-20, 0, 60)  # blue that runs over the edge, by one of the copy's pixels
    result = guided_chroma(gray, small, made.clip(0, 255).astype(np.uint8))
    assert np.abs(result @ LUMA - gray @ LUMA).max() <= 1
    blue = result[48, :, 2].astype(int) - result[48, :, 0]
    assert blue[40] > 40
    assert blue[97] < 0.6 * blue[40]
