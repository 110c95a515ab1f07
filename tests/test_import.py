"""Other people's checkpoints: `imgan models add` reads them, and onnxruntime runs them alike.

The networks are built here as the projects build them, so that the names of the tensors are theirs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SPAN import SPAN
from torch import Tensor, nn
from typer.testing import CliRunner

from imgan.commands import models
from imgan.errors import Failure
from imgan.images import Picture
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import open_session
from imgan_exporters.onnx import Form
from imgan_translate.run import open_translator
from imgan_upscale import run as upscale

Norm = type[nn.Module]


class Residual(nn.Module):
    """The reference's ResnetBlock."""

    def __init__(self, width: int, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias)]
        layers += [norm(width), nn.ReLU(True)]
        if dropout:
            layers += [nn.Dropout(0.5)]
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.conv_block(x)
        return result


class ResnetGenerator(nn.Module):
    def __init__(
        self, taken: int, given: int, ngf: int, norm: Norm, dropout: bool, blocks: int
    ) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        model: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(taken, ngf, 7, bias=bias)]
        model += [norm(ngf), nn.ReLU(True)]
        for mult in (1, 2):
            wide = ngf * mult * 2
            model += [nn.Conv2d(ngf * mult, wide, 3, stride=2, padding=1, bias=bias)]
            model += [norm(wide), nn.ReLU(True)]
        model += [Residual(ngf * 4, norm, dropout) for _ in range(blocks)]
        for mult in (4, 2):
            model += [
                nn.ConvTranspose2d(
                    ngf * mult, ngf * mult // 2, 3, 2, padding=1, output_padding=1, bias=bias
                ),
                norm(ngf * mult // 2),
                nn.ReLU(True),
            ]
        model += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, given, 7), nn.Tanh()]
        self.model = nn.Sequential(*model)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(x)
        return result


class SkipBlock(nn.Module):
    """The reference's UnetSkipConnectionBlock, activations in place as there."""

    def __init__(
        self,
        outer: int,
        inner: int,
        norm: Norm,
        taken: int | None = None,
        below: SkipBlock | None = None,
        outermost: bool = False,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.outermost = outermost
        bias = norm is nn.InstanceNorm2d
        down: list[nn.Module] = [nn.Conv2d(taken or outer, inner, 4, 2, 1, bias=bias)]
        double = inner if below is None else 2 * inner
        up: list[nn.Module] = [nn.ReLU(True)]
        if outermost:
            up += [nn.ConvTranspose2d(double, outer, 4, 2, 1), nn.Tanh()]
        else:
            down.insert(0, nn.LeakyReLU(0.2, True))
            up += [nn.ConvTranspose2d(double, outer, 4, 2, 1, bias=bias), norm(outer)]
            down += [norm(inner)] if below is not None else []
            up += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*down, *([] if below is None else [below]), *up)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UnetGenerator(nn.Module):
    def __init__(
        self, taken: int, given: int, downs: int, ngf: int, norm: Norm, dropout: bool
    ) -> None:
        super().__init__()
        block = SkipBlock(ngf * 8, ngf * 8, norm)
        for _ in range(downs - 5):
            block = SkipBlock(ngf * 8, ngf * 8, norm, below=block, dropout=dropout)
        for mult in (4, 2, 1):
            block = SkipBlock(ngf * mult, ngf * mult * 2, norm, below=block)
        self.model = SkipBlock(given, ngf, norm, taken=taken, below=block, outermost=True)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(x)
        return result


def trained(network: nn.Module, scale: float = 0.1) -> nn.Module:
    """Weights and statistics as after training: none is zero, or equal to another."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = (torch.rand(tensor.shape, generator=generator) - 0.5) * scale
                tensor.copy_(noise + 0.5 if "running_var" in name else tensor + noise)
    return network.eval()


def add(file: Path, *options: str) -> ModelCard:
    """The card that `imgan models add FILE` leaves. Failures pass through."""
    command = ["add", str(file), *options]
    result = CliRunner().invoke(models.app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "parity with PyTorch" in result.output
    (card,) = store.own_cards()
    return card


def refused(file: Path) -> str:
    """The line with which `imgan models add FILE` fails; it leaves nothing behind."""
    with pytest.raises(Failure) as raised:
        add(file)
    line = str(raised.value)
    assert "\n" not in line
    assert len(line) < 400
    assert [path for path in store.own_folder().rglob("*") if path.is_file()] == []
    return line


def run(card: ModelCard, picture: Tensor) -> Tensor:
    session = ort.InferenceSession(store.path(card), providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    (result,) = session.run(None, {port.name: picture.numpy()})
    return torch.from_numpy(result)


def pictures(height: int, width: int, channels: int = 3) -> Tensor:
    """Two, in -1..1."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(2, channels, height, width, generator=generator) * 2 - 1


