"""`imgan generate`: the same seed gives the same pixels, in files, on a sheet and in a pipe."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

from imgan import cli
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images.sheets import sheet
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.operations import TRAINED
from imgan.plugins import registry
from imgan_generate import GENERATOR, Generate
from imgan_generate.evaluate import evaluate
from imgan_generate.run import sample


@pytest.fixture
def model(home: Path, tmp_path: Path) -> str:
    """The name of a tiny generator: tanh(z W) as [N, 3, 8, 8]."""
    weights = np.random.default_rng(0).normal(0, 0.1, (100, 192)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "weights"], ["flat"]),
            helper.make_node("Tanh", ["flat"], ["bounded"]),
            helper.make_node("Reshape", ["bounded", "shape"], ["output"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 100])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([-1, 3, 8, 8]), "shape"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "tiny.onnx")
    store.add(tmp_path / "tiny.onnx", Description(name="tiny", operation="generate"))
    return "tiny"


def generate(output: str, **fields: object) -> None:
    execute(Job(output=output, device="cpu"), Generate(**fields))  # type: ignore[arg-type]


def _faces(model: str, count: int, seed: int) -> np.ndarray:
    card = store.find(store.installed(), model)
    return sample(open_session(store.path(card), "cpu"), count, seed)


def test_a_face_depends_on_its_seed_and_number_alone(model: str) -> None:
    assert np.array_equal(_faces(model, 2, seed=5), _faces(model, 7, seed=5)[:2])
    assert not np.array_equal(_faces(model, 1, seed=5), _faces(model, 1, seed=6))


def test_several_faces_are_a_file_each(model: str, tmp_path: Path) -> None:
    generate(str(tmp_path / "faces"), count=3, seed=1, model=model)
    names = sorted(file.name for file in (tmp_path / "faces").iterdir())
    assert names == [f"{model}-1-{number}.png" for number in (1, 2, 3)]


def test_a_grid_is_one_sheet_row_by_row(model: str, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    generate(str(target), seed=1, grid="3x2", model=model)
    pixels = np.asarray(Image.open(target))
    assert pixels.shape == (16, 24, 3)
    assert np.array_equal(pixels[8:, :8], _faces(model, 5, seed=1)[3])


def test_a_face_says_that_a_network_made_it(model: str, tmp_path: Path) -> None:
    generate(str(tmp_path / "face.png"), seed=1, model=model)
    assert TRAINED.encode() in (tmp_path / "face.png").read_bytes()


def test_what_is_left_over_on_a_sheet_is_white() -> None:
    pixels = sheet(np.zeros((3, 8, 8, 3), np.uint8), columns=2)
    assert pixels.shape == (16, 16, 3)
    assert (pixels[8:, 8:] == 255).all()
    assert (pixels[:8] == 0).all()


def test_what_means_nothing_to_a_generator_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="--truncation"):
        generate(str(tmp_path / "face.png"), seed=1, truncation=0.5, model=model)
    for grid in ("4", "0x4", "4x4x4"):
        result = CliRunner().invoke(cli.build(registry()), ["generate", "--grid", grid])
        assert isinstance(result.exception, Misuse)


def test_an_existing_file_stays(model: str, tmp_path: Path) -> None:
    target = tmp_path / "face.png"
    target.write_bytes(b"mine")
    with pytest.raises(Failure, match="--overwrite"):
        generate(str(target), seed=1, model=model)
    assert target.read_bytes() == b"mine"


def test_several_faces_do_not_go_to_one_file(model: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="name a folder"):
        generate(str(tmp_path / "face.png"), count=2, seed=1, model=model)


def test_a_face_goes_to_a_pipe(model: str) -> None:
    command = [sys.executable, "-m", "imgan.cli", "generate", "--seed", "3", "--model", model]
    result = subprocess.run([*command, "-o", "-"], capture_output=True, check=True)
    pixels = np.asarray(Image.open(io.BytesIO(result.stdout)))
    assert np.array_equal(pixels, _faces(model, 1, seed=3)[0])


def test_a_folder_that_cannot_be_made_is_one_line(model: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "imgan.cli", "generate", "-n", "2", "--model", model]
    result = subprocess.run(
        [*command, "-o", f"{tmp_path}/file/faces/"], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Not a directory" in result.stderr


def test_sampled_faces_are_nearer_to_sampled_ones_than_to_noise(tmp_path: Path) -> None:
    session = open_session(store.path(store.find(store.installed(), GENERATOR, "generate")), "cpu")
    sets = {
        "faces": sample(session, 12, seed=1),
        "noise": np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8),
    }
    far = {}
    for name, pictures in sets.items():
        (tmp_path / name).mkdir()
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
        header, rows = evaluate(tmp_path / name, None, "cpu")
        figures = dict(zip(header[1:], zip(*(row[1:] for row in rows), strict=True), strict=True))
        assert figures["real"][0] == figures["sampled"][0] == "12"
        far[name] = [float(figure) for figure in figures["sampled"][1:]]
    assert len(far["faces"]) == 4
    assert all(near < 0.5 * noise for near, noise in zip(*far.values(), strict=True))
    (tmp_path / "none").mkdir()
    with pytest.raises(Failure, match="no picture in it"):
        evaluate(tmp_path / "none", None, "cpu")
