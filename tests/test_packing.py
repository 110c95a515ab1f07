"""`imgan export --int4`: a file written anew with its large kernels in 4 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from imgan import cli
from imgan.errors import Failure
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.weights import read_weights
from imgan_exporters.onnx import Form, Port, write
from imgan_exporters.packing import BLOCK, pack, quantise

FORM = Form((Port("input", ("batch", 3, "height", "width")),))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 96, 3), nn.ReLU(), nn.ConvTranspose2d(96, 96, 4), nn.Conv2d(96, 3, 1)
    )
    target = tmp_path_factory.mktemp("packing") / "net.onnx"
    write(network, FORM, target, Description(name="net", operation="translate"), half=True)
    return target


def run(file: Path, values: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(file)
    return np.asarray(session.run(None, {"input": values})[0])


def test_a_weight_is_off_by_half_a_step_unless_it_was_clipped() -> None:
    rows = np.random.default_rng(0).normal(size=(50, BLOCK)).astype(np.float32)
    whole, scale = quantise(rows)
    assert whole.min() >= -7
    assert whole.max() <= 7
    error = np.abs(whole * scale.astype(np.float32) - rows)
    assert (error <= scale * 0.51)[np.abs(whole) < 7].all()
    assert np.sqrt((error**2).mean()) < 0.12


def test_the_file_is_smaller_and_gives_nearly_the_same(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.onnx"
    told = pack(exported, target, overwrite=False)
    assert target.stat().st_size < 0.45 * exported.stat().st_size
    values = np.random.default_rng(1).uniform(0, 1, (2, 3, 21, 17)).astype(np.float32)
    before, after = run(exported, values), run(target, values)
    off = np.sqrt(np.mean((after - before) ** 2) / np.mean(before**2))
    assert 0 < off < 0.12
    assert told == pytest.approx(off, rel=1)


def test_training_reads_what_onnxruntime_computes_with(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.onnx"
    pack(exported, target, overwrite=False)
    weights = read_weights(target, "net")["net"]
    network = nn.Sequential(
        nn.Conv2d(3, 96, 3), nn.ReLU(), nn.ConvTranspose2d(96, 96, 4), nn.Conv2d(96, 3, 1)
    )
    network.load_state_dict(weights)
    values = np.random.default_rng(1).uniform(0, 1, (1, 3, 9, 12)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(values)).numpy()
    assert np.abs(run(target, values) - wanted).max() < 1e-4


def test_a_file_without_large_kernels_is_refused_and_nothing_written(tmp_path: Path) -> None:
    small, target = tmp_path / "tiny.onnx", tmp_path / "out.onnx"
    write(nn.Conv2d(3, 3, 3), FORM, small, Description(name="n", operation="adjust"), half=True)
    with pytest.raises(Failure, match="no large kernel"):
        pack(small, target, overwrite=False)
    assert not target.exists()


def test_the_command_takes_a_file_and_keeps_its_card(exported: Path, tmp_path: Path) -> None:
    target, app = tmp_path / "small.onnx", cli.build(registry())
    done = CliRunner().invoke(app, ["export", str(exported), "-o", str(target), "--int4"])
    assert done.exit_code == 0, done.output
    assert "outputs differ by" in done.output
    metadata = ort.InferenceSession(target).get_modelmeta().custom_metadata_map
    assert '"name": "net"' in metadata["imgan.card"]
    assert CliRunner().invoke(app, ["export", str(exported), "-o", f"{target}2.onnx"]).exit_code
