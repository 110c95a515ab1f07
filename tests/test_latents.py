"""`imgan evaluate latents`: the mutual information gap where it is known, and tiny generators."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner, Result

from imgan import cli
from imgan.metrics.disentanglement import Disentanglement, cosines, directions, disentanglement
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan_generate import LATENT
from imgan_invert.evaluate import evaluate_reconstruction

LOG2 = math.log(2)
COUNT = 400
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def factors() -> NDArray[np.bool_]:
    """Two attributes, independent of each other, each in half of the pictures."""
    return np.array([(n % 2, n // 2 % 2) for n in range(COUNT)], bool)


def _told(codes: NDArray[np.float64], factors: NDArray[np.bool_]) -> Disentanglement:
    deviations = np.full(codes.shape[1], 0.2, np.float32)
    return disentanglement(codes.astype(np.float32), deviations, factors, samples=4000)


def test_a_number_for_each_attribute_has_the_whole_gap(factors: NDArray[np.bool_]) -> None:
    told = _told(2.0 * factors - 1, factors)
    # A number that is an attribute says all of it, log 2, and nothing of the other.
    assert told.entropy == pytest.approx([LOG2, LOG2])
    assert told.information == pytest.approx(np.eye(2) * LOG2, abs=0.01)
    assert told.gap == pytest.approx([1, 1], abs=0.02)


def test_the_information_of_noise_is_what_the_integral_says(factors: NDArray[np.bool_]) -> None:
    # z = v + noise of deviation 1, v = -1 or 1: the channel of binary input and Gaussian noise.
    codes = np.repeat(2.0 * factors[:, :1] - 1, 2, 1)
    told = disentanglement(codes.astype(np.float32), np.ones(2, np.float32), factors, 40_000)
    z = np.linspace(-9, 9, 20_001)
    one, other = (np.exp(-((z - v) ** 2) / 2) / math.sqrt(2 * math.pi) for v in (1, -1))
    mixture = (one + other) / 2
    integral = np.trapezoid(one * np.log(one / mixture), z)
    assert told.information[:, 0] == pytest.approx([integral] * 2, abs=0.01)
    assert 0.3 < integral < 0.4


def test_turned_axes_have_no_gap(factors: NDArray[np.bool_]) -> None:
    signs = 2.0 * factors - 1
    angles = (0, math.pi / 8, math.pi / 4)
    gaps = []
    for angle in angles:
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        gaps.append(_told(signs @ turn.T, factors).gap.mean())
    assert gaps[0] > 0.95 > gaps[1] > gaps[2]
    assert gaps[2] == pytest.approx(0, abs=0.02)


def test_two_numbers_that_say_the_same_have_no_gap_and_all_the_information(
    factors: NDArray[np.bool_],
) -> None:
    twice = np.concatenate([2.0 * factors - 1] * 2, 1)
    told = _told(twice, factors)
    assert told.share == pytest.approx([1, 1], abs=0.02)  # mutual information alone is content
    assert told.gap == pytest.approx([0, 0], abs=0.01)


def test_rare_attributes_are_measured_by_their_own_entropy() -> None:
    rare = np.arange(COUNT)[:, None] % 10 == 0
    told = _told(np.concatenate([2.0 * rare - 1, np.zeros((COUNT, 1))], 1), rare)
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert told.entropy == pytest.approx([entropy])
    assert told.information[0] == pytest.approx(entropy, abs=0.01)
    assert told.gap == pytest.approx([1], abs=0.03)


def test_directions_and_their_cosines(factors: NDArray[np.bool_]) -> None:
    codes = (2.0 * factors - 1) @ np.array([[3.0, 0, 1], [1, 0, -3]])
    found = directions(codes.astype(np.float32), factors)
    assert found == pytest.approx(2 * np.array([[3, 0, 1], [1, 0, -3]]), abs=1e-5)
    assert cosines(found) == pytest.approx(np.eye(2), abs=1e-6)
    both = cosines(np.array([[1.0, 0], [-2, 0], [1, 1]], np.float32))
    assert both[0] == pytest.approx([1, -1, math.sqrt(0.5)])


SIDE = 16
FACE = ["n", 3, SIDE, SIDE]


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    ports: tuple[dict[str, list[Any]], dict[str, list[Any]]],
    **weights: NDArray[Any],
) -> Path:
    inputs, outputs = (
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in part.items()]
        for part in ports
    )
    kept = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, kept)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        str(path),
    )
    return path


@pytest.fixture
def generator(home: Path) -> str:
    """A generator whose first numbers are the colour of its picture, and its encoder."""
    colour = np.eye(LATENT, 3, dtype=np.float32) / 4
    node = helper.make_node
    made = _save(
        home / "made.onnx",
        [
            node("MatMul", ["input", "colour"], ["mean"]),
            node("Unsqueeze", ["mean", "axes"], ["pixel"]),
            node("Expand", ["pixel", "shape"], ["output"]),
        ],
        ({"input": ["n", LATENT]}, {"output": FACE}),
        colour=colour,
        axes=np.array([2, 3]),
        shape=np.array([1, 3, SIDE, SIDE]),
    )
    sha = store.add(made, Description(name="tiny", operation="generate")).sha256
    encoder = _save(
        home / "encoder.onnx",
        [
            node("GlobalAveragePool", ["face"], ["pixel"]),
            node("Flatten", ["pixel"], ["mean"]),
            node("MatMul", ["mean", "back"], ["z"]),
        ],
        ({"face": FACE}, {"z": ["n", LATENT]}),
        back=np.ascontiguousarray(16 * colour.T),
    )
    traits: dict[str, float | str] = {"generator": sha}
    store.add(encoder, Description(name="tiny-encoder", operation="edit", traits=traits))
    return "tiny"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Red faces smile, and green ones are male; nobody has anything else."""
    folder = tmp_path / "faces"
    folder.mkdir()
    lines = ["24", "Bald Male Smiling"]
    for number in range(24):
        red, green = number % 2, number // 2 % 2
        colour = (60 + 120 * red, 60 + 120 * green, 128)
        Image.new("RGB", (18, 22), colour).save(folder / f"{number:03d}.png")
        lines.append(f"{number:03d}.png -1 {2 * green - 1} {2 * red - 1}")
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines))
    return folder


