"""Generators that take attributes: sheets of them, and faces that swap theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.main import get_command

import imgan
from imgan import cli
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images.tensors import Bytes
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan_generate import Generate
from imgan_generate.evaluate import evaluate
from imgan_generate.labels import ATTRIBUTES, label, rows, slug


def test_attributes_are_typed_as_they_come() -> None:
    known = [slug(name) for name in ATTRIBUTES]
    y = label("Blond_Hair, smiling", known)
    assert [known[i] for i in np.flatnonzero(y > 0)] == ["blond-hair", "smiling"]
    assert (label("", known) == -1).all()
    with pytest.raises(Misuse, match="did you mean blond-hair"):
        label("blonde-hair", known)


def test_what_the_rows_of_a_sheet_have() -> None:
    known = ("bald", "bangs", "smiling")
    y = rows(["bangs,smiling"], known)
    assert y.tolist() == [[-1, -1, -1], [-1, 1, -1], [-1, 1, 1]]
    assert rows(["bald", "smiling"], known).tolist() == [[1, -1, -1], [-1, -1, 1]]
    assert len(rows([], known)) == 4


def save_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    **weights: NDArray[Any],
) -> None:
    ports = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in part.items()]
        for part in (inputs, outputs)
    ]
    kept = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", *ports, kept)
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))


SIDE = 64
FACE = ["n", 3, SIDE, SIDE]


@pytest.fixture
def tiny(home: Path) -> str:
    """z is the colour of a face, bangs make it redder, and smiling greener; and its encoders, which
    take every red for bangs."""
    node = helper.make_node
    colours = np.zeros((3, 3), np.float32)
    colours[1, 0] = colours[2, 1] = 0.25
    save_onnx(
        home / "made.onnx",
        [
            node("MatMul", ["z", "of_z"], ["a"]),
            node("MatMul", ["y", "of_y"], ["b"]),
            node("Add", ["a", "b"], ["mean"]),
            node("Unsqueeze", ["mean", "axes"], ["pixel"]),
            node("Expand", ["pixel", "shape"], ["output"]),
        ],
        {"z": ["n", 100], "y": ["n", 3]},
        {"output": FACE},
        of_z=np.eye(100, 3, dtype=np.float32) / 8,
        of_y=colours,
        axes=np.array([2, 3]),
        shape=np.array([1, 3, SIDE, SIDE]),
    )
    traits: dict[str, float | str] = {"attributes": "bald,bangs,smiling"}
    card = Description(name="tiny", operation="generate", traits=traits)
    traits = {"generator": store.add(home / "made.onnx", card).sha256}
    save_onnx(
        home / "encoders.onnx",
        [
            node("GlobalAveragePool", ["face"], ["pixel"]),
            node("Flatten", ["pixel"], ["mean"]),
            node("MatMul", ["mean", "back"], ["z"]),
            node("MatMul", ["mean", "label"], ["sum"]),
            node("Sign", ["sum"], ["y"]),
        ],
        {"face": FACE},
        {"z": ["n", 100], "y": ["n", 3]},
        back=np.zeros((3, 100), np.float32),
        label=np.array([[0, 4, 0], [0, 0, 4], [0, 0, 0]], np.float32),
    )
    store.add(home / "encoders.onnx", Description(name="tiny-e", operation="edit", traits=traits))
    return "tiny"


def _command(*words: str) -> None:
    command = get_command(cli.build(registry(), only="generate"))
    cli.dress(command)
    command(["generate", "--device", "cpu", "--quiet", *words], standalone_mode=False)


def _generated(folder: Path, **settings: Any) -> Bytes:
    out = folder / "made.png"
    execute(Job([], output=str(out), device="cpu", quiet=True), Generate(seed=1, **settings))
    with Image.open(out) as picture:
        return np.asarray(picture)


def test_a_sheet_has_attributes_by_rows_and_z_by_columns(tiny: str, tmp_path: Path) -> None:
    sheet = _generated(tmp_path, model=tiny, attributes=["bangs,smiling"], grid="4")
    assert sheet.shape == (3 * SIDE, 4 * SIDE, 3)
    none, bangs, both = sheet[::SIDE, ::SIDE].astype(int)
    red, green = [[64, 0, 0]] * 4, [[0, 64, 0]] * 4
    assert np.abs(bangs - none - red).max() <= 1
    assert np.abs(both - bangs - green).max() <= 1
    assert len(np.unique(none, axis=0)) == 4


def test_one_face_is_that_of_the_sheet(tiny: str, tmp_path: Path) -> None:
    sheet = _generated(tmp_path, model=tiny, attributes=["bangs"], grid="2x2")
    (tmp_path / "made.png").unlink()
    one = _generated(tmp_path, model=tiny, attributes=["bangs"])
    assert (one == sheet[SIDE:, :SIDE]).all()


def test_swapped_faces_have_the_attributes_of_the_other(tiny: str, tmp_path: Path) -> None:
    photo, other = skimage.data.astronaut(), tmp_path / "red.png"
    Image.fromarray(photo).save(tmp_path / "photo.png")
    red = photo.astype(float) * [1, 0.2, 0.2]
    Image.fromarray(red.astype(np.uint8)).save(other)
    swap = ("--swap", str(tmp_path / "photo.png"), str(other))
    _command("--model", tiny, *swap, "-o", str(tmp_path / "made.png"))
    row = np.asarray(Image.open(tmp_path / "made.png"))
    assert row.shape == (SIDE, 4 * SIDE, 3)
    first, second = row[0, 2 * SIDE :: SIDE].astype(int)
    # z is nothing here, so the colours are those of y: the first has what the second's photo says.
    assert abs(first - second)[1] > 60
    by_python = imgan.generate(model=tiny, swap=(tmp_path / "photo.png", other))
    assert (np.asarray(by_python) == row).all()
    step = {"op": "generate", "model": tiny, "swap": [str(tmp_path / "photo.png"), str(other)]}
    imgan.run([step], output=tmp_path / "step.png")
    assert (np.asarray(Image.open(tmp_path / "step.png")) == row).all()


def test_two_faces_swap_no_more_and_no_less(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(cli.UsageError) as error:
        _command("--model", tiny, "--swap", "a.png")
    assert cli.usage(error.value).startswith("--swap takes 2 values; ")
    with pytest.raises(Misuse, match=r"--swap takes 2 values, and 1 came before -o"):
        _command("--model", tiny, "--swap", "a.png", "-o", "b.png")
    for several in ("a.png", ["a.png"], ["a.png", "b.png", "c.png"]):
        with pytest.raises(Misuse, match=r"swap= takes 2 values, not [13]"):
            imgan.generate(model=tiny, swap=several)
    (tmp_path / "p.toml").write_text('[[step]]\nop = "generate"\nswap = ["a.png"]\n')
    with pytest.raises(Misuse, match=r"p\.toml:3: swap takes 2 values, not 1"):
        imgan.run(tmp_path / "p.toml")


def test_attributes_are_for_generators_that_take_them(tiny: str, tmp_path: Path) -> None:
    for settings, line in (
        ({"attributes": ["bangs"]}, "takes no attributes"),
        ({"model": tiny, "attributes": ["hat"]}, "no such attribute"),
        ({"model": tiny, "attributes": ["bangs"], "grid": "2x3"}, "make 2 rows"),
        ({"model": tiny, "attributes": ["bangs", "bald"]}, "add --grid"),
        ({"grid": "3"}, "name rows"),
    ):
        with pytest.raises(Misuse, match=line):
            _generated(tmp_path, **settings)
        assert not (tmp_path / "made.png").exists()


def test_how_near_its_faces_are_is_measured_with_the_attributes_of_the_faces(
    tiny: str, tmp_path: Path
) -> None:
    for number in range(4):
        Image.new("RGB", (18, 22), (40 * number, 90, 90)).save(tmp_path / f"{number}.png")
    with pytest.raises(Failure, match="wants attributes"):
        evaluate(tmp_path, tiny, "cpu")
    lines = ["4", "Smiling Bangs Bald", *(f"{number}.png 1 -1 -1" for number in range(4))]
    (tmp_path / ATTRIBUTES_FILE).write_text("\n".join(lines))
    rows = evaluate(tmp_path, tiny, "cpu")[1]
    assert rows[0][1:] == ("4", "4")
