"""The engine `icgan` of `imgan edit`, with networks so small that their answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from test_edit import add_classifier, add_finder, invoke, job, pixels, save

from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit import Edit
from imgan_edit.attributes import SLUGS
from imgan_edit.engines import open_editor

KNOWN = ("bangs", "black-hair", "blond-hair", "smiling")
FACE = ["n", 3, 64, 64]
STEP = 13
"""What an attribute adds when it goes from -1 to 1: 0.1 of -1..1, in 255ths."""


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every face has black hair, and nothing else; blond hair is red, black is blue, bangs and a
    smile are green."""
    node = helper.make_node
    colours = np.array([[0, 0.05, 0], [0, 0, 0.05], [0.05, 0, 0], [0, 0.05, 0]], np.float32)
    save(
        home / "made.onnx",
        [
            node("MatMul", ["z", "of_z"], ["a"]),
            node("MatMul", ["y", "of_y"], ["b"]),
            node("Add", ["a", "b"], ["mean"]),
            node("Unsqueeze", ["mean", "axes"], ["pixel"]),
            node("Expand", ["pixel", "shape"], ["output"]),
        ],
        {"z": ["n", 100], "y": ["n", 4]},
        {"output": FACE},
        of_z=np.zeros((100, 3), np.float32),
        of_y=colours,
        axes=np.array([2, 3]),
        shape=np.array([1, 3, 64, 64]),
    )
    traits: dict[str, float | str] = {"attributes": ",".join(KNOWN)}
    made = Description(name="tiny-made", operation="generate", traits=traits)
    card = store.add(home / "made.onnx", made)
    save(
        home / "encoders.onnx",
        [
            node("GlobalAveragePool", ["face"], ["pixel"]),
            node("Flatten", ["pixel"], ["mean"]),
            node("MatMul", ["mean", "nothing"], ["z"]),
            node("Gemm", ["mean", "no", "black"], ["y"]),
        ],
        {"face": FACE},
        {"z": ["n", 100], "y": ["n", 4]},
        nothing=np.zeros((3, 100), np.float32),
        no=np.zeros((3, 4), np.float32),
        black=np.array([-1, 1, -1, -1], np.float32),
    )
    for name, generator in (("tiny-icgan", card.sha256), ("tiny-lost", "0" * 64)):
        description = Description(name=name, operation="edit", traits={"generator": generator})
        store.add(home / "encoders.onnx", description)
    add_classifier(home, monkeypatch, bangs=(0, 8, 0))
    add_finder(home, monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    Image.new("RGB", (64, 64), (100, 100, 100)).save(path)
    return path


def edit(**settings: object) -> Edit:
    return Edit(**{"model": "tiny-icgan", "aligned": True, **settings})  # type: ignore[arg-type]


def moved(photo: Path, **settings: object) -> list[int]:
    """By how much an edit changes the middle of a picture."""
    target = photo.with_name("edited.png")
    execute(job(photo, output=str(target), overwrite=True), edit(**settings))
    return (pixels(target) - pixels(photo))[32, 32].tolist()


def test_a_face_is_generated_before_and_after(photo: Path) -> None:
    assert moved(photo, add=["bangs"]) == [0, STEP, 0]
    assert moved(photo, remove=["black-hair"]) == [0, 0, -STEP]


def test_what_is_there_already_is_not_added_twice(photo: Path) -> None:
    for settings in ({"add": ["black-hair"]}, {"remove": ["bangs"]}):
        with pytest.raises(Failure, match="not changed by the network"):
            moved(photo, **settings)


def test_a_colour_of_the_hair_takes_the_place_of_another(photo: Path) -> None:
    assert moved(photo, add=["blond-hair"]) == [STEP, 0, -STEP]


def test_strength_is_how_far_y_goes(photo: Path) -> None:
    assert moved(photo, add=["bangs"], strength=0.5) == [0, 6, 0]
    assert moved(photo, add=["bangs"], strength=2) == [0, 2 * STEP, 0]
    execute(job(photo), edit(add=["bangs"], strength=0))
    assert (pixels(photo.with_name("face-bangs.png")) == pixels(photo)).all()


def test_the_border_stays_as_it_was(photo: Path) -> None:
    moved(photo, add=["bangs"])
    edited = pixels(photo.with_name("edited.png"))
    assert (edited[0] == 100).all()
    assert (edited[:, -1] == 100).all()


def test_a_generator_is_part_of_what_a_result_was_made_from() -> None:
    names = [card.name for card in edit().cards(Models.installed())]
    assert names[:2] == ["tiny-icgan", "tiny-made"]


def test_only_its_attributes_are_edited_and_listed(photo: Path) -> None:
    with pytest.raises(Misuse, match="does not edit young, only bangs, black-hair, blond-hair, sm"):
        moved(photo, add=["young"])
    listed = invoke("--list", "--json", "--model", "tiny-icgan").stdout.splitlines()
    assert [json.loads(line)["attribute"] for line in listed] == list(KNOWN)


def test_encoders_without_their_generator_are_no_editor(photo: Path) -> None:
    with pytest.raises(Failure, match="tiny-lost: the generator that it is for is not installed"):
        moved(photo, model="tiny-lost", add=["bangs"])


def test_many_changes_of_one_face_are_those_of_each() -> None:
    runtime = Runtime("cpu", Models.installed())
    editor = open_editor(store.find(store.installed(), "tiny-icgan"), runtime)
    crops = np.full((1, 64, 64, 3), 100, np.uint8)
    changes = np.zeros((2, len(SLUGS)), np.float32)
    changes[0, SLUGS.index("bangs")] = changes[1, SLUGS.index("blond-hair")] = 1
    together = editor(crops, changes)
    assert together[:, 0, 0] == pytest.approx(
        np.array([[0, 12.75, 0], [12.75, 0, -12.75]]), abs=0.01
    )
