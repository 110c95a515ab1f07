"""Export: parity, dynamic sizes, half precision, the card, and names for --init-from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import ModelProto, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

import imgan_exporters.onnx
import imgan_upscale.ports
from imgan import cli
from imgan.commands.export import describe
from imgan.errors import Failure, Misuse
from imgan.models.cards import METADATA_KEY, Description, card_from_json
from imgan.models.store import embedded_description
from imgan.plugins import registry
from imgan.recipes import resolve
from imgan.training.classifier import Classifier
from imgan.training.loop import start_from
from imgan.training.ports import Form, Port, export
from imgan.training.run import Record, restore, train
from imgan.training.weights import read_weights
from imgan_edit.net import VectorEditor
from imgan_edit.ports import CLASSIFIER, EDITOR
from imgan_exporters.onnx import LIMIT, Parity, _drawn, convert, halve, write
from imgan_generate import DCGANSettings
from imgan_generate.net import Encoder, Generator
from imgan_generate.ports import GENERATOR
from imgan_generate.training.dcgan import DCGANTask
from imgan_upscale import CompactSettings
from imgan_upscale.net import Compact, SRResNet
from imgan_upscale.ports import UPSCALER
from imgan_upscale.training.faithful import CompactTask

pytestmark = pytest.mark.slow  # networks are exported for most of it

CARD = Description(name="tiny", operation="upscale", licence="MIT")
TINY = CompactSettings(steps=2, batch_size=2, width=4, blocks=2, crop=8)


def _trained(network: nn.Module) -> nn.Module:
    """Weights and statistics as after training: none of them is zero or equal to another."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = (torch.rand(tensor.shape, generator=generator) - 0.5) * 0.1
                tensor.copy_(noise + 0.5 if "running_var" in name else tensor + noise)
    return network.eval()


def _run(file: Path, **inputs: Tensor) -> list[np.ndarray]:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs: list[np.ndarray] = session.run(None, {n: t.numpy() for n, t in inputs.items()})
    return outputs


FAMILIES = {
    # Untrained, so that tensors are equal: an optimiser would keep one of them.
    "upscale": (Compact(width=4, blocks=2).eval(), UPSCALER),
    "srresnet": (_trained(SRResNet(scale=2, width=4, blocks=1)), UPSCALER),
    "dcgan": (_trained(Generator(width=4)), GENERATOR),
    "edit": (
        _trained(VectorEditor(Encoder(width=4), Generator(width=4), torch.zeros(40, 100))),
        EDITOR,
    ),
    "edit-classifier": (_trained(Classifier(4, 40)), CLASSIFIER),
}


@pytest.fixture(scope="module")
def models() -> dict[str, ModelProto]:
    """Every family as ONNX: converted once, since that takes seconds."""
    return {name: convert(network, form) for name, (network, form) in FAMILIES.items()}