def assert_same(result: Tensor, wanted: Tensor) -> None:
    assert result.shape == wanted.shape
    assert (result - wanted).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "dropout", "blocks"),
    [(nn.InstanceNorm2d, False, 3), (nn.BatchNorm2d, True, 2), (nn.BatchNorm2d, False, 1)],
)
def test_a_residual_generator(tmp_path: Path, norm: Norm, dropout: bool, blocks: int) -> None:
    network = trained(ResnetGenerator(3, 3, 4, norm, dropout, blocks))
    file = tmp_path / "latest_net_G_A.pth"
    torch.save(network.state_dict(), file)
    card = add(file)
    assert (card.name, card.operation) == ("latest_net_g_a", "translate")
    assert card.licence == "not stated"
    kind = "batch" if norm is nn.BatchNorm2d else "instance"
    assert card.traits == {"to": "latest_net_g_a", "side": 256, "norm": kind}
    for picture in (pictures(32, 32), pictures(44, 36)):
        with torch.no_grad():
            assert_same(run(card, picture), network(picture))
    assert open_translator(card, "cpu")(np.zeros((50, 70, 3), np.uint8)).shape == (50, 70, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "downs", "dropout"), [(nn.BatchNorm2d, 8, True), (nn.InstanceNorm2d, 7, False)]
)
def test_a_unet(tmp_path: Path, norm: Norm, downs: int, dropout: bool) -> None:
    network = trained(UnetGenerator(3, 3, downs, 2, norm, dropout))
    file = tmp_path / "latest_net_G.pth"
    torch.save(network.state_dict(), file)
    card = add(file, "--name", "maps", "--trait", "to=map", "--trait", "from=photo")
    side = 2**downs
    assert card.name == "maps"
    assert card.traits | {"norm": ""} == {"from": "photo", "to": "map", "side": side, "norm": ""}
    assert card.input == f"RGB -1..1, {side}x{side}"
    picture = pictures(side, side)
    with torch.no_grad():
        assert_same(run(card, picture), network(picture))
    assert open_translator(card, "cpu")(np.zeros((50, 70, 3), np.uint8)).shape == (50, 70, 3)


