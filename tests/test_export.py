"""Export: parity, dynamic sizes, half precision, the card, and names that --init-from finds again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from imgan import cli
from imgan.cards import METADATA_KEY, Description, card_from_json
from imgan.errors import Failure, Misuse
from imgan.export import describe
from imgan.plugins import registry
from imgan.recipes import resolve
from imgan.training.loop import start_from
from imgan.training.run import train
from imgan.training.weights import read_weights
from imgan_edit.net import Classifier, Encoder, VectorEditor
from imgan_exporters import families
from imgan_exporters.onnx import LIMIT, Form, Port, convert, write
from imgan_generate import DCGANSettings
from imgan_generate.net import Generator
from imgan_generate.train import DCGANTask
from imgan_upscale import CompactSettings
from imgan_upscale.net import Compact, SRResNet
from imgan_upscale.train import CompactTask

CARD = Description(name="tiny", operation="upscale", licence="MIT")
TINY = CompactSettings(steps=2, batch=2, width=4, blocks=2, crop=8)


def _lively(network: nn.Module) -> nn.Module:
    """Weights and statistics as after training, none of them zero or equal to another."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator) * 0.1
                tensor.copy_(noise + 0.5 if "running_var" in name else tensor + noise)
    return network.eval()


def _run(file: Path, **inputs: Tensor) -> list[np.ndarray]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(None, {n: t.numpy() for n, t in inputs.items()})
    return outputs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `imgan train upscale`; its pictures are gone again."""
    base = tmp_path_factory.mktemp("export")
    data = base / "photos"
    data.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 44, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(data / "photo.png")
    train(registry().recipes["upscale"], TINY, data, base / "run")
    (data / "photo.png").unlink()
    return base / "run"


def _imgan(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli.build(registry()), [str(a) for a in arguments])
    message = f"{result.exception}" if isinstance(result.exception, Failure) else ""
    return result.exit_code, result.output + message


def test_export_prints_parity_and_writes_one_file_with_its_card(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "My Model.onnx"
    code, output = _imgan("export", run, "-o", target)
    assert code == 0, output
    assert "parity with PyTorch" in output
    assert "1x3x16x28" in output
    assert "3x3x33x21" in output
    assert [p.name for p in tmp_path.iterdir()] == ["My Model.onnx"]
    metadata = {p.key: p.value for p in onnx.load(target).metadata_props}
    card = card_from_json(metadata[METADATA_KEY], target)
    assert (card.name, card.operation) == ("my-model", "upscale")
    assert card.command.startswith("imgan train upscale --data photos --out RUN --steps 2")
    assert card.input == "RGB 0..1, any size"


def test_axes_are_dynamic_and_named(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    assert _imgan("export", run, "-o", target)[0] == 0
    graph = onnx.load(target).graph
    assert [v.name for v in (*graph.input, *graph.output)] == ["input", "output"]
    axes = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    for batch, height, width in [(1, 5, 9), (2, 31, 16)]:
        (output,) = _run(target, input=torch.rand(batch, 3, height, width))
        assert output.shape == (batch, 3, 4 * height, 4 * width)


def test_nothing_of_the_machine_is_in_the_file(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    assert _imgan("export", run, "-o", target)[0] == 0
    content = target.read_bytes()
    assert b".py" not in content
    assert str(run.parent).encode() not in content


def test_an_existing_file_stays_unless_told(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"mine")
    code, output = _imgan("export", run, "-o", target)
    assert code == 1
    assert "--overwrite" in output
    assert target.read_bytes() == b"mine"
    assert _imgan("export", run, "-o", target, "--overwrite")[0] == 0
    assert target.read_bytes() != b"mine"


def test_a_run_without_checkpoint_is_one_line(run: Path, tmp_path: Path) -> None:
    code, output = _imgan("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert code == 1
    assert "no run.json" in output
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    code, output = _imgan("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert code == 1
    assert "no checkpoint.pt" in output


def test_half_precision_halves_the_file_and_keeps_the_names(tmp_path: Path) -> None:
    network = _lively(Compact(width=24, blocks=2))
    single, half = tmp_path / "single.onnx", tmp_path / "half.onnx"
    exact = write(network, families.picture, single, CARD)
    rounded = write(network, families.picture, half, CARD, half=True)
    assert half.stat().st_size < 0.6 * single.stat().st_size
    assert exact.worst < 1e-5 < rounded.worst < 0.05
    assert "no limit" in str(rounded)
    names = [{i.name for i in onnx.load(f).graph.initializer} for f in (single, half)]
    assert names[0] == names[1] == network.state_dict().keys()
    picture = torch.rand(1, 3, 6, 7)
    (output,) = _run(half, input=picture)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, network(picture).detach(), atol=0.05)


def test_half_precision_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    network = Compact(width=4, blocks=1)
    network.head.weight.data[0, 0, 0, 0] = 1e6
    with pytest.raises(Failure, match=r"head\.weight has values too large"):
        write(network, families.picture, tmp_path / "half.onnx", CARD, half=True)
    assert not list(tmp_path.iterdir())


class _Trained(nn.Module):
    """Computes something else while it is exported than afterwards."""

    def __init__(self, drift: float) -> None:
        super().__init__()
        self.drift = drift

    def forward(self, x: Tensor) -> Tensor:
        return x if torch.compiler.is_exporting() else x + self.drift


@pytest.mark.parametrize("drift", [2 * LIMIT, torch.nan])
def test_an_export_that_differs_is_refused_and_not_written(tmp_path: Path, drift: float) -> None:
    with pytest.raises(Failure, match=r"model\.onnx is not written"):
        write(_Trained(drift), families.picture, tmp_path / "model.onnx", CARD)
    assert not list(tmp_path.iterdir())


def test_a_difference_below_the_limit_is_reported(tmp_path: Path) -> None:
    parity = write(_Trained(LIMIT / 2), families.picture, tmp_path / "model.onnx", CARD)
    assert LIMIT / 4 < parity.worst < LIMIT


@pytest.mark.parametrize(
    ("network", "form"),
    [
        (SRResNet(scale=2, width=4, blocks=1), families.picture),
        (Generator(width=4), families.generator),
        (Classifier(width=4), families.classifier),
        (
            VectorEditor(Encoder(width=4), Generator(width=4), torch.rand(40, 100) - 0.5),
            families.editor,
        ),
    ],
    ids=["srresnet", "dcgan", "classifier", "editor"],
)
def test_every_family_exports_equal_and_keeps_every_name(
    network: nn.Module, form: Form, tmp_path: Path
) -> None:
    parity = write(_lively(network), form, tmp_path / "model.onnx", CARD)
    assert parity.worst < 1e-5
    names = {i.name for i in onnx.load(tmp_path / "model.onnx").graph.initializer}
    kept = {name for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    assert names == kept


def test_equal_weights_do_not_become_one(tmp_path: Path) -> None:
    # At the start every bias is zero: an optimiser would keep one of them.
    model = convert(Compact(width=4, blocks=2).eval(), families.picture)
    assert len(model.graph.initializer) == len(Compact(width=4, blocks=2).state_dict())


def test_init_from_takes_an_exported_file(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    assert _imgan("export", run, "-o", target)[0] == 0
    torch.manual_seed(5)
    task = CompactTask(tmp_path, replace(TINY, blocks=3))
    missing = start_from(task, read_weights(target, task.shipped))
    assert all(name.startswith("upscaler.blocks.2.") for name in missing)
    picture = torch.rand(1, 3, 8, 8)
    (wanted,) = _run(target, input=picture)
    with torch.no_grad():
        np.testing.assert_allclose(task.trained("upscaler")(picture), wanted, atol=1e-6)


def test_init_from_takes_half_precision_and_batch_normalisation(tmp_path: Path) -> None:
    network = _lively(Generator(width=4))
    write(network, families.generator, tmp_path / "half.onnx", CARD, half=True)
    task = DCGANTask(tmp_path, DCGANSettings(width=4, critic_width=4))
    assert start_from(task, read_weights(tmp_path / "half.onnx", task.shipped)) == []
    taken = task.networks["generator"].state_dict()
    torch.testing.assert_close(taken["layers.1.running_var"], network.layers[1].running_var)
    torch.testing.assert_close(
        taken["layers.0.weight"], network.layers[0].weight.data, atol=1e-3, rtol=0
    )


def test_init_from_takes_one_network_out_of_several(tmp_path: Path) -> None:
    editor = _lively(VectorEditor(Encoder(width=4), Generator(width=4), torch.rand(40, 100)))
    write(editor, families.editor, tmp_path / "editor.onnx", CARD)
    weights = read_weights(tmp_path / "editor.onnx", "encoder")
    assert weights["encoder"].keys() < editor.encoder.state_dict().keys()


@pytest.mark.parametrize("name", ["weights.onnx", "weights.safetensors"])
def test_weights_that_cannot_be_read_are_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not weights")
    with pytest.raises(Failure, match="cannot be read") as failure:
        read_weights(tmp_path / name, "upscaler")
    assert "\n" not in str(failure.value)


def test_weights_of_an_unknown_kind_are_misuse(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").touch()
    with pytest.raises(Misuse, match="safetensors"):
        read_weights(tmp_path / "weights.bin", "upscaler")
    with pytest.raises(Misuse, match=r"no checkpoint\.pt"):
        read_weights(tmp_path, "upscaler")


def test_a_card_file_adds_what_the_run_cannot_know(tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text(
        '[[model]]\nname = "x"\noperation = "upscale"\nlicence = "MIT"\n'
        '[model.figures]\n"Set5 PSNR" = 31.5\n'
    )
    card = describe(registry().exporters["upscale"], "imgan train upscale", "fine", file)
    assert (card.name, card.licence, card.figures) == ("fine", "MIT", {"Set5 PSNR": 31.5})
    assert card.command == "imgan train upscale"
    with pytest.raises(Misuse, match="is for upscale, the run is for generate"):
        describe(registry().exporters["dcgan"], "imgan train dcgan", "fine", file)


def test_every_recipe_has_an_exporter_and_every_exporter_a_form() -> None:
    found = registry()
    assert found.recipes.keys() == found.exporters.keys()
    for exporter in found.exporters.values():
        assert isinstance(resolve(exporter.entry), Form)


def test_ports_draw_inside_their_range() -> None:
    port = Port("input", ("batch", 100), -2, 2)
    values = port.draw({"batch": 3}, torch.Generator().manual_seed(0))
    assert values.shape == (3, 100)
    assert -2 <= values.min() < -1.5
    assert 1.5 < values.max() <= 2


def test_the_card_is_json(run: Path, tmp_path: Path) -> None:
    code, _ = _imgan("export", run, "-o", tmp_path / "a.onnx", "--name", "own-name", "--fp16")
    assert code == 0
    session = ort.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert card["name"] == "own-name"
