from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imgan import plugins, tables
from imgan.commands import models
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import ModelCard, card_to_json, read_cards

onnx = pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """An installation with one model and an empty folder of one's own."""
    monkeypatch.setenv("IMGAN_HOME", str(tmp_path / "home"))
    registry = plugins.discover([])
    monkeypatch.setattr(plugins, "registry", lambda: registry)
    weights = tmp_path / "package/weights/faces.onnx"
    weights.parent.mkdir(parents=True)
    make_onnx(weights)
    card = ModelCard(
        name="faces",
        operation="generate",
        licence="MIT [see terms]",
        file="faces.onnx",
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        size=weights.stat().st_size,
        figures={"FID": 41.5},
        folder=tmp_path / "package",
    )
    registry.models["faces"] = card
    return card


def make_onnx(file: Path, card: dict[str, Any] | None = None) -> Path:
    """A network that gives back its input, with a card inside if one is given."""
    tensors = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 3, 8, 8])
        for name in ("input", "output")
    ]
    node = onnx.helper.make_node("Identity", ["input"], ["output"])
    graph = onnx.helper.make_graph([node], "net", tensors[:1], tensors[1:])
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.helper.set_model_props(model, {"imgan.card": json.dumps(card)} if card else {})
    onnx.save(model, file)
    return file


def imgan(*arguments: object) -> list[list[str]]:
    """What `imgan models ARGUMENTS` prints into a pipe. Failures pass through."""
    result = CliRunner().invoke(models.app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.output.splitlines()]


def test_models_are_listed_between_tabs(shipped: ModelCard) -> None:
    row = ["faces", "generate", str(shipped.size), "MIT [see terms]", "shipped"]
    assert imgan() == [row]


def test_the_place_says_whether_a_file_is_at_hand(shipped: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "package/weights/faces.onnx").unlink()
    assert imgan()[0][-1] == "missing"
    url = replace(shipped, url="https://example.org/faces.onnx")
    plugins.registry().models["faces"] = url
    assert imgan()[0][-1] == "to be fetched"


def test_a_terminal_shows_a_table_with_brackets_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    tables.show(["name", "licence"], [["faces", "MIT [see terms]"]])
    assert "MIT [see terms]" in terminal.getvalue()
    assert "licence" in terminal.getvalue()


def test_a_shown_card_is_toml_that_reads_back(shipped: ModelCard, tmp_path: Path) -> None:
    result = CliRunner().invoke(models.app, ["show", "faces"], catch_exceptions=False)
    file = tmp_path / "card.toml"
    file.write_text(result.output, encoding="utf-8")
    assert read_cards(file) == (shipped,)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(Misuse, match=r"did you mean faces\?"):
        imgan("show", "face")


def test_a_model_is_added_by_its_own_card(tmp_path: Path) -> None:
    card = {"name": "mine", "operation": "upscale", "licence": "CC0-1.0"}
    imgan("add", make_onnx(tmp_path / "a.onnx", card))
    assert [row[:2] for row in imgan()] == [["faces", "generate"], ["mine", "upscale"]]
    assert imgan()[1][3:] == ["CC0-1.0", "own"]


def test_an_exported_card_is_one_that_add_reads(shipped: ModelCard, tmp_path: Path) -> None:
    card = json.loads(card_to_json(shipped))
    imgan("add", make_onnx(tmp_path / "a.onnx", card), "--name", "faces-2")
    added = store.find(store.own_cards(), "faces-2")
    assert added.figures == shipped.figures
    assert added.operation == "generate"


def test_a_model_is_added_by_a_card_file(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text("[[model]]\nname = 'mine'\noperation = 'upscale'\npaper = 'none'")
    imgan("add", make_onnx(tmp_path / "a.onnx"), "--card", card)
    assert store.own_cards()[0].paper == "none"


def test_a_model_is_added_by_options(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx")
    with pytest.raises(Misuse, match="holds no card; give --name and --operation"):
        imgan("add", file, "--name", "mine")
    lines = imgan("add", file, "--name", "mine", "--operation", "upscale")
    assert "imgan upscale --model mine" in lines[0][0]


def test_a_taken_name_is_told_before_a_checkpoint_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imgan("add", make_onnx(tmp_path / "a.onnx"), "--name", "mine", "--operation", "upscale")
    monkeypatch.setattr(models, "_as_onnx", lambda *_: pytest.fail("exported"))
    with pytest.raises(Failure, match="you have a model called mine"):
        imgan("add", tmp_path / "b.pth", "--name", "mine")


def test_traits_are_added_by_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = {"name": "mine", "operation": "translate", "traits": {"side": 256, "to": "b"}}
    add = ("add", make_onnx(tmp_path / "a.onnx", card), "--trait")
    imgan(*add, "to=winter", "--trait", "share=0.5")
    (added,) = store.own_cards()
    assert added.traits == {"side": 256, "to": "winter", "share": 0.5}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    models.show("mine")
    assert "side 256, to winter, share 0.5" in capsys.readouterr().out
    for wrong in ("to", "to=", "=winter"):
        with pytest.raises(Misuse, match="it must be KEY=VALUE"):
            imgan(*add, wrong)


def test_a_shipped_name_is_not_taken_twice(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx")
    for options in ((), ("--replace",)):
        with pytest.raises(Failure, match="choose another with --name"):
            imgan("add", file, "--name", "faces", "--operation", "generate", *options)


def test_a_name_of_ones_own_is_replaced_only_on_request(tmp_path: Path) -> None:
    add = ("add", make_onnx(tmp_path / "a.onnx"), "--name", "mine", "--operation")
    imgan(*add, "upscale")
    with pytest.raises(Failure, match="--replace"):
        imgan(*add, "edit")
    imgan(*add, "edit", "--replace")
    assert [card.operation for card in store.own_cards()] == ["edit"]


def test_a_bad_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="name must be small letters"):
        imgan("add", make_onnx(tmp_path / "a.onnx"), "--name", "../a", "--operation", "edit")


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_text("no network")
    with pytest.raises(Failure, match=r"a\.onnx: onnxruntime cannot load it"):
        imgan("add", file)


def test_verify_passes_and_names_what_is_wrong(shipped: ModelCard, tmp_path: Path) -> None:
    weights = tmp_path / "package/weights/faces.onnx"
    assert imgan("verify") == [["faces", "ok", str(weights)]]
    weights.write_bytes(b"damaged")
    for arguments in (["verify"], ["verify", "faces"]):
        result = CliRunner().invoke(models.app, arguments)
        assert result.output == f"faces\twrong\t{weights}\n"
        assert isinstance(result.exception, Failure)
        assert result.exception.exit_code == 1
        assert "1 of 1 models" in str(result.exception)


def test_a_model_that_is_to_be_fetched_is_not_wrong(shipped: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "package/weights/faces.onnx").unlink()
    with pytest.raises(Failure):
        imgan("verify")
    url = replace(shipped, url="https://example.org/faces.onnx")
    plugins.registry().models["faces"] = url
    assert imgan("verify") == [["faces", "to be fetched", ""]]


def test_only_ones_own_models_can_be_removed(tmp_path: Path) -> None:
    imgan("add", make_onnx(tmp_path / "a.onnx"), "--name", "mine", "--operation", "edit")
    imgan("remove", "mine")
    assert [row[0] for row in imgan()] == ["faces"]
    with pytest.raises(Failure, match="belongs to a plugin"):
        imgan("remove", "faces")
