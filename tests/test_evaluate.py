"""Evaluation: the measures themselves, and `imgan evaluate`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from skimage.metrics import structural_similarity
from typer.testing import CliRunner

from imgan import cli
from imgan.errors import Failure
from imgan.metrics import fidelity, luma, psnr, ssim
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry


def _picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def test_luma_is_that_of_rgb2ycbcr() -> None:
    # MATLAB: rgb2ycbcr(uint8 black, white, red, green, blue) -> 16, 235, 81, 145, 41.
    rgb = np.eye(3, dtype=np.uint8) * 255
    pixels = np.array([[[0, 0, 0], [255, 255, 255], *rgb]], np.uint8)
    assert luma(pixels).round().tolist() == [[16, 235, 81, 145, 41]]


def test_psnr_of_a_known_error() -> None:
    plane = np.zeros((4, 4))
    assert psnr(plane, plane + 5) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(plane, plane) == math.inf


def test_ssim_equals_the_reference_implementation() -> None:
    a = luma(_picture(30, 41))
    b = a + np.random.default_rng(1).normal(0, 12, a.shape)
    reference = structural_similarity(
        a, b, gaussian_weights=True, use_sample_covariance=False, data_range=255
    )
    assert ssim(a, b) == pytest.approx(reference, abs=1e-9)
    assert ssim(a, a) == pytest.approx(1)


def test_pictures_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(Failure, match="10x40 px"):
        ssim(np.zeros((40, 10)), np.zeros((40, 10)))


def test_fidelity_cuts_the_border_off() -> None:
    truth = _picture(30, 30)
    result = truth.copy()
    result[:4] = 0
    assert fidelity(result, truth, 4) == (math.inf, pytest.approx(1))
    assert fidelity(result, truth, 3)[0] < 40


@pytest.fixture
def nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of the person's own that doubles a picture by repeating pixels."""
    monkeypatch.setenv("IMGAN_HOME", str(tmp_path / "home"))
    kernel = np.zeros((12, 3, 1, 1), np.float32)
    for channel in range(3):
        kernel[4 * channel : 4 * channel + 4, channel] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "kernel"], ["fours"]),
            helper.make_node("DepthToSpace", ["fours"], ["output"], blocksize=2, mode="CRD"),
        ],
        "nearest",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3, "h2", "w2"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "nearest.onnx")
    store.add(tmp_path / "nearest.onnx", Description(name="nearest", operation="upscale"))
    return "nearest"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(_picture(41, 48)).save(folder / "a.png")
    Image.fromarray(_picture(36, 37, seed=2)).save(folder / "more" / "b.png")
    return folder


def _evaluate(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.build(registry()), ["evaluate", "upscale", *arguments])
    message = f"{result.exception}" if isinstance(result.exception, Failure) else ""
    return result.exit_code, result.stdout + message


def test_evaluate_upscale_prints_a_row_a_picture_and_the_mean(nearest: str, pictures: Path) -> None:
    code, output = _evaluate("--data", str(pictures), "--model", nearest, "--device", "cpu")
    assert code == 0, output
    header, *rows = [line.split("\t") for line in output.splitlines()]
    assert header[1:4] == ["PSNR", "SSIM", "distance (bundled features)"]
    assert header[4:] == ["bicubic PSNR", "bicubic SSIM", "bicubic distance"]
    assert [row[0] for row in rows] == ["a.png", str(Path("more", "b.png")), "mean"]
    figures = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(figures[2], figures[:2].mean(axis=0), atol=0.006)
    # Bicubic interpolation restores what bicubic interpolation made better than repeated pixels do.
    assert (figures[:, 3] > figures[:, 0]).all()
    truth = _picture(41, 48)[:40]
    small = Image.fromarray(truth).resize((24, 20), Image.Resampling.BICUBIC)
    bicubic = np.asarray(small.resize((48, 40), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(figures[0, 3:5], fidelity(bicubic, truth, 2), atol=0.006)
    inside = np.s_[2:-2, 2:-2]
    distance = open_features("cpu").distance(bicubic[inside], truth[inside])
    assert figures[0, 5] == pytest.approx(distance, abs=1e-4)


def test_evaluate_gives_json_lines(nearest: str, pictures: Path) -> None:
    code, output = _evaluate(
        "--data", str(pictures), "--model", nearest, "--device", "cpu", "--json"
    )
    assert code == 0, output
    rows = [json.loads(line) for line in output.splitlines()]
    assert rows[-1]["picture"] == "mean"
    assert float(rows[0]["PSNR"]) > 20


def test_evaluate_refuses_pictures_that_are_too_small(nearest: str, tmp_path: Path) -> None:
    Image.fromarray(_picture(14, 40)).save(tmp_path / "small.png")
    code, output = _evaluate("--data", str(tmp_path), "--model", nearest, "--device", "cpu")
    assert code == 1
    assert "40x14 px" in output


def test_evaluate_refuses_a_model_of_another_operation(nearest: str, pictures: Path) -> None:
    file = store.path(store.find(store.installed(), nearest))
    store.add(file, Description(name="other", operation="generate"))
    code, output = _evaluate("--data", str(pictures), "--model", "other", "--device", "cpu")
    assert code != 0
    assert "imgan generate" in output
