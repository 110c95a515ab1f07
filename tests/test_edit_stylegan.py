"""The engine `stylegan` of `imgan edit`, and `imgan directions`, with a generator of colours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from test_edit import (
    FACE,
    add_classifier,
    add_finder,
    invoke,
    job,
    pixels,
    save,
    write_classifier,
)
from typer.testing import CliRunner

from imgan import cli
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.plugins import registry
from imgan.training import faces
from imgan_edit import Along, Edit, Engine, directions, evaluate
from imgan_edit.attributes import NAMES, SLUGS
from imgan_edit.engines import open_editor
from imgan_edit.style_directions import find as directions_of
from imgan_edit.stylegan import StyleEditor

LAYERS = 10
"""Of a generator of 64 px."""
SHARE = 0.1
"""Of -1..1, what one of a style does to its colour."""
SMILING, MALE = SLUGS.index("smiling"), SLUGS.index("male")


def write_generator(path: Path) -> None:
    """Styles are z, and red, green and blue of a plain picture: the mean over its layers."""
    node = helper.make_node
    save(
        path,
        [
            node("Mul", ["z", "truncation"], ["mapped"]),
            node("ReduceMean", ["w", "layers"], ["mean"], keepdims=0),
            node("Mul", ["mean", "share"], ["colour"]),
            node("Unsqueeze", ["colour", "axes"], ["pixel"]),
            node("ReduceMean", ["noise", "all"], ["grey"]),
            node("Mul", ["grey", "nothing"], ["silence"]),
            node("Expand", ["pixel", "shape"], ["plain"]),
            node("Add", ["plain", "silence"], ["picture"]),
        ],
        {"z": ["n", 3], "truncation": [1], "w": ["n", LAYERS, 3], "noise": ["n", 4]},
        {"mapped": ["n", 3], "picture": FACE},
        layers=np.array([1]),
        share=np.array(SHARE, np.float32),
        axes=np.array([2, 3]),
        all=np.array([0, 1]),
        nothing=np.zeros((), np.float32),
        shape=np.array([1, 3, 64, 64]),
    )


def write_encoder(path: Path) -> None:
    """What style a plain picture has."""
    node = helper.make_node
    save(
        path,
        [
            node("GlobalAveragePool", ["input"], ["pixel"]),
            node("Flatten", ["pixel"], ["colour"]),
            node("Div", ["colour", "share"], ["style"]),
            node("Unsqueeze", ["style", "axes"], ["one"]),
            node("Expand", ["one", "shape"], ["w"]),
        ],
        {"input": FACE},
        {"w": ["n", LAYERS, 3]},
        share=np.array(SHARE, np.float32),
        axes=np.array([1]),
        shape=np.array([1, LAYERS, 3]),
    )


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who smiles is red, and men are red and green."""
    write_generator(home / "faces.onnx")
    made = store.add(home / "faces.onnx", Description(name="faces", operation="generate"))
    write_encoder(home / "encoder.onnx")
    traits: dict[str, float | str] = {"generator": made.sha256}
    description = Description(name="faces-encoder", operation="invert", traits=traits)
    store.add(home / "encoder.onnx", description)
    add_classifier(home, monkeypatch, smiling=(200, 0, 0), male=(200, 200, 0))
    add_finder(home, monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.new("RGB", (64, 64), (100, 100, 100)).save(path)
    return path


MADE: dict[Along, tuple[bytes, str]] = {}
"""Files of directions, and what was printed: found once, since an export takes seconds."""


def found(folder: Path, along: Along = Along.means) -> str:
    """Find directions by the command, and add them: what it prints."""
    target = folder / "moves.onnx"
    if along not in MADE:
        options = ["--along", along, "--count", "400", "--device", "cpu"]
        told = CliRunner().invoke(
            cli.build(registry()), ["directions", "faces", "-o", str(target), *options]
        )
        assert told.exit_code == 0, told.exception or told.output
        MADE[along] = target.read_bytes(), told.stdout
    content, printed = MADE[along]
    target.write_bytes(content)
    described = store.embedded_description(target)
    assert described
    store.add(target, described)
    return printed


def editor() -> StyleEditor:
    card = store.find(store.installed(), "moves")
    opened = open_editor(card, Runtime("cpu", Models.installed()))
    assert isinstance(opened, StyleEditor)
    return opened


def wish(**settings: object) -> Edit:
    return Edit(**{"model": "moves", "aligned": True, **settings})  # type: ignore[arg-type]


def moved(photo: Path, **settings: object) -> NDArray[np.int64]:
    """By how much an edit changes the middle of a picture."""
    target = photo.with_name("edited.png")
    execute(job(photo, output=str(target), overwrite=True), wish(**settings))
    middle: NDArray[np.int64] = (pixels(target) - pixels(photo))[32, 32]
    return middle


def direction(one: StyleEditor, index: int) -> NDArray[np.float32]:
    change = np.zeros((1, len(SLUGS)), np.float32)
    change[0, index] = 1
    (step,) = one.steps(change)
    length = np.linalg.norm(step)
    return step / length


@pytest.mark.parametrize("along", list(Along))
def test_directions_are_found_and_told(tmp_path: Path, along: Along) -> None:
    lines = [line.split("\t") for line in found(tmp_path, along).splitlines()]
    assert [line[0] for line in lines] == ["attribute", "male", "smiling"]
    assert all(float(line[2]) > 0.9 for line in lines[1:])
    assert editor().knows == ("male", "smiling")
    one = editor()
    assert direction(one, SMILING) @ (1, 0, 0) > 0.98
    assert direction(one, MALE) @ np.array([0.5**0.5, 0.5**0.5, 0]) > 0.98


def test_directions_of_real_faces_and_their_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "HELD_OUT", 2)
    listing = ["62", " ".join(NAMES)]
    for number in range(62):
        smiles, name = number % 2, f"{number:06}.png"
        Image.new("RGB", (64, 64), (200 if smiles else 60, 100, 100)).save(tmp_path / name)
        has = [1 if smiles and slug == "smiling" else -1 for slug in SLUGS]
        listing.append(" ".join(map(str, [name, *has])))
    target = tmp_path / "moves.onnx"
    given = Along.means, 100, 0, False, "cpu"
    with pytest.raises(Failure, match=r"no list_attr_celeba\.txt"):
        directions_of("faces", target, tmp_path, *given)
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(listing))
    _, rows = directions_of("faces", target, tmp_path, *given)
    assert rows == [["smiling", "30", "1.00", "yes"]]
    described = store.embedded_description(target)
    assert described
    store.add(target, described)
    assert direction(editor(), SMILING) @ (1, 0, 0) > 0.99
    store.remove("faces-encoder")
    with pytest.raises(Failure, match="no encoder for faces is installed"):
        directions_of("faces", target, tmp_path, *given)


