from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import pytest

from imgan.errors import Failure
from imgan.models.cards import (
    Description,
    ModelCard,
    card_from_json,
    card_to_json,
    card_to_toml,
    read_cards,
    read_description,
)
from imgan.models.traits import Traits

CARD: dict[str, Any] = {
    "name": "compact-x4",
    "operation": "upscale",
    "licence": "MIT",
    "dataset": 'Photos of "the commons", café',
    "dataset_terms": "CC0-1.0",
    "paper": "Shi et al. 2016, eq. 4",
    "input": "RGB 0..1, [N, 3, H, W], any size",
    "command": r"imgan train compact --data C:\photos",
    "figures": {
        "Set5 PSNR": 31.62,
        "small": 1e-7,
        "large": 10**400,
        "steps": 60000,
        "measured": "Y, 4 px shaved",
    },
    "file": "compact-x4.onnx",
    "sha256": "ab" * 32,
    "size": 2_400_000,
}


def write(folder: Path, *cards: dict[str, Any]) -> Path:
    file = folder / "models.toml"
    lines = []
    for card in cards:
        lines.append("[[model]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in card.items() if key != "figures"]
        if "figures" in card:
            lines.append("[model.figures]")
            lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in card["figures"].items()]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_cards_are_read_as_they_stand(tmp_path: Path) -> None:
    other = CARD | {"name": "other", "url": "https://example.org/other.onnx"}
    first, second = read_cards(write(tmp_path, CARD, other))
    assert first == ModelCard(**CARD)
    assert first.folder == tmp_path
    assert first.url is None
    assert second.url == "https://example.org/other.onnx"


def test_cards_can_be_hashed_and_not_changed() -> None:
    card = ModelCard(**CARD)
    assert hash(card) == hash(ModelCard(**CARD))
    with pytest.raises(AttributeError):
        card.size = 1  # type: ignore[misc]


@pytest.mark.parametrize("key", sorted(CARD))
def test_a_missing_key_is_named_with_its_file_and_model(tmp_path: Path, key: str) -> None:
    card = {k: v for k, v in CARD.items() if k != key}
    with pytest.raises(Failure, match=rf"models\.toml: model .*: no key '{key}'") as raised:
        read_cards(write(tmp_path, card))
    assert ("compact-x4" in str(raised.value)) == (key != "name")


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"models\.toml: model 'compact-x4': unknown key 'license'"):
        read_cards(write(tmp_path, CARD | {"license": "MIT"}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../evil"),
        ("name", "Upper"),
        ("operation", ""),
        ("licence", "two\nlines"),
        ("paper", "\x1b[31mred"),
        ("dataset", ""),
        ("file", "../weights.onnx"),
        ("file", "/etc/passwd"),
        ("file", ".hidden"),
        ("sha256", "AB" * 32),
        ("sha256", "ab" * 31),
        ("size", 0),
        ("size", True),
        ("size", "12"),
        ("url", "file:///etc/passwd"),
        ("url", "https://example.org/a b"),
        ("figures", {"PSNR": True}),
        ("figures", {"PSNR": float("nan")}),
        ("figures", {"PSNR": ["31"]}),
        ("figures", {"PSNR": float("inf")}),
        ("figures", {"": 1}),
        ("figures", "31 dB"),
        ("traits", {"to": ["winter"]}),
        ("traits", "winter"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(key: str, value: object) -> None:
    with pytest.raises(Failure, match=f": {key} must be "):
        ModelCard(**CARD | {key: value})


def test_a_name_stands_once_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="'compact-x4' is there twice"):
        read_cards(write(tmp_path, CARD, CARD))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[[model", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"[model]\nname = 'a'", r"only tables \[\[model\]\]"),
        (b"title = 'a'", r"only tables \[\[model\]\]"),
        (None, "No such file"),
    ],
)
def test_what_is_no_file_of_cards_is_one_line(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = tmp_path / "models.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Failure, match=rf"models\.toml: {problem}") as raised:
        read_cards(file)
    assert "\n" not in str(raised.value)


def test_a_card_survives_toml(tmp_path: Path) -> None:
    traits = {"from": "summer", "side": 256}
    card = ModelCard(**CARD, url="https://example.org/x.onnx", traits=traits)
    file = tmp_path / "models.toml"
    file.write_text(card_to_toml(card), encoding="utf-8")
    assert read_cards(file) == (card,)


def test_a_trait_is_a_number_or_the_card_is_named() -> None:
    card = ModelCard(**CARD, traits={"side": 256, "border": "wide"})
    assert card.number("side", 64) == 256
    assert card.number("gain", 1.5) == 1.5
    with pytest.raises(Failure, match=f"model '{card.name}': its trait border is 'wide'"):
        card.number("border", 0)


def test_json_holds_the_description_and_not_the_file() -> None:
    card = ModelCard(**CARD, traits={"to": "winter"})
    text = card_to_json(card)
    assert not {"file", "sha256", "size", "folder"} & json.loads(text).keys()
    description = card_from_json(text, Path("a.onnx"))
    assert type(description) is Description
    assert description.figures == card.figures
    assert description.traits == card.traits
    assert card_to_json(description) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"name": "a"}', "no key 'operation'"),
        ('{"name": "a", "operation": "b", "sha256": "c"}', "unknown key 'sha256'"),
        ('{"name": "a", "operation": "b", "licence": 3}', "licence must be"),
    ],
)
def test_a_malformed_json_card_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(Failure, match=rf"^a\.onnx: .*{problem}"):
        card_from_json(text, Path("a.onnx"))


