"""`imgan edit` with its default engine, on a real face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from imgan.commands.operation import command
from imgan.errors import Failure
from imgan_edit import Edit
from imgan_edit.regions.effects import EFFECTS
from imgan_edit.regions.kept import KEPT
from imgan_edit.regions.view import Change


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command(Edit))
    return CliRunner().invoke(app, [*arguments, "--device", "cpu"])


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    Image.fromarray(skimage.data.astronaut()[:260, 90:360]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_hair_becomes_black_and_nothing_else_moves(portrait: Path) -> None:
    result = invoke(str(portrait), "--add", "black-hair", "--json")
    assert result.exit_code == 0, result.output
    fact = json.loads(result.stdout)
    assert fact["largest_change_outside_mask"] == 0
    assert fact["edits"][0]["attributes"]["black-hair"]["asked"]
    before, after = pixels(portrait), pixels(portrait.with_name("photo-black-hair.png"))
    change = np.abs(after - before).sum(2)
    hair, face, suit = (
        (slice(8, 30), slice(100, 160)),
        (100, 130),
        (slice(230, 260), slice(200, 270)),
    )
    assert change[hair].mean() > 15
    assert not change[face]
    assert not change[suit].any()


def refused(*asked: object) -> Change:
    raise Failure("no smile here")


def test_any_colour_dyes_and_what_cannot_be_done_is_said(
    portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EFFECTS, ("smiling", False), refused)  # type: ignore[arg-type]
    result = invoke(
        str(portrait), "--hair-color", "#7a3b2e", "--experimental", "--remove", "smiling", "--json"
    )
    assert result.exit_code == 0, result.output
    assert portrait.with_name("photo-no-smiling-hair-7a3b2e.png").exists()
    assert "face 1: no smile here: not done" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--hair-color", "red"), "give a colour such as #7a3b2e"),
        (("--hair-color", "#7a3b2e", "--add", "blond-hair"), "contradict each other"),
        (("--hair-color", "#7a3b2e", "--engine", "vector"), "by --engine regions alone"),
        (("--hair-color", "#7a3b2e", "--auto-strength"), "leave one out"),
        (
            ("--remove", "black-hair"),
            "has no --remove black-hair; --remove takes pale-skin",
        ),
    ],
)
def test_what_it_does_not_draw_is_misuse(
    portrait: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = invoke(str(portrait), *arguments)
    assert result.exit_code != 0
    assert says in str(result.exception) + result.output
    assert [path.name for path in portrait.parent.iterdir()] == ["photo.png"]


def test_the_list_has_what_an_eye_kept() -> None:
    records = [json.loads(line) for line in invoke("--list", "--json").stdout.splitlines()]
    assert [(r["attribute"], r["direction"] == "add") for r in records] == list(EFFECTS)
    assert set(KEPT) <= set(EFFECTS)
    for record in records:
        figure = KEPT.get((record["attribute"], record["direction"] == "add"))
        assert figure is None or (record["kept"], record["of"]) == figure[:2]


def test_the_sheet_leaves_out_what_cannot_be_done(portrait: Path) -> None:
    result = invoke(str(portrait), "--sheet", "strength", "--add", "pale-skin")
    assert result.exit_code == 0, result.output
    sheet = pixels(portrait.with_name("photo-strength-sheet.png"))
    assert sheet.shape == (2 * 272, 7 * 256, 3)
