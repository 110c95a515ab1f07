"""What `imgan upscale` sees of a photo's past, and which model follows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFilter
from test_upscale import network

import imgan_upscale
from imgan.images import Picture, open_picture
from imgan.images.tensors import Bytes
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_upscale import Upscale
from imgan_upscale.degradation import Degradation


@pytest.fixture(scope="module")
def photo() -> Bytes:
    """A clean one: made smaller."""
    image = Image.fromarray(skimage.data.astronaut())
    return np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS))


def _saved(pixels: Bytes, **how: object) -> Picture:
    file = BytesIO()
    Image.fromarray(pixels).save(file, **how)
    return open_picture(file.getvalue())


def _decoded(pixels: Bytes, quality: int) -> Picture:
    return Picture(_saved(pixels, format="JPEG", quality=quality).pixels)


def test_a_clean_photo_has_no_past(photo: Bytes) -> None:
    for picture in (Picture(photo), _saved(photo, format="JPEG", quality=95)):
        assert Degradation.of(picture).reason == ""


def test_jpeg_is_known_by_its_tables_and_by_its_blocks(photo: Bytes) -> None:
    coarse = _saved(photo, format="JPEG", quality=50)
    assert Degradation.of(coarse).quantisation > 15
    assert Degradation.of(_saved(photo, format="JPEG", quality=80)).reason == "JPEG"
    blocks = [Degradation.of(_decoded(photo, quality)).blocking for quality in (95, 70, 40)]
    assert blocks == sorted(blocks)
    assert Degradation.of(_decoded(photo, 50)).reason == "JPEG"
    # The grid is found wherever it begins.
    cut = Picture(_decoded(photo, 50).pixels[3:, 5:])
    assert Degradation.of(cut).reason == "JPEG"


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("deviation", [3, 8, 15])
def test_noise_is_measured_and_texture_is_not_taken_for_it(
    photo: Bytes, deviation: float, grey: bool
) -> None:
    rng = np.random.default_rng(0)
    shape = (*photo.shape[:2], 1 if grey else 3)
    clean = photo[..., 1:2] if grey else photo
    noisy = (clean + rng.normal(0, deviation, shape)).round().clip(0, 255).astype(np.uint8)
    noisy = np.repeat(noisy, 3, 2) if grey else noisy
    found = Degradation.of(Picture(noisy))
    assert found.noise == pytest.approx(deviation, rel=0.35)
    assert ("noise" in found.reason) == (deviation > 5)
    weave = (128 + 60 * rng.standard_normal((256, 256, 1))).clip(0, 255)
    tinted = (weave * [1, 0.95, 0.9]).astype(np.uint8)
    assert Degradation.of(Picture(tinted)).noise < 5


@pytest.mark.parametrize("sigma", [1.2, 2])
def test_blur_is_measured(photo: Bytes, sigma: float) -> None:
    blurred = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(sigma)))
    found = Degradation.of(Picture(blurred))
    assert found.blur == pytest.approx(sigma, rel=0.35)
    assert found.reason == "blur"


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (9, 9), (40, 3)])
def test_no_picture_is_too_small_to_be_looked_at(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert all(np.isfinite(value) for value in Degradation.of(Picture(pixels)).facts.values())
    flat = Picture(np.full((*shape, 3), 128, np.uint8))
    assert Degradation.of(flat).reason == ""


@pytest.fixture
def models(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    for seed, name in enumerate(("clean", "restoring")):
        store.add(
            network(tmp_path / f"{name}.onnx", seed=seed),
            Description(name=name, operation="upscale"),
        )
    monkeypatch.setattr(imgan_upscale, "DEFAULT_MODELS", {2: "clean", 4: "clean"})
    monkeypatch.setattr(imgan_upscale, "RESTORING", "restoring")
    return Models.installed()


def test_each_picture_gets_its_model_and_the_first_restored_one_says_so(
    photo: Bytes, models: Models
) -> None:
    process = Upscale().open(Runtime("cpu", models))
    small = Picture(photo[64:192, 64:192])
    results = [process(each) for each in (small, _decoded(small.pixels, 20), _decoded(photo, 20))]
    assert [result.facts["model"] for result in results] == ["clean", "restoring", "restoring"]
    assert [len(result.notes) for result in results] == [0, 1, 0]
    assert "JPEG found: enlarged by restoring" in results[1].notes[0]
    named = Upscale(model="restoring").open(Runtime("cpu", models))
    again = named(_decoded(small.pixels, 20))
    assert np.array_equal(again.picture.pixels, results[1].picture.pixels)
    assert not again.notes


def test_all_models_that_may_be_taken_count_for_resuming(models: Models) -> None:
    for operation, names in (
        (Upscale(), ["clean", "restoring"]),
        (Upscale(scale=2), ["clean"]),
        (Upscale(model="clean"), ["clean"]),
    ):
        assert [card.name for card in operation.cards(models)] == names