def test_a_persons_card_needs_only_a_name_and_an_operation(tmp_path: Path) -> None:
    file = write(tmp_path, {"name": "mine", "operation": "upscale"})
    description, sha256 = read_description(file)
    assert description == Description(name="mine", operation="upscale")
    assert description.licence == "not stated"
    assert sha256 is None


def test_an_entry_of_a_models_toml_serves_as_a_persons_card(tmp_path: Path) -> None:
    description, sha256 = read_description(write(tmp_path, CARD))
    assert description.name == "compact-x4"
    assert sha256 == "ab" * 32
    with pytest.raises(Failure, match="there are 2"):
        read_description(write(tmp_path, CARD, CARD | {"name": "b"}))


class Finish(StrEnum):
    gloss = "gloss"
    matt = "matt"


@dataclass(frozen=True)
class PaintTraits(Traits):
    renamed: ClassVar = {"shine": "finish", "dull": "matt"}

    side: int = 64
    gain: float = 1
    label: str = ""
    finish: Finish | None = None


def painted(**traits: float | str) -> PaintTraits:
    return PaintTraits.of(Description(name="paint", operation="draw", traits=traits))


def test_traits_are_typed_and_what_a_card_leaves_out_is_as_usual() -> None:
    assert painted() == PaintTraits()
    assert painted(side=32.0, gain=2, finish="gloss", note="for people") == PaintTraits(
        side=32, gain=2.0, finish=Finish.gloss
    )
    assert isinstance(painted(side=32.0).side, int)


def test_traits_have_former_names_and_words() -> None:
    assert painted(shine="dull") == PaintTraits(finish=Finish.matt)


@pytest.mark.parametrize(
    ("trait", "value", "why"),
    [
        ("finish", "silk", "'silk'; known are gloss, matt"),
        ("finish", 1, "1; known are gloss, matt"),
        ("gain", "much", "'much', and not a number"),
        ("side", 1.5, "1.5, and not a whole number"),
    ],
)
def test_a_trait_that_is_not_known_is_told_in_one_line(
    trait: str, value: float | str, why: str
) -> None:
    with pytest.raises(Failure, match=f"^model 'paint': its trait {trait} is {why}$"):
        painted(**{trait: value})