def test_what_no_eye_keeps_has_to_be_asked_for(photo: Path, tmp_path: Path) -> None:
    found(tmp_path)
    described = store.embedded_description(tmp_path / "moves.onnx")
    assert described
    judged = replace(described, traits={**described.traits, "judged": 12, "kept": 0})
    store.add(tmp_path / "moves.onnx", judged, replace=True)
    with pytest.raises(Misuse, match="moves is experimental: of 12 results 0 were kept by eye"):
        moved(photo, add=["smiling"])
    assert moved(photo, add=["smiling"], experimental=True)[0] > 15
    shown = invoke(str(photo), "--model", "moves", "--list").output
    assert "kept by eye: 0 of 12, experimental" in " ".join(shown.split())


def test_what_is_kept_is_not_moved(tmp_path: Path) -> None:
    found(tmp_path)
    held = editor().keeping(["male"])
    assert direction(held, SMILING) @ np.array([0.5**0.5, -(0.5**0.5), 0]) > 0.97
    assert abs(held.steps(np.eye(40, dtype=np.float32)[[MALE]])).max() < 0.2


def test_a_face_is_moved_and_the_difference_is_pasted(photo: Path, tmp_path: Path) -> None:
    found(tmp_path)
    red, green, blue = moved(photo, add=["smiling"])
    assert 15 < red < 26
    assert abs(green) < 4 > abs(blue)
    assert moved(photo, remove=["smiling"])[0] == -red
    assert 2 * red - 2 <= moved(photo, add=["smiling"], strength=2)[0] <= 2 * red + 2
    edited = pixels(photo.with_name("edited.png"))
    assert (edited[0] == 100).all()
    assert (edited[:, -1] == 100).all()
    red, green, _ = moved(photo, add=["smiling"], keep=["male"])
    assert red > 5
    assert abs(red + green) < 3


def test_a_receipt_names_every_network(photo: Path, tmp_path: Path) -> None:
    found(tmp_path)
    names = [card.name for card in wish(add=["smiling"]).cards(Models.installed())]
    assert names[:3] == ["moves", "faces", "faces-encoder"]
    receipt = tmp_path / "receipt.json"
    execute(job(photo, receipt=receipt), wish(add=["smiling"]))
    assert json.loads(receipt.read_text())["model"] == "moves"


def test_the_evaluation_has_a_column(tmp_path: Path) -> None:
    found(tmp_path)
    (tmp_path / "data").mkdir()
    Image.new("RGB", (64, 64), (120, 120, 120)).save(tmp_path / "data" / "face.png")
    header, rows = evaluate.evaluate(tmp_path / "data", "moves", "cpu")
    assert header[2] == "moves"
    figures = {name: cells for name, *cells in rows}
    assert figures["smiling added"][:2] == ["1", "1.00"]


def test_what_is_missing_is_one_line(photo: Path, tmp_path: Path) -> None:
    found(tmp_path)
    with pytest.raises(Misuse, match="does not edit young, only male, smiling"):
        moved(photo, add=["young"])
    with pytest.raises(Misuse, match="does not edit young"):
        moved(photo, add=["smiling"], keep=["young"])
    with pytest.raises(Misuse, match="--keep smiling contradicts its edit"):
        wish(add=["smiling"], keep=["smiling"]).check()
    with pytest.raises(Misuse, match="--keep is for --engine stylegan"):
        Edit(add=["bangs"], keep=["male"]).check()
    with pytest.raises(Misuse, match="the engine vector can't"):
        moved(photo, add=["smiling"], keep=["male"], model=None, engine=Engine.vector)
    store.remove("faces-encoder")
    with pytest.raises(Failure, match="no encoder for faces is installed"):
        moved(photo, add=["smiling"])
    store.remove("faces")
    with pytest.raises(Failure, match="the generator that it is for is not installed"):
        moved(photo, add=["smiling"])


def test_a_generator_of_something_else_has_no_directions(home: Path, tmp_path: Path) -> None:
    write_classifier(home / "blind.onnx")
    store.remove("tiny-classifier")
    store.add(home / "blind.onnx", Description(name="tiny-classifier", operation="evaluate"))
    with pytest.raises(Failure, match="for no attribute: is it a generator of aligned faces"):
        directions_of("faces", tmp_path / "d.onnx", None, Along.means, 100, 0, False, "cpu")
    assert not (tmp_path / "d.onnx").exists()
    with pytest.raises(Misuse, match=r"end it with \.onnx"):
        directions("faces", tmp_path / "d.npz")
