"""Other projects' inpainters, by their ports: LaMa's export has floats of one size, a mask white in
the hole, and 0..255 out; MI-GAN's takes bytes of any size, and its mask is black in the hole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model
from PIL import Image
from typer.testing import CliRunner

import imgan
from imgan.commands import models
from imgan.errors import Failure
from imgan.models import store
from imgan.models.store import Models
from imgan_inpaint import NAME

GREEN = np.array([30, 200, 60], np.float32)
"""What these networks fill holes with."""


def save(
    path: Path,
    kind: int,
    sizes: tuple[int | str, ...],
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]],
    constants: dict[str, NDArray[np.float32]],
    mask_name: str = "mask",
) -> Path:
    ports = [
        helper.make_tensor_value_info(name, kind, [sizes[0], channels, *sizes[1:]])
        for name, channels in (("image", 3), (mask_name, 1), ("result", 3))
    ]
    graph = helper.make_graph(
        [helper.make_node(op, taken, given, **more) for op, taken, given, more in nodes],
        "inpainter",
        ports[:2],
        ports[2:],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, path)
    return path


def lama(path: Path, side: int = 64) -> Path:
    """(image + mask (colour - image)) 255."""
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]] = [
        ("Sub", ["colour", "image"], ["apart"], {}),
        ("Mul", ["apart", "mask"], ["change"], {}),
        ("Add", ["image", "change"], ["filled"], {}),
        ("Mul", ["filled", "white"], ["result"], {}),
    ]
    constants = {"colour": GREEN.reshape(1, 3, 1, 1) / 255, "white": np.float32(255).reshape(1)}
    return save(path, TensorProto.FLOAT, (1, side, side), nodes, constants)


def migan(path: Path) -> Path:
    """Where the mask is 255, the image; elsewhere the colour. Bytes in, bytes out."""
    to_float, to_bytes = {"to": int(TensorProto.FLOAT)}, {"to": int(TensorProto.UINT8)}
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]] = [
        ("Cast", ["image"], ["photo"], to_float),
        ("Cast", ["mask"], ["bright"], to_float),
        ("Div", ["bright", "white"], ["known"], {}),
        ("Sub", ["photo", "colour"], ["apart"], {}),
        ("Mul", ["apart", "known"], ["kept"], {}),
        ("Add", ["colour", "kept"], ["filled"], {}),
        ("Cast", ["filled"], ["result"], to_bytes),
    ]
    constants = {"colour": GREEN.reshape(1, 3, 1, 1), "white": np.float32(255).reshape(1)}
    return save(path, TensorProto.UINT8, ("n", "height", "width"), nodes, constants)


@pytest.mark.parametrize(
    ("write", "said", "traits"),
    [
        (lama, "image 0..1, mask white where it is to be filled, result 0..255",
         {"side": 64, "white": 1, "span": 255, "known": 0}),
        (migan, "image 0..255, mask white where it is known, result 0..255",
         {"side": 512, "white": 255, "span": 255, "known": 1}),
    ],
)  # fmt: skip
def test_an_inpainter_is_known_by_its_ports_and_fills(
    here: Path, write: Callable[[Path], Path], said: str, traits: dict[str, float]
) -> None:
    result = CliRunner().invoke(models.app, ["add", str(write(here / "theirs.onnx"))])
    assert result.exit_code == 0, result.output
    assert said in result.output
    card = store.find(Models.installed().cards, "theirs", NAME)
    assert traits.items() <= card.traits.items()

    photo = np.full((150, 100, 3), GREEN.astype(np.uint8))
    photo[:, ::2] += 20
    hole = np.s_[40:90, 30:80]
    given = photo.copy()
    given[hole] = 255
    made = np.asarray(imgan.inpaint(Image.fromarray(given), box=["30,40,50,50"], model="theirs"))
    known = np.ones((150, 100), bool)
    known[hole] = False
    assert (made[known] == photo[known]).all()
    assert np.abs(made[hole].mean((0, 1)) - photo[hole].mean((0, 1))).max() < 8


def test_what_fills_nothing_is_refused(here: Path) -> None:
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]] = [
        ("Mul", ["mask", "none"], ["nothing"], {}),
        ("Add", ["image", "nothing"], ["result"], {}),
    ]
    constants = {"none": np.float32(0).reshape(1)}
    save(here / "idle.onnx", TensorProto.FLOAT, (1, 64, 64), nodes, constants)
    result = CliRunner().invoke(models.app, ["add", "idle.onnx"])
    assert isinstance(result.exception, Failure)
    assert "it does not fill what a mask marks" in str(result.exception)
    assert not Models.installed().serving("idle")


def test_another_network_is_not_taken_for_an_inpainter(here: Path) -> None:
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]] = [
        ("Add", ["image", "depth"], ["result"], {})
    ]
    save(here / "other.onnx", TensorProto.FLOAT, (1, 64, 64), nodes, {}, mask_name="depth")
    result = CliRunner().invoke(models.app, ["add", "other.onnx"])
    assert result.exit_code != 0
    assert "inpainter" not in str(result.exception)