def _run(*words: str) -> Result:
    return RUNNER.invoke(cli.build(registry()), ["evaluate", "latents", "--device", "cpu", *words])


def test_the_table_and_the_heat_map(generator: str, faces: Path, tmp_path: Path) -> None:
    picture = tmp_path / "cosines.png"
    result = _run("--data", str(faces), "--model", generator, "--json", "--picture", str(picture))
    assert result.exit_code == 0, result.output
    rows = {row["attribute"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert list(rows) == ["male", "smiling", "mean", "mean by chance"]  # nobody is bald
    # Each is a colour, and the encoder hardly errs: a number of z tells all of it.
    assert float(rows["smiling"]["gap"]) > 0.95
    assert float(rows["smiling"]["mutual information"]) == pytest.approx(LOG2, abs=0.02)
    assert float(rows["mean by chance"]["gap"]) < 0.4
    assert rows["male"]["nearest direction"] == "smiling"
    assert abs(float(rows["male"]["cosine"])) < 0.05
    with Image.open(picture) as drawn:
        assert drawn.width == drawn.height > 2 * 18
        assert drawn.getpixel((drawn.width - 5, drawn.height - 5)) == (178, 24, 43)
        assert min(drawn.getpixel((drawn.width - 5, drawn.height - 30))) > 240


def test_a_generator_of_styles_is_measured_with_labels_of_ones_own(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that ships, whatever the labels are of."""
    monkeypatch.setattr("imgan_invert.evaluate.GENERATED", 4)
    result = _run("--data", str(faces), "--model", "stylegan-cats", "--json")
    assert result.exit_code == 0, result.exception
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["attribute"] for row in rows] == ["male", "smiling", "mean", "mean by chance"]
    assert rows[0]["nearest direction"] == "smiling"


def test_what_cannot_be_measured_is_said(generator: str, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"mine")
    for words, line in (
        (("--data", str(faces), "--picture", str(tmp_path / "there.png")), "exists"),
        (("--data", str(faces), "--picture", str(tmp_path / "a.jpg")), "end it with .png"),
        (("--data", str(tmp_path), "--model", generator), "list_attr_celeba.txt is missing"),
        (("--data", str(faces), "--model", "upscale-x4"), "serves `imgan upscale`"),
    ):
        result = _run(*words)
        assert result.exit_code != 0, words
        assert line in str(result.exception), words
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_what_the_encoder_keeps_is_measured(generator: str, faces: Path) -> None:
    header, rows = evaluate_reconstruction(faces, generator, "cpu")
    figures = dict(rows)
    # A colour is a colour again, but for the rounding of bytes.
    assert header == ("figure", "tiny")
    assert figures["pictures"] == "24"
    assert float(figures["PSNR"]) > 45
    assert float(figures["SSIM"]) > 0.95
