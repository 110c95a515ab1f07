"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "onnxruntime", "numpy", "PIL")


def _run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgan.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['imgan', '--help']\n"
        "from imgan.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_version_is_printed() -> None:
    result = _run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("imgan ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["upscal"], "upscale"),
        (["upscale", "--no-such-option"], "--no-such-option"),
        (["adjust", "a.jpg", "--brightness", "bright"], "--brightness"),
        (["train", "dcgan"], "--data"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: list[str], named: str) -> None:
    result = _run(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("imgan: ")
    assert named in line
    assert "--help" in line or "must be" in line


def test_a_missing_photo_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = _run("adjust", str(tmp_path / "none.jpg"), "--grayscale")
    assert result.returncode == 1
    assert "none.jpg" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_closed_pipe_is_not_a_traceback() -> None:
    command = f"{sys.executable} -m imgan.cli models | true"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_lists_are_tables_on_a_terminal_and_tabs_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgan import cli

    cli.plugins()
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("edit"))
    assert line.split("\t")[1:] == ["imgan", cli.__version__, "ok"]
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli.plugins()
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.index("plugin") < header.index("package") < header.index("state")
    assert len({row.index("imgan") for row in rows}) == 1


def test_models_are_told_as_json() -> None:
    import json

    records = [json.loads(line) for line in _run("models", "--json").stdout.splitlines()]
    colour = next(record for record in records if record["name"] == "translate-colour")
    assert colour["place"] == "shipped"
    assert colour["traits"]["from"] == "gray"
    assert Path(colour["path"]).is_file()


def test_lists_say_what_their_figures_are() -> None:
    result = _run("edit", "--list", "--engine", "vector")
    assert "percentages are of held-out faces" in result.stderr
    ways = _run("translate", "--list").stdout.splitlines()
    told = [way.split("\t")[4] for way in ways]
    assert all(words and not any(map(str.isdigit, words)) for words in told)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no picture")
    arguments = ["adjust", "a.jpg", "--contrast", "2"]
    assert "Traceback" not in _run(*arguments, cwd=tmp_path).stderr
    result = _run(*arguments, "--debug", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "opening.py" in result.stderr
