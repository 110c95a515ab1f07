"""Other people's StyleGAN2: official pickles without their code, and rosinality's checkpoints."""

from __future__ import annotations

import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear, pad
from typer.testing import CliRunner

from imgan.commands import models
from imgan.errors import Failure, UnsupportedFile
from imgan.models.sessions import open_session
from imgan_exporters.stylegan import convert_checkpoint, convert_pickle
from imgan_exporters.unpickling import read_pickle
from imgan_generate.style import StyleGenerator, draw
from imgan_generate.stylegan import Generator

FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


# --- official pickles ---


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("the file's source was to be run")


@pytest.fixture(autouse=True)
def persistence(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch_utils.persistence`, for the writing of pickles as the official code writes them."""
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    module: Any = sys.modules["torch_utils.persistence"]
    monkeypatch.setattr(_reconstruct_persistent_obj, "__module__", "torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    easy = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    sys.modules["dnnlib.util"].EasyDict = easy  # type: ignore[attr-defined]


class Persistent:
    """A module as `persistent_class` reduces it."""

    def __init__(self, class_name: str, tensors: dict[str, Tensor]) -> None:
        parameters: dict[str, Tensor] = OrderedDict()
        modules: dict[str, Any] = OrderedDict()
        below: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            child, _, rest = name.partition(".")
            if rest:
                below.setdefault(child, {})[rest] = tensor
            else:
                parameters[name] = nn.Parameter(tensor)
        for child, inner in below.items():
            modules[child] = Persistent(child, inner)
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": "import os; os.abort()",
            "class_name": class_name,
            "state": {
                "training": False,
                "_parameters": parameters,
                "_buffers": OrderedDict(),
                "_modules": modules,
                "z_dim": 8,
                "device": torch.device("cpu"),
            },
        }

    def __reduce__(self) -> Any:
        return _reconstruct_persistent_obj, (self.meta,), None


def _pickle(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator((6, 5, 4), z=8, w=7, layers=3).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                parameter.add_(torch.randn_like(parameter) / 5)
        made.mapping.w_avg.normal_()
    return made


def _official(generator: Generator) -> dict[str, Tensor]:
    """With what the official modules have beside: noise, and filters everywhere."""
    state = dict(generator.state_dict())
    for side in generator.synthesis.sides:
        state[f"synthesis.b{side}.resample_filter"] = FILTER
        for conv in ("conv0", "conv1") if side > 4 else ("conv1",):
            state[f"synthesis.b{side}.{conv}.resample_filter"] = FILTER
            state[f"synthesis.b{side}.{conv}.noise_const"] = torch.randn(side, side)
    return state


def _compare(file: Path, picture: Callable[[Tensor, Tensor], Tensor], atol: float) -> None:
    """The file's pictures of styles and noise are those of the network that was saved."""
    style = StyleGenerator(open_session(file, "cpu"))
    z, noise = draw(style, 2, seed=3)
    w = style.wide(style.styles(z))
    with torch.no_grad():
        wanted = picture(torch.from_numpy(z), torch.from_numpy(noise)).numpy()
    made = style.session.run_many(
        {"z": z, "truncation": np.ones(1, np.float32), "w": w, "noise": noise}
    )
    assert np.abs(made["picture"] - wanted).max() < atol


@pytest.mark.slow
def test_an_official_pickle_is_read(tmp_path: Path, generator: Generator) -> None:
    easy = sys.modules["dnnlib.util"].EasyDict  # type: ignore[attr-defined]
    state = _official(generator)
    half = {
        name: t.half() if name == "synthesis.b16.torgb.bias" else t for name, t in state.items()
    }
    file = _pickle(
        tmp_path / "net.pkl",
        {
            "training_set_kwargs": easy(path="cats.zip"),
            "D": Persistent("Discriminator", {"b4.fc.weight": torch.zeros(2, 2)}),
            "G_ema": Persistent("Generator", half),
            "augment_pipe": None,
        },
    )
    convert_pickle(file, tmp_path / "net.onnx")

    def picture(z: Tensor, noise: Tensor) -> Tensor:
        w = generator.mapping(z)[:, None].expand(-1, 6, -1)
        return generator.synthesis(w, noise)

    _compare(tmp_path / "net.onnx", picture, 5e-3)
    style = StyleGenerator(open_session(tmp_path / "net.onnx", "cpu"))
    assert np.allclose(style.mean(), generator.mapping.w_avg, atol=1e-5)


def test_what_our_network_cannot_express_is_said(tmp_path: Path, generator: Generator) -> None:
    state = _official(generator)
    wrong = {
        "StyleGAN3": {"synthesis.L0_36_512.weight": torch.zeros(2, 2, 3, 3)},
        "conditional": {**state, "mapping.embed.weight": torch.zeros(2, 2)},
        "another filter": {**state, "synthesis.b8.resample_filter": torch.ones(4, 4) / 16},
        "no StyleGAN2": {k: t for k, t in state.items() if "b16.torgb" not in k},
    }
    for words, tensors in wrong.items():
        file = _pickle(tmp_path / "net.pkl", {"G_ema": Persistent("Generator", tensors)})
        with pytest.raises(Failure, match=words):
            convert_pickle(file, tmp_path / "net.onnx")
        assert not (tmp_path / "net.onnx").exists()
    file = _pickle(tmp_path / "net.pkl", {"D": Persistent("Discriminator", {})})
    with pytest.raises(Failure, match="no generator"):
        convert_pickle(file, tmp_path / "net.onnx")
    with pytest.raises(UnsupportedFile):
        convert_pickle(_pickle(tmp_path / "list.pkl", [1, 2]), tmp_path / "net.onnx")


class Calls:
    """Calls a function with arguments when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


class Outside(pickle.Pickler):
    """Refers to something outside the file."""

    def persistent_id(self, obj: Any) -> Any:
        return "outside" if obj == "me" else None


def _malicious(folder: Path) -> dict[str, bytes]:
    ran = folder / "ran"
    nested = {"G_ema": Persistent("Generator", {})}
    nested["G_ema"].meta["state"]["_buffers"] = {"x": Calls(os.system, f"touch {ran}")}
    inside = Calls(torch.storage._load_from_bytes, pickle.dumps(Calls(os.system, f"touch {ran}")))
    with (folder / "outside").open("wb") as file:
        Outside(file).dump({"G_ema": "me"})
    return {
        "system": pickle.dumps(Calls(os.system, f"touch {ran}")),
        "eval": pickle.dumps(Calls(eval, f"open({str(ran)!r}, 'w')")),
        "getattr": pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")),
        "system ": pickle.dumps(nested),
        "damaged": pickle.dumps({"G_ema": inside}),
        "outside": (folder / "outside").read_bytes(),
        # Protocol 0, and a name with a dot in it.
        "os.system": b"cos\nsystem\n(S'touch " + str(ran).encode() + b"'\ntR.",
        "nn.Module": b"\x80\x04\x8c\x05torch\x8c\x09nn.Module\x93.",
        # An attribute of the stand-in is set: that must not last.
        "no pickle of": b"\x80\x04\x8c\x0ccollections\x8c\x0bOrderedDict\x93}\x8c\x01a\x8c\x01bsb.",
    }


def test_code_in_a_pickle_is_refused_by_name_and_never_run(tmp_path: Path) -> None:
    for words, content in _malicious(tmp_path).items():
        file = tmp_path / "evil.pkl"
        file.write_bytes(content)
        with pytest.raises(Failure, match=words.strip()):
            read_pickle(file)
    assert not (tmp_path / "ran").exists()
    assert OrderedDict().__class__.__name__ == "OrderedDict"


def test_a_module_in_itself_or_with_another_state_is_damaged(
    tmp_path: Path, generator: Generator
) -> None:
    whole = pickle.dumps({"G_ema": Persistent("Generator", _official(generator))})
    assert whole.endswith(b"s.")  # the table's one item is set, and it ends
    changes = {
        # The module's attributes are set by what follows it: a state that is none,
        "state": b"}X\x05\x00\x00\x00stateK\x01sb",
        # and a child that is the module itself.
        "child": b"q\xfe}X\x05\x00\x00\x00state}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\xfess"
        b"sb",
    }
    for name, change in changes.items():
        file = tmp_path / f"{name}.pkl"
        file.write_bytes(whole[:-2] + change + b"s.")
        with pytest.raises(Failure, match="damaged"):
            read_pickle(file)


def test_a_tensor_does_not_leave_its_storage(tmp_path: Path) -> None:
    rebuild, given = torch.zeros(4).__reduce_ex__(2)[:2]
    arguments = list(given)
    arguments[2:4] = (400,), (1,)
    file = _pickle(tmp_path / "far.pkl", {"G_ema": Calls(rebuild, *arguments)})
    with pytest.raises(Failure, match="damaged"):
        read_pickle(file)


def test_a_cut_pickle_is_one_line(tmp_path: Path, generator: Generator) -> None:
    whole = pickle.dumps({"G_ema": Persistent("Generator", _official(generator))})
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pkl").write_bytes(whole[:length])
        result = CliRunner().invoke(models.app, ["add", str(tmp_path / "cut.pkl")])
        assert isinstance(result.exception, Failure)
        assert "damaged" in str(result.exception)


# --- rosinality's checkpoints ---


class EqualLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, lr: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.full((outputs,), bias) + torch.randn(outputs) / 9)
        self.scale, self.lr = lr / inputs**0.5, lr

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.scale, self.bias * self.lr)


class Kernel(nn.Module):
    """Blur and Upsample: upfirdn2d with a kernel times 4."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * FILTER)

    def forward(self, x: Tensor, up: bool) -> Tensor:
        if up:
            n, c, h, w = x.shape
            spread = x.new_zeros(n, c, 2 * h, 2 * w)
            spread[..., ::2, ::2] = x
            x = pad(spread, (2, 1, 2, 1))
        else:
            x = pad(x, (1, 1, 1, 1))
        kernel = self.kernel.expand(x.shape[1], 1, 4, 4)  # type: ignore[operator]
        return conv2d(x, kernel, groups=x.shape[1])


class ModulatedConv2d(nn.Module):
    def __init__(self, i: int, o: int, k: int, style: int, demodulate: bool, up: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, o, i, k, k))
        self.modulation = EqualLinear(style, i, 1.0)
        self.scale, self.demodulate, self.up = 1 / (i * k * k) ** 0.5, demodulate, up
        if up:
            self.blur = Kernel()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, i, h, _ = x.shape
        weight = self.scale * self.weight * self.modulation(w).view(n, 1, i, 1, 1)
        if self.demodulate:
            weight = weight * (weight.square().sum((2, 3, 4)) + 1e-8).rsqrt()[..., None, None, None]
        o, k = weight.shape[1], weight.shape[3]
        flat = x.reshape(1, n * i, h, h)
        if self.up:
            turned = weight.transpose(1, 2).reshape(n * i, o, k, k)
            out = conv_transpose2d(flat, turned, stride=2, groups=n)
            return self.blur(out.view(n, o, *out.shape[2:]), False)
        out = conv2d(flat, weight.view(n * o, i, k, k), padding=k // 2, groups=n)
        return out.view(n, o, *out.shape[2:])


class StyledConv(nn.Module):
    def __init__(self, i: int, o: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(i, o, 3, style, True, up)
        self.noise = nn.Module()
        self.noise.weight = nn.Parameter(torch.randn(1) / 4)
        self.activate = nn.Module()
        self.activate.bias = nn.Parameter(torch.randn(o) / 4)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = self.conv(x, w)
        x = x + self.noise.weight * noise.view(len(x), 1, *x.shape[2:])
        x = leaky_relu(x + self.activate.bias.view(1, -1, 1, 1), 0.2) * 2**0.5
        return x


class ToRGB(nn.Module):
    def __init__(self, i: int, style: int, up: bool = True) -> None:
        super().__init__()
        if up:
            self.upsample = Kernel()
        self.conv = ModulatedConv2d(i, 3, 1, style, False, False)
        self.bias = nn.Parameter(torch.randn(1, 3, 1, 1) / 4)

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(x, w) + self.bias
        return out if skip is None else out + self.upsample(skip, True)


class Theirs(nn.Module):
    """rosinality's Generator."""

    def __init__(self, style: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.style = nn.Sequential(
            nn.Identity(), *(EqualLinear(style, style, lr=0.01) for _ in range(2))
        )
        self.input = nn.Module()
        self.input.input = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.conv1 = StyledConv(channels[0], channels[0], style)
        self.to_rgb1 = ToRGB(channels[0], style, up=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for i, o in pairwise(channels):
            self.convs += [StyledConv(i, o, style, up=True), StyledConv(o, o, style)]
            self.to_rgbs.append(ToRGB(o, style))

    def forward(self, z: Tensor, noise: Tensor) -> Tensor:
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for dense in self.style[1:]:
            w = leaky_relu(dense(w), 0.2) * 2**0.5
        sides = [4, *(4 << (1 + i // 2) for i in range(len(self.convs)))]
        maps = noise.split([side**2 for side in sides], 1)
        x = self.conv1(self.input.input.repeat(len(z), 1, 1, 1), w, maps[0])
        picture = self.to_rgb1(x, w)
        for i, rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * i](x, w, maps[1 + 2 * i])
            x = self.convs[2 * i + 1](x, w, maps[2 + 2 * i])
            picture = rgb(x, w, picture)
        result: Tensor = picture
        return result


@pytest.mark.slow
def test_a_checkpoint_of_rosinality_makes_the_same_pictures(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = Theirs(7, (6, 5, 4))
    state = {**theirs.state_dict(), "noises.noise_0": torch.zeros(1, 1, 4, 4)}
    torch.save({"g_ema": state, "latent_avg": torch.full((7,), 0.5)}, tmp_path / "cat.pt")
    convert_checkpoint(tmp_path / "cat.pt", tmp_path / "cat.onnx")
    _compare(tmp_path / "cat.onnx", theirs, 1e-4)
    assert np.allclose(StyleGenerator(open_session(tmp_path / "cat.onnx", "cpu")).mean(), 0.5)


def test_other_tables_are_left_to_other_importers(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(UnsupportedFile):
        convert_checkpoint(tmp_path / "other.pt", tmp_path / "other.onnx")
    torch.save({"g_ema": {"input.input": torch.zeros(1, 4, 4, 4)}}, tmp_path / "part.pt")
    with pytest.raises(Failure, match="lacks"):
        convert_checkpoint(tmp_path / "part.pt", tmp_path / "part.onnx")
    odd = {"input.input": torch.zeros(1, 4, 4, 4), "conv1.conv.weight": torch.zeros(()), "n": 3}
    torch.save({"g_ema": odd}, tmp_path / "odd.pt")
    with pytest.raises(Failure, match="too few axes"):
        convert_checkpoint(tmp_path / "odd.pt", tmp_path / "odd.onnx")