def _write(
    models: dict[str, ModelProto],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: Path,
    half: bool = False,
) -> Parity:
    """`write` without converting once more."""
    copy = ModelProto()
    copy.CopyFrom(models[name])
    monkeypatch.setattr(imgan_exporters.onnx, "convert", lambda network, form: copy)
    return write(*FAMILIES[name], target, CARD, half=half)


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
    message = f"{result.exception}" if isinstance(result.exception, Failure | Misuse) else ""
    return result.exit_code, result.output + message


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, exported by the command."""
    target = tmp_path_factory.mktemp("exported") / "My Model.onnx"
    code, output = _imgan("export", run, "-o", target)
    assert code == 0, output
    assert "parity with PyTorch" in output
    assert "1x3x16x28" in output
    assert "3x3x33x21" in output
    return target


def test_export_writes_one_file_with_its_card(exported: Path) -> None:
    assert list(exported.parent.iterdir()) == [exported]
    metadata = {p.key: p.value for p in onnx.load(exported).metadata_props}
    card = card_from_json(metadata[METADATA_KEY], exported)
    assert (card.name, card.operation) == ("my-model", "upscale")
    assert card.command.startswith("imgan train upscale --data photos --out RUN --steps 2")
    assert card.input == "RGB 0..1, any size"


def test_an_export_in_half_precision_replaces_one_when_told(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"mine")
    code, output = _imgan("export", run, "-o", target)
    assert code == 1
    assert "--overwrite" in output
    assert target.read_bytes() == b"mine"
    more = ["--overwrite", "--fp16", "--name", "own-name"]
    code, output = _imgan("export", run, "-o", target, *more)
    assert code == 0, output
    assert "no limit" in output
    metadata = {p.key: p.value for p in onnx.load(target).metadata_props}
    assert card_from_json(metadata[METADATA_KEY], target).name == "own-name"


def test_axes_are_dynamic_and_named(exported: Path) -> None:
    graph = onnx.load(exported).graph
    assert [v.name for v in (*graph.input, *graph.output)] == ["input", "output"]
    axes = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", 3, "height", "width"]
    for batch, height, width in [(1, 5, 9), (2, 31, 16)]:
        (output,) = _run(exported, input=torch.rand(batch, 3, height, width))
        assert output.shape == (batch, 3, 4 * height, 4 * width)


def test_nothing_of_the_machine_is_in_the_file(run: Path, exported: Path) -> None:
    content = exported.read_bytes()
    assert b".py" not in content
    assert str(run.parent).encode() not in content


def test_a_run_without_checkpoint_is_one_line(run: Path, tmp_path: Path) -> None:
    code, output = _imgan("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert code == 1
    assert "no run.json" in output
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    code, output = _imgan("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert code == 1
    assert "no checkpoint.pt" in output


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_exports_equal_and_keeps_every_name(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    parity = _write(models, monkeypatch, name, tmp_path / "model.onnx")
    assert parity.worst < 1e-5
    state = FAMILIES[name][0].state_dict()
    names = {i.name for i in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert names == {key for key, tensor in state.items() if tensor.is_floating_point()}


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_keeps_names_and_types_and_is_close(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    target = tmp_path / "half.onnx"
    parity = _write(models, monkeypatch, name, target, half=True)
    assert 1e-8 < parity.worst < 0.01
    onnx.checker.check_model(target, full_check=True)
    graph = onnx.load(target).graph
    assert [i.name for i in graph.initializer] == [i.name for i in models[name].graph.initializer]
    assert {o.type.tensor_type.elem_type for o in graph.output} == {onnx.TensorProto.FLOAT}


def test_half_precision_halves_the_file(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for half in (False, True):
        _write(models, monkeypatch, "dcgan", tmp_path / f"{half}.onnx", half=half)
    single, half = ((tmp_path / f"{half}.onnx").stat().st_size for half in (False, True))
    assert half < 0.55 * single


def test_half_precision_refuses_what_it_cannot_hold(models: dict[str, ModelProto]) -> None:
    model = ModelProto()
    model.CopyFrom(models["upscale"])
    kernel = next(i for i in model.graph.initializer if i.name == "head.weight")
    kernel.CopyFrom(numpy_helper.from_array(np.full((4, 3, 3, 3), 1e6, np.float32), kernel.name))
    with pytest.raises(Failure, match=r"head\.weight has values too large"):
        halve(model)


class _Drifted(nn.Module):
    """Another network than the one that was converted."""

    def __init__(self, network: nn.Module, drift: float) -> None:
        super().__init__()
        self.network = network
        self.drift = drift

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.network(x) + self.drift
        return output


@pytest.mark.parametrize("drift", [2 * LIMIT, torch.nan])
def test_an_export_that_differs_is_refused_and_not_written(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drift: float
) -> None:
    network, form = FAMILIES["upscale"]
    monkeypatch.setitem(FAMILIES, "upscale", (_Drifted(network, drift), form))
    with pytest.raises(Failure, match=r"model\.onnx is not written"):
        _write(models, monkeypatch, "upscale", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_difference_below_the_limit_is_reported(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network, form = FAMILIES["upscale"]
    monkeypatch.setitem(FAMILIES, "upscale", (_Drifted(network, LIMIT / 2), form))
    parity = _write(models, monkeypatch, "upscale", tmp_path / "model.onnx")
    assert LIMIT / 4 < parity.worst < LIMIT
    assert f"{parity.worst:.1e} at " in str(parity)


def test_an_export_may_be_blended_with_other_weights(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    mine = read_weights(exported, "upscaler")["upscaler"]
    save_file({key: weight + 0.01 for key, weight in mine.items()}, other)
    target = tmp_path / "blended.onnx"
    code, output = _imgan("export", run, "-o", target, "--blend", f"{other}=0.25")
    assert code == 0, output
    blended = read_weights(target, "upscaler")["upscaler"]
    for key, weight in mine.items():
        torch.testing.assert_close(blended[key], weight + 0.0025, atol=1e-5, rtol=1e-5)
    written = embedded_description(target)
    assert written is not None
    assert written.command.endswith("--blend other.safetensors=0.25")


@pytest.mark.parametrize("words", ["other.onnx", "=0.5", "other.onnx=2", "other.onnx=half"])
def test_a_share_that_is_none_is_misuse(run: Path, tmp_path: Path, words: str) -> None:
    code, output = _imgan("export", run, "-o", tmp_path / "model.onnx", "--blend", words)
    assert code
    assert "a share of 0 to 1" in output
    assert not (tmp_path / "model.onnx").exists()


def test_other_networks_cannot_be_blended(run: Path, tmp_path: Path) -> None:
    save_file({"layers.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    words = f"{tmp_path / 'other.safetensors'}=0.5"
    code, output = _imgan("export", run, "-o", tmp_path / "model.onnx", "--blend", words)
    assert code
    assert "its weights are not those of upscaler" in output


def test_init_from_takes_an_exported_file(exported: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    task = CompactTask(tmp_path, replace(TINY, blocks=3))
    missing = start_from(task, read_weights(exported, task.shipped))
    assert len(missing) == 4
    assert all(name.startswith("upscaler.blocks.2.") for name in missing)
    picture = torch.rand(1, 3, 8, 8)
    (wanted,) = _run(exported, input=picture)
    with torch.no_grad():
        np.testing.assert_allclose(task.trained("upscaler")(picture), wanted, atol=1e-6)


def test_init_from_takes_half_precision_and_batch_normalisation(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _write(models, monkeypatch, "dcgan", tmp_path / "half.onnx", half=True)
    task = DCGANTask(tmp_path, DCGANSettings(width=4, discriminator_width=4))
    assert start_from(task, read_weights(tmp_path / "half.onnx", task.shipped)) == []
    taken, given = task.networks["generator"].state_dict(), FAMILIES["dcgan"][0].state_dict()
    assert torch.equal(taken["layers.1.running_var"], given["layers.1.running_var"])
    kernels = taken["layers.0.weight"], given["layers.0.weight"]
    torch.testing.assert_close(*kernels, atol=1e-4, rtol=1e-3)


def test_init_from_takes_one_network_out_of_several(
    models: dict[str, ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _write(models, monkeypatch, "edit", tmp_path / "editor.onnx")
    weights = read_weights(tmp_path / "editor.onnx", "encoder")["encoder"]
    result = Encoder(width=4).load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in result.missing_keys)


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
    card = describe(registry().recipes["upscale"], "imgan train upscale", "fine", file)
    assert (card.name, card.licence, card.figures) == ("fine", "MIT", {"Set5 PSNR": 31.5})
    assert card.command == "imgan train upscale"
    with pytest.raises(Misuse, match="is for upscale, the run is for generate"):
        describe(registry().recipes["dcgan"], "imgan train dcgan", "fine", file)


def test_every_recipe_names_its_ports() -> None:
    for recipe in registry().recipes.values():
        ports = resolve(recipe.ports)
        assert isinstance(ports, Form) or callable(ports), recipe.name


def test_a_form_says_what_a_card_has_to_and_the_card_has_the_last_word(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = registry().recipes["upscale"]
    told: dict[str, object] = {}

    def write(network: nn.Module, form: Form, target: Path, card: Description, **_: object) -> str:
        told.update(card.traits)
        return "written"

    monkeypatch.setattr(imgan_exporters.onnx, "write", write)
    traits = {"scale": 4, "grain": 1}
    monkeypatch.setattr(imgan_upscale.ports, "UPSCALER", replace(UPSCALER, traits=traits))
    task = restore(recipe, Record.read(run), run)
    card = replace(CARD, traits={"grain": 2})
    assert export(recipe, task, tmp_path / "a.onnx", card) == "written"
    assert told == {"scale": 4, "grain": 2}
    with pytest.raises(Failure, match=r"no plugin here writes \.gguf files"):
        export(recipe, task, tmp_path / "a.gguf", card)


def test_inputs_are_drawn_inside_their_range() -> None:
    form = Form((Port("input", ("batch", 100), -2, 2),))
    (values,) = _drawn(form, {"batch": 3})
    assert values.shape == (3, 100)
    assert -2 <= values.min() < -1.5
    assert 1.5 < values.max() <= 2