@pytest.mark.slow
def test_an_old_checkpoint_of_several_gpus_and_one_channel(tmp_path: Path) -> None:
    """PyTorch 0.3 kept statistics of instance normalisation; the pictures are grey on both ends."""
    network = trained(ResnetGenerator(1, 1, 4, nn.InstanceNorm2d, True, 1))
    state = {f"module.{key}": tensor.half() for key, tensor in network.state_dict().items()}
    for layer in (2, 5, 8):
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            state[f"module.model.{layer}.{name}"] = torch.ones(4)
    torch.save(state, tmp_path / "grey.pth", _use_new_zipfile_serialization=False)
    card = add(tmp_path / "grey.pth")
    network.half().float()
    picture = pictures(32, 32)
    grey = (picture * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    with torch.no_grad():
        assert_same(run(card, picture), network(grey).expand(-1, 3, -1, -1))


SUPER_RESOLUTION: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "RealESRGAN Compact": (lambda: Compact(num_feat=4, num_conv=1, upscale=4), "params", 4),
    "ESRGAN": (
        lambda: ESRGAN(in_nc=12, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2),
        "params_ema",
        2,
    ),
    "SPAN": (
        lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=4, upscale=2),
        "state_dict",
        2,
    ),
}
"""How each is built, under which key its project saves it, and its scale."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUPER_RESOLUTION)
def test_super_resolution(tmp_path: Path, kind: str) -> None:
    build, key, scale = SUPER_RESOLUTION[kind]
    network = trained(build(), 0.01)
    file = tmp_path / "Real ESRGAN.pth"
    torch.save({key: network.state_dict()}, file)
    card = add(file)
    assert (card.name, card.operation) == ("real-esrgan", "upscale")
    assert card.traits == {"architecture": kind, "scale": scale}
    picture = pictures(24, 32)[:1].abs()
    with torch.no_grad():
        assert_same(run(card, picture), network(picture))
    photo = Picture(np.zeros((17, 23, 3), np.uint8))
    large = upscale.Upscaler(open_session(store.path(card), "cpu"), scale)(photo).picture
    assert large.pixels.shape == (17 * scale, 23 * scale, 3)


def conv(taken: int, given: int, side: int) -> dict[str, Tensor]:
    return nn.Conv2d(taken, given, side).state_dict()


def under(**layers: dict[str, Tensor]) -> dict[str, Tensor]:
    """Layers as one table; "model_0" for "model.0"."""
    return {
        f"{name.replace('_', '.')}.{key}": tensor
        for name, layer in layers.items()
        for key, tensor in layer.items()
    }


def resnet(taken: int = 3) -> dict[str, Tensor]:
    network = ResnetGenerator(taken, 3, 2, nn.InstanceNorm2d, False, 1)
    return dict(network.state_dict())


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("exit()",)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (under(model_0=conv(3, 2, 4), model_2=conv(2, 4, 4)), "holds a discriminator"),
        (torch.optim.Adam([torch.ones(1)]).state_dict(), "holds the state of an optimiser; what"),
        (
            [torch.ones(1)],
            "holds a list; what is read: generators of .*; super-resolution",
        ),
        (under(a=conv(3, 2, 3)), r"holds 2 entries \(a.weight, a.bias ...\) of an unknown network"),
        ({"a": 1}, "of an unknown network"),
        ({}, "of an unknown network"),
        (nn.Conv2d(1, 1, 1), r"holds code \(torch.nn.modules.conv.Conv2d\)"),
        (Code(), r"holds code \(eval\)"),
        (under(model_model_0=conv(3, 2, 4)), "plain one: Missing key"),
        (resnet() | under(model_30=conv(1, 1, 1)), 'plain one: Unexpected key.*"model.30.weight"'),
        (resnet() | {"model.7.filt": torch.ones(2, 1, 3, 3)}, "plain one: it is antialiased"),
        (resnet(taken=4), r"plain one: size mismatch for model.1.weight"),
        (resnet() | {"model.1.weight": torch.ones(2**20, 1, 7, 7)}, "plain one: size mismatch"),
        (Compact(num_feat=4, num_conv=1, upscale=3).state_dict(), "enlarges 3 times"),
        (Compact(num_feat=4, num_conv=1, upscale=1).state_dict(), "is for Restoration"),
        (Compact(num_in_ch=1, num_out_ch=1, num_conv=1).state_dict(), "not from RGB to RGB"),
        ({"body.0.weight": 1, "body.1.weight": 2}, "spandrel cannot build it"),
    ],
)
def test_what_is_not_read_is_one_line(tmp_path: Path, content: object, line: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    assert re.search(line, refused(tmp_path / "a.pth"))


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_damaged_file_is_one_line(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    file = tmp_path / f"a.{suffix}"
    if content is None:
        torch.save(resnet(), file)
        content = file.read_bytes()[:-40]
    file.write_bytes(content)
    assert f"a.{suffix} is damaged" in refused(file)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert "a.pth: No such file" in refused(tmp_path / "a.pth")


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(under(a=conv(3, 2, 3)), tmp_path / "a.safetensors")
    assert "of an unknown network" in refused(tmp_path / "a.safetensors")


def test_an_architecture_that_cannot_be_exported_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(network: nn.Module, form: Form) -> None:
        raise RuntimeError("a page\nof text")

    monkeypatch.setattr("imgan_exporters.onnx.convert", convert)
    torch.save(Compact(num_feat=4, num_conv=1).state_dict(), tmp_path / "a.pth")
    assert "PyTorch cannot export RealESRGAN Compact" in refused(tmp_path / "a.pth")


def test_without_spandrel_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "imgan_exporters.super_resolution", raising=False)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.save(under(a=conv(3, 2, 3)), tmp_path / "a.pth")
    assert 'pip install "imgan[import]"' in refused(tmp_path / "a.pth")


@pytest.mark.slow
def test_a_card_file_leaves_what_the_importer_found(tmp_path: Path) -> None:
    torch.save(resnet(), tmp_path / "a.pth")
    stated = tmp_path / "card.toml"
    stated.write_text(
        "[[model]]\nname = 'zebras'\noperation = 'translate'\nlicence = 'MIT'\n"
        "[model.traits]\nto = 'zebra'\nfrom = 'horse'"
    )
    card = add(tmp_path / "a.pth", "--card", str(stated), "--trait", "side=128")
    assert card.licence == "MIT"
    traits = {"from": "horse", "to": "zebra", "side": 128, "norm": "instance"}
    assert card.traits == traits
