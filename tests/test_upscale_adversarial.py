"""The recipes with a discriminator, and what `imgan upscale --sharpness` makes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from test_upscale import imgan, network, smooth_picture
from torch import Tensor
from torch.nn.functional import softplus

import imgan_upscale
from imgan.errors import Failure, Misuse
from imgan.images import Picture, open_picture
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.recipes import resolve
from imgan.training import perceptual
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.optim import Optim
from imgan.training.perceptual import Features
from imgan.training.weights import read_weights
from imgan_upscale import (
    AdversarialSettings,
    PerceptualSettings,
    SRResNetSettings,
    choose_models,
)
from imgan_upscale.run import Blend, Upscaler
from imgan_upscale.training.adversarial import (
    Discriminator,
    PatchDiscriminator,
    PerceptualTask,
    SRGANTask,
    grid,
    out_of_step,
    relativistic,
)
from imgan_upscale.training.faithful import SRResNetTask

TINY = {
    "batch_size": 2,
    "ema_decay": 0.5,
    "width": 4,
    "blocks": 1,
    "discriminator_width": 4,
    "crop": 8,
}
SRGAN = AdversarialSettings(steps=4, checkpoint_every=2, sample_every=4, **TINY)
PERCEPTUAL = PerceptualSettings(steps=4, checkpoint_every=2, sample_every=4, **TINY)

Make = Callable[[Path], SRGANTask | PerceptualTask]


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> Features:
    """Random deep features: what the shipped ones see is not what is tested here."""
    torch.manual_seed(0)
    random = Features((4, 4, 8, 8, 8), (2, 2, 3, 3, 3)).requires_grad_(False).eval()
    monkeypatch.setattr(perceptual, "load", lambda name: random)
    return random


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((44, 36), Image.Resampling.BICUBIC)
        picture.save(folder / f"{seed}.png")
    return folder


def _srgan(photos: Path) -> SRGANTask:
    torch.manual_seed(0)
    return SRGANTask(photos, SRGAN)


def _perceptual(photos: Path) -> PerceptualTask:
    torch.manual_seed(0)
    return PerceptualTask(photos, PERCEPTUAL)


@pytest.fixture(params=[_srgan, _perceptual], ids=["srgan", "perceptual"])
def make(request: pytest.FixtureRequest) -> Make:
    """A new task of either recipe, with the same weights every time."""
    made: Make = request.param
    return made


def _learnt(run: Path) -> dict[str, Any]:
    """Networks, averages and what the optimisers remember."""
    state = torch.load(run / CHECKPOINT, weights_only=True)
    moments = {name: optimizer["state"] for name, optimizer in state["optimizers"].items()}
    return {"networks": state["networks"], "averages": state["averages"], "moments": moments}


def test_a_run_cut_in_two_gives_the_same_weights(make: Make, photos: Path, tmp_path: Path) -> None:
    uncut, cut = tmp_path / "uncut", tmp_path / "cut"
    for run in (uncut, cut):
        run.mkdir()
    fit(make(photos), uncut)
    fit(make(photos), cut, until=2)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(_learnt(uncut), _learnt(cut), rtol=0, atol=0)
    fit(make(photos), cut)
    torch.testing.assert_close(_learnt(uncut), _learnt(cut), rtol=0, atol=0)


def test_a_checkpoint_holds_both_networks_and_not_the_features(
    make: Make, photos: Path, tmp_path: Path
) -> None:
    fit(make(photos), tmp_path, until=2)
    assert _learnt(tmp_path)["networks"].keys() == {"upscaler", "discriminator"}


def test_each_loss_moves_its_own_network_alone(make: Make, photos: Path) -> None:
    class Watched(Optim):
        def minimise(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
            before = {n: _vector(m) for n, m in task.networks.items()}
            super().minimise(loss, optimizer)
            moved.append([n for n, m in task.networks.items() if not before[n].equal(_vector(m))])

    moved: list[list[str]] = []
    task = make(photos)
    task.step(0, task.batch(0), Watched("float32", torch.device("cpu")))
    assert moved == [["discriminator"], ["upscaler"]]


def _vector(module: torch.nn.Module) -> Tensor:
    return torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_features_that_cannot_be_had_are_not_told_as_divergence(
    make: Make, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Features:
        raise Failure(f"{name} is missing")

    monkeypatch.setattr(perceptual, "load", missing)
    with pytest.raises(Failure, match=r"^bundled is missing$"):
        fit(make(photos), tmp_path)


def test_the_product_needs_no_features(
    make: Make, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "load", None)
    with torch.no_grad():
        assert make(photos).product()(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)


def test_the_rate_of_srgan_falls_to_a_tenth_halfway(photos: Path) -> None:
    task = _srgan(photos)
    batch, optim = task.batch(0), Optim("float32", torch.device("cpu"))
    rates = []
    for step in range(SRGAN.steps):
        task.step(step, batch, optim)
        rates.append([o.param_groups[0]["lr"] for o in task.optimizers.values()])
    assert rates == [[SRGAN.lr] * 2] * 2 + [[SRGAN.lr * 0.1] * 2] * 2


def test_srgan_starts_from_a_run_of_srresnet(photos: Path, tmp_path: Path) -> None:
    settings = SRResNetSettings(steps=1, batch_size=2, width=4, blocks=1, crop=8)
    fit(SRResNetTask(photos, settings), tmp_path)
    task = _srgan(photos)
    assert start_from(task, read_weights(tmp_path, task.shipped)) == []
    wanted = read_weights(tmp_path, task.shipped)["upscaler"]["head.0.weight"]
    assert torch.equal(task.networks["upscaler"].head[0].weight, wanted)


def test_the_perceptual_upscaler_starts_from_the_shipped_file(photos: Path) -> None:
    file = store.path(store.find(store.installed(), imgan_upscale.SHARPNESS[0]))
    task = PerceptualTask(photos, PerceptualSettings())
    assert start_from(task, read_weights(file, task.shipped)) == []
    picture = torch.rand(1, 3, 12, 10)
    with torch.no_grad():
        started = task.trained("upscaler")(picture).numpy()
    np.testing.assert_allclose(
        started, open_session(file, "cpu").run(picture.numpy()), rtol=0, atol=1e-4
    )


def test_a_grid_of_dots_is_seen_and_texture_is_not() -> None:
    dots = torch.zeros(1, 3, 64, 64)
    dots[..., ::4, ::4] = 0.16
    texture = 0.01 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert grid(dots, 4) == pytest.approx(0.01)
    assert texture.abs().mean() > 0.75 * dots.abs().mean()
    assert grid(texture, 4) < 0.25 * grid(dots, 4)


def test_the_discriminator_is_the_published_one() -> None:
    discriminator = Discriminator(96)
    convolutions = [m for m in discriminator if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.stride[0] for c in convolutions] == [1, 2] * 4
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in discriminator) == 7
    dense = [m for m in discriminator if isinstance(m, torch.nn.Linear)]
    assert [(d.in_features, d.out_features) for d in dense] == [(6 * 6 * 512, 1024), (1024, 1)]


@pytest.mark.parametrize("side", [16, 20, 96])
def test_discriminators_take_any_crop(side: int) -> None:
    pictures = torch.rand(2, 3, side, side)
    assert Discriminator(side, 4)(pictures).shape == (2, 1)
    assert PatchDiscriminator(4)(pictures).shape == (2, 1, side // 8, side // 8)


def test_the_relativistic_loss_is_that_of_esrgan() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    wanted = -torch.log(torch.sigmoid(real - fake.mean())).mean()
    wanted -= torch.log(1 - torch.sigmoid(fake - real.mean())).mean()
    torch.testing.assert_close(relativistic(real, fake), wanted)
    same = torch.ones(3)
    torch.testing.assert_close(relativistic(same, same), 2 * softplus(torch.tensor(0.0)))


def test_the_same_part_of_both_is_compared_and_it_begins_anywhere() -> None:
    places = torch.arange(12 * 12).reshape(1, 1, 12, 12)
    begins = set()
    for seed in range(100):
        torch.manual_seed(seed)
        fake, real = out_of_step(places, places.clone(), 4)
        assert torch.equal(fake, real)
        assert fake.shape == (1, 1, 8, 8)
        begins.add(divmod(int(fake[0, 0, 0, 0]), 12))
    assert begins == {(y, x) for y in range(4) for x in range(4)}


@pytest.mark.parametrize(
    ("settings", "wrong", "wanted"),
    [
        (AdversarialSettings, {"adversarial": -1.0}, "0 or more"),
        (AdversarialSettings, {"crop": 4}, "5 or more at --scale 4"),
        (PerceptualSettings, {"l1": -0.1}, "0 or more"),
        (PerceptualSettings, {"crop": 5}, "6 or more"),
    ],
)
def test_settings_that_mean_nothing_are_misuse(
    settings: Any, wrong: Mapping[str, float], wanted: str
) -> None:
    (name,) = wrong
    with pytest.raises(Misuse, match=f"--{name} .*it must be {wanted}"):
        settings(**wrong)


def test_the_smallest_crop_trains(photos: Path) -> None:
    task = PerceptualTask(photos, replace(PERCEPTUAL, crop=6))
    losses = task.step(0, task.batch(0), Optim("float32", torch.device("cpu")))
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("name", ["srgan", "upscale-perceptual"])
def test_a_recipe_has_a_task_and_ports(name: str) -> None:
    recipe = registry().recipes[name]
    assert resolve(recipe.entry).shipped == "upscaler"
    assert recipe.operation == "upscale"
    assert resolve(recipe.ports).inputs[0].name == "input"


@pytest.mark.parametrize(
    ("scale", "model", "sharpness", "parts"),
    [
        (4, None, 0.0, {"upscale-x4": 1.0}),
        (4, "upscale-x4-photo", 0.0, {"upscale-x4-photo": 1.0}),
        (4, None, 1.0, {"upscale-x4": 0.5, "upscale-x4-sharp": 0.5}),
        (2, None, 0.5, {"upscale-x4": 0.75, "upscale-x4-sharp": 0.25}),
        (4, "upscale-x4", 0.5, {"upscale-x4": 0.75, "upscale-x4-sharp": 0.25}),
    ],
)
def test_sharpness_goes_from_one_model_to_the_other(
    scale: int, model: str | None, sharpness: float, parts: dict[str, float]
) -> None:
    assert choose_models(scale, model, sharpness) == parts


def test_sharpness_of_another_model_is_misuse() -> None:
    with pytest.raises(
        Misuse,
        match=r"^--sharpness goes from upscale-x4 to upscale-x4-sharp: leave --model mine out$",
    ):
        choose_models(4, "mine", 0.5)


@pytest.fixture
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny networks take the places of the two models that `--sharpness` goes between."""
    for seed, name in enumerate(("faithful", "sharp")):
        file = network(tmp_path / f"{name}.onnx", seed=seed)
        store.add(file, Description(name=name, operation="upscale"))
    monkeypatch.setattr(imgan_upscale, "SHARPNESS", ("faithful", "sharp"))
    monkeypatch.setattr(imgan_upscale, "DEFAULT_MODELS", {2: "faithful", 4: "faithful"})
    monkeypatch.setattr(imgan_upscale, "RESTORING", "faithful")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(60, 190, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _upscaled(photo: Path, *options: str) -> NDArray[np.uint8]:
    result = photo.with_name("result.png")
    imgan(*options, photo, "-o", result, "--overwrite")
    pixels: NDArray[np.uint8] = open_picture(result).pixels
    return pixels


@pytest.mark.parametrize("scale", ["x4", "x2"])
def test_sharpness_goes_from_the_faithful_model_halfway_to_the_sharp_one(
    two_models: None, photo: Path, scale: str
) -> None:
    faithful = _upscaled(photo, scale, "--model", "faithful")
    sharp = _upscaled(photo, scale, "--model", "sharp")
    assert np.abs(faithful.astype(int) - sharp).max() > 10
    assert np.array_equal(_upscaled(photo, scale), faithful)
    assert np.array_equal(_upscaled(photo, scale, "--sharpness", "0"), faithful)
    for sharpness in (0.5, 1):
        part = sharpness / 2
        mixed = _upscaled(photo, scale, "--sharpness", str(sharpness))
        assert np.abs(mixed - ((1 - part) * faithful + part * sharp)).max() <= 1


def test_an_output_of_another_sharpness_is_not_taken_for_finished(
    two_models: None, photo: Path
) -> None:
    imgan(photo, "--sharpness", "0.5")
    made = photo.with_name("photo-x4.png").stat().st_mtime_ns
    imgan(photo, "--sharpness", "0.5")
    assert photo.with_name("photo-x4.png").stat().st_mtime_ns == made
    imgan(photo, "--sharpness", "0.6")
    assert photo.with_name("photo-x4.png").stat().st_mtime_ns == made
    assert photo.with_name("photo-x4-sharpness-0.6.png").exists()


def test_a_sharp_model_that_is_not_there_is_misuse(
    two_models: None, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imgan_upscale, "SHARPNESS", ("faithful", "sharper"))
    with pytest.raises(Misuse, match="no model is called 'sharper'; did you mean sharp"):
        imgan(photo, "--sharpness", "0.5")


def test_colours_stay_those_of_the_photo_at_any_sharpness(tmp_path: Path) -> None:
    files = (network(tmp_path / "a.onnx"), network(tmp_path / "b.onnx", cast=0.3))
    blend = Blend(tuple((open_session(file, "cpu"), 0.5) for file in files))
    pixels = smooth_picture(64, 48)
    result = Upscaler(blend, 4)(Picture(pixels)).picture
    large = result.pixels.reshape(64, 4, 48, 4, 3).mean(axis=(1, 3))
    assert np.abs(large - pixels).mean(axis=(0, 1)).max() < 2
