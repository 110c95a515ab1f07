"""What a shell offers at a Tab, and how quick and quiet the start is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from imgan.completion import FORMATS, answer, offers
from imgan_translate import DRAWN

pytestmark = pytest.mark.needs("edit", "translate", "upscale")


def offered(line: str) -> list[str]:
    *before, begun = line.split(" ")
    found = offers(before, begun)
    assert found is not None
    return found


def test_commands_options_and_values_are_offered() -> None:
    assert offered("ed") == ["edit"]
    assert offered("edit --add bang") == ["bangs"]
    assert offered("edit --add bangs,smil") == ["bangs,smiling"]
    assert offered("edit --remove=you") == ["--remove=young"]
    assert {*DRAWN, "summer", "colour"} <= set(offered("translate --to "))
    assert "gray" in offered("translate --from ")
    assert offered("upscale --model upscale-x2") == ["upscale-x2"]
    assert offered("models show upscale-x2") == ["upscale-x2"]
    assert offered("upscale ") == ["x2", "x4"]
    assert offered("upscale --scale ") == ["2", "4"]
    assert offered("upscale -s ") == ["2", "4"]
    assert offered("adjust --device c") == ["cpu", "cuda", "cuda:0"]
    assert offered("edit --engine reg") == ["regions"]
    assert offered("adjust --contr") == ["--contrast"]
    assert offered("train dcg") == ["dcgan"]
    assert offered("adjust photo") == []  # files are the shell's
    assert offers(["train", "dcgan"], "--ba") is None  # typer knows


def test_what_is_offered_is_what_there_is() -> None:
    from imgan.images import SUFFIXES
    from imgan_translate.drawn.targets import TARGETS

    assert set(DRAWN) == set(TARGETS)
    assert {f".{name}" for name in FORMATS} <= set(SUFFIXES)


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({"COMP_WORDS": "imgan edit --add ban", "COMP_CWORD": "3"}, "bangs"),
        ({"COMP_WORDS": "imgan adjust 'a b", "COMP_CWORD": "2"}, ""),
        (
            {"_IMGAN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "imgan edit --add ban"},
            "_arguments '*: :((\"bangs\"))'",
        ),
        (
            {"_IMGAN_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "imgan edit --add ban"},
            "bangs",
        ),
    ],
)
def test_every_shell_is_answered(environment: dict[str, str], printed: str) -> None:
    assert answer({"_IMGAN_COMPLETE": "complete_bash", **environment}) == (printed, 0)


def test_a_tab_loads_nothing_heavy() -> None:
    code = (
        "import sys; from imgan.completion import offers; offers(['edit', '--add'], 'b'); "
        "offers(['translate', '--to'], ''); "
        "print([m for m in ('numpy', 'PIL', 'rich', 'pydantic') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"


def test_a_command_is_parsed_without_what_typer_validates_by(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    code = (
        "import sys; from imgan import cli; sys.argv[1:] = 'adjust a.png --contrast 2'.split()\n"
        "try: cli.main()\n"
        "except SystemExit as end: print([m for m in ('pydantic', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("wait", [0.1, 0.3])
def test_ctrl_c_in_the_first_moments_is_one_line(tmp_path: Path, wait: float) -> None:
    code = "from imgan.__main__ import main; print(flush=True); main()"
    started = subprocess.Popen(
        [sys.executable, "-c", code, "doctor"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
        # A suite that was begun in the background has the signal ignored, and so had its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert started.stdout is not None
    started.stdout.readline()
    time.sleep(wait)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert said == "imgan: stopped\n"
