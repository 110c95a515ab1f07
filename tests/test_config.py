"""`imgan.toml` and `IMGAN_*`: whose default applies, and what is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from PIL import Image
from typer import Option
from typer.testing import CliRunner

from imgan.cli import build
from imgan.commands.doctor import own_defaults
from imgan.config import defaults, settings
from imgan.errors import Misuse
from imgan.operations import Operation, Process, Result, Runtime
from imgan.plugins import registry
from imgan.references import Reference

SEEN: list[Any] = []


class Way(StrEnum):
    fast = "fast"
    slow = "slow"


@dataclass(frozen=True, kw_only=True)
class Noting(Operation):
    """Notes its options."""

    name = "noting"
    way: Annotated[Way, Option()] = Way.fast
    amount: Annotated[float, Option(min=0, max=2)] = 1.0
    add: Annotated[list[str] | None, Option()] = None
    style: Annotated[Reference | None, Option()] = None
    flip: Annotated[bool, Option("--flip")] = False
    place: Annotated[Path | None, Option()] = None

    @classmethod
    def take_words(cls, words: list[str]) -> tuple[dict[str, Any], list[str]]:
        return ({"way": Way(words[0])}, words[1:]) if words[:1] == ["slow"] else ({}, words)

    def open(self, runtime: Runtime) -> Process:
        SEEN.append(self)
        return lambda picture: Result(picture)


@pytest.fixture(autouse=True)
def stub(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SEEN.clear()
    monkeypatch.setitem(registry().operations, "noting", Noting)
    Image.new("RGB", (6, 4)).save("a.png")


def shell(*words: str) -> BaseException | None:
    return CliRunner().invoke(build(registry(), only=words[0]), list(words)).exception


def noted(*words: str) -> Noting:
    error = shell("noting", "a.png", "--overwrite", *words)
    assert error is None, error
    return SEEN[-1]


def test_the_nearer_default_applies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "imgan.toml").write_text('format = "bmp"\n[noting]\namount = 0.1\nway = "slow"\n')
    assert noted().amount == 0.1
    assert Path("a-noting.bmp").exists()
    Path("imgan.toml").write_text("[noting]\namount = 0.2\n")
    assert (noted().amount, noted().way) == (0.2, Way.slow)
    monkeypatch.setenv("IMGAN_NOTING_AMOUNT", "0.3")
    assert noted().amount == 0.3
    assert noted("--amount", "0.4").amount == 0.4


def test_a_default_of_one_command_goes_before_one_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("imgan.toml").write_text("quality = 1\n[noting]\nquality = 2\n")
    found = settings(registry().operations)
    assert (defaults("noting", found), defaults("adjust", found)) == (
        {"quality": 2},
        {"quality": 1},
    )
    monkeypatch.setenv("IMGAN_QUALITY", "3")
    assert defaults("noting", settings(registry().operations)) == {"quality": 3}


def test_variables_are_values_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ADD": "a,b", "FLIP": "yes", "STYLE": "a.png", "WAY": "slow"}.items():
        monkeypatch.setenv(f"IMGAN_NOTING_{name}", value)
    one = noted()
    assert (one.add, one.flip, one.way) == (["a", "b"], True, Way.slow)
    assert one.style is not None
    assert one.style.source == Path("a.png")


def test_what_is_on_can_be_turned_off() -> None:
    Path("imgan.toml").write_text("overwrite = true\nno_provenance = true\n[noting]\nflip = true\n")
    assert noted().flip
    assert not noted("--no-flip").flip
    assert "exists" in str(shell("noting", "a.png", "--no-overwrite", "--quality", "3"))


@pytest.mark.needs("edit")
def test_provenance_that_is_off_can_be_turned_on() -> None:
    Path("imgan.toml").write_text("no_provenance = true\n")
    assert shell("edit", "a.png", "--provenance", "--add", "bangs", "--dry-run") is None


def test_paths_are_beside_the_file(home: Path) -> None:
    Image.new("RGB", (6, 4)).save(home / "b.png")
    (home / "imgan.toml").write_text('[noting]\nstyle = "b.png"\nplace = "x"\n')
    one = noted()
    assert one.style is not None
    assert (one.style.source, one.place) == (home / "b.png", home / "x")


def test_a_word_among_the_inputs_goes_before_a_default() -> None:
    Path("imgan.toml").write_text('[noting]\nway = "fast"\n')
    assert shell("noting", "slow", "a.png") is None
    assert SEEN[-1].way is Way.slow


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nqualty = 3", "imgan.toml:2: there is no option qualty; did you mean quality?"),
        ("quality = 300", "imgan.toml:1: quality 300: it must be 1 or more and 100 or less"),
        ('inputs = ["a.png"]', "imgan.toml:1: there is no option inputs"),
        ("[notin]\namount = 1", "imgan.toml:1: there is no command notin; did you mean noting?"),
        ("[noting]\n\namont = 1", "imgan.toml:3: noting has no option amont; did you mean amount?"),
        ('[noting]\namount = "1"', "imgan.toml:2: amount '1': it must be a number"),
        ('[noting]\nway = "on"', "imgan.toml:2: way on: known are fast, slow"),
        ("[run]\namount = 1", "imgan.toml:2: run has no option amount"),
        ("[noting", "imgan.toml:1: Expected"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(text: str, message: str) -> None:
    Path("imgan.toml").write_text(text)
    error = shell_error("noting")
    assert isinstance(error, Misuse)
    assert str(error).startswith(message)
    assert build(registry()) is not None  # and the help of all commands is there


def shell_error(name: str) -> BaseException:
    with pytest.raises(Misuse) as caught:
        build(registry(), only=name)
    return caught.value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("IMGAN_QUALTY", "3", "IMGAN_QUALTY: there is no such option; did you mean IMGAN_QUALITY?"),
        ("IMGAN_QUALITY", "high", "IMGAN_QUALITY=high: 'high': it must be a whole number"),
        ("IMGAN_NOTING_AMOUNT", "7", "IMGAN_NOTING_AMOUNT=7: 7: it must be 0 or more and 2"),
        ("IMGAN_OVERWRITE", "maybe", "IMGAN_OVERWRITE=maybe: 'maybe': it must be true or false"),
    ],
)
def test_what_is_wrong_with_a_variable(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert str(shell_error("noting")).startswith(message)


def test_an_empty_variable_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGAN_QUALITY", "")
    assert settings(registry().operations) == []


def test_a_pipeline_states_how_it_writes_before_the_defaults() -> None:
    Path("imgan.toml").write_text('format = "bmp"\n')
    Path("p.toml").write_text('[[step]]\nop = "noting"\n[output]\nformat = "tif"\n')
    assert shell("run", "p.toml", "a.png") is None
    assert Path("a-noting.tif").exists()


def test_doctor_shows_which_apply(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "imgan.toml").write_text("quality = 1\n")
    Path("imgan.toml").write_text("quality = 2\n[noting]\namount = 0.5\n")
    monkeypatch.setenv("IMGAN_NOTING_WAY", "slow")
    lines = [f"{finding.what}: {finding.value}" for finding in own_defaults()]
    assert lines == [
        f"config: {Path('imgan.toml').absolute()}",
        f"config: {home / 'imgan.toml'}",
        "default noting way: slow (IMGAN_NOTING_WAY)",
        "default noting amount: 0.5 (imgan.toml:3)",
        "default quality: 2 (imgan.toml:1)",
        f"default quality: 1 ({home / 'imgan.toml'}:1); a stronger one applies",
    ]
    Path("imgan.toml").write_text("qualty = 2\n")
    assert [finding.ok for finding in own_defaults()] == [True, True, False]
