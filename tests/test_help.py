"""Help pages, and the words in which a command line is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from imgan.cli import build, dress
from imgan.plugins import registry


@pytest.fixture(scope="module")
def root() -> Any:
    command = get_command(build(registry()))
    dress(command)
    return command


def paths(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield above
    for name, below in getattr(command, "commands", {}).items():
        yield from paths(below, (*above, name))


def page(root: Any, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    root([*path, "--help"], standalone_mode=False)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80])
def test_help_is_whole_words_within_the_columns(
    root: Any, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for path in paths(root):
        text = page(root, path, capsys)
        for line in text.splitlines():
            assert len(line) <= columns or len(line.split()) == 1 or " imgan " in line, (path, line)
        for markup in ("<bool>", "<list", "<str>", "<int>", "\\[", "│"):
            assert markup not in text, (path, markup)


def test_help_speaks_of_no_option_that_the_command_lacks(
    root: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    above = {path[:-1] for path in paths(root) if path}
    for path in set(paths(root)) - above:
        text = page(root, path, capsys)
        text = re.sub(r"`?(imgan|torchrun|pip) [^`\n]*`?", "", " ".join(text.split("\n      ")))
        # Another command's, and said to be so.
        text = re.sub(r"`--[^`]*`|--[a-z-]+\s+of\b", "", text)
        own = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M))
        own |= {name.replace("--", "--no-", 1) for name in own}
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) <= own, path


def test_a_commands_own_options_stand_before_the_shared_ones_in_groups(
    root: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page(root, ("edit",), capsys)
    order = [
        "Options:",
        "--add NAMES",
        "--list",
        "Files:",
        "--output",
        "Format and metadata:",
        "Device",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    text = page(root, ("train", "dcgan"), capsys)
    assert text.index("--data") < text.index("--width") < text.index("Options of every recipe")


def test_what_looks_like_markup_stands(root: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[[model]]" in page(root, ("models", "add"), capsys)
    assert '"imgan[train]"' in page(root, ("train",), capsys)


def test_sentences_are_not_broken_off(
    root: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = page(root, ("upscale",), capsys).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("The first word"))
    assert len(lines[start]) > 80
    assert lines[start + 2] == ""


def refused(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "imgan", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("adjust a.png --contrast -1", "--contrast -1: it must be 0 or more"),
        ("adjust a.png --contrast x", "--contrast 'x': it must be a number"),
        ("adjust a.png --quality 200", "--quality 200: it must be 1 or more and 100 or less"),
        ("edit a.png --engine foo", "--engine foo: known are regions, "),
        ("adjust a.png --output", "--output needs a value"),
        ("adjust a.png --contrst 2", "there is no option --contrst; did you mean --contrast?"),
        ("upscal a.png", "there is no command upscal; did you mean upscale?"),
        ("adjust a.png --contrast 2 --device gpu", "--device gpu: known are auto, cpu, cuda"),
        ("edit a.png --add bangs=7", "bangs=7: give a number above 0, to 5"),
        ("translate a.png --to wintre", "did you mean winter?"),
    ],
)
def test_refusals_are_in_our_words(tmp_path: Path, arguments: str, said: str) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    line = refused(*arguments.split(), folder=tmp_path)
    assert line.startswith("imgan: ")
    assert said in line
    assert "Input should" not in line


def test_an_unknown_device_is_refused_where_nothing_is_left_to_do(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "imgan", "adjust", "a.png", "--contrast", "2"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert "gpu" in refused(*command[3:], "--device", "gpu", folder=tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        "adjust a.png --greyscale",
        "stylize a.png --style a.png --keep-colour",
        "edit a.png --add grey-hair --engine vector",
        "edit a.png --hair-colour #7a3b2e",
        "translate a.png --to color --from grey --experimental",
        "translate a.png --model translate-color --experimental",
    ],
)
def test_either_spelling_is_the_same_word(
    tmp_path: Path, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "imgan", *arguments.split(), "--dry-run"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "imgan: 1 to do" in result.stderr


def test_either_spelling_is_the_same_word_in_python() -> None:
    from imgan.options import build as built
    from imgan_stylize import Stylize

    request = built(Stylize, {"style": [str(Path(__file__))], "keep_colour": True})
    assert request.keep_color
