"""Inputs from lists, and outputs called by templates."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgan.batch.job import Job
from imgan.batch.plan import make_plan
from imgan.errors import Failure, Misuse
from imgan.operations import Operation, Process, Runtime
from imgan.references import Reference
from imgan_adjust import Adjust
from imgan_edit import Edit
from imgan_inpaint import Inpaint
from imgan_translate import Translate
from imgan_upscale import Upscale


@dataclass(frozen=True, kw_only=True)
class Negative(Operation):
    """Light is dark."""

    name = "invert"
    suffix = "neg"

    def open(self, runtime: Runtime) -> Process:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Drawn(Negative):
    """Of nothing."""

    inputs = False

    def results(self) -> list[str]:
        return ["face-1", "face-2"]


@pytest.fixture(autouse=True)
def files(here: Path) -> None:
    for name in ("a.jpg", "b.png", "dir/a.jpg", "dir/c.webp", "dir/below/d.jpg", "- x {1}.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def outputs(job: Job, operation: Operation | None = None) -> list[str]:
    return [task.output for task in make_plan(job, operation or Negative()).tasks]


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_list_has_a_name_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("list").write_bytes(b"a.jpg\r\n\n- x {1}.jpg\ndir\n")
    expected = ["b-neg.png", "a-neg.jpg", "- x {1}-neg.jpg", "dir-neg/a.jpg", "dir-neg/c.webp"]
    assert outputs(Job(["b.png"], from_file="list")) == expected
    piped(monkeypatch, b"a.jpg\nb.png")
    assert outputs(Job(from_file="-")) == ["a-neg.jpg", "b-neg.png"]


def test_names_may_end_in_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"a.jpg\0new\nline.png\0")
    assert outputs(Job(from_file="-", null=True)) == ["a-neg.jpg", "new\nline-neg.png"]


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (Job(null=True), "-0 says how --from-file is written"),
        (Job(from_file="empty"), "there is no name in empty"),
        (Job(["-"], from_file="empty"), "takes no --from-file"),
    ],
)
def test_lists_that_make_no_sense(job: Job, message: str) -> None:
    Path("empty").write_text("\n\n")
    with pytest.raises(Misuse, match=message):
        make_plan(job, Negative())


def test_a_list_that_is_not_there() -> None:
    with pytest.raises(Failure, match="--from-file no: cannot be read: No such file"):
        make_plan(Job(from_file="no"), Negative())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{stem}-{op}", ["a-neg.jpg", "b-neg.png"]),
        ("{op}_{number:03}", ["neg_001.jpg", "neg_002.png"]),
        ("{stem}.tiff", ["a.tiff", "b.tiff"]),
        ("{{{stem}}} v1.0", ["{a} v1.0.jpg", "{b} v1.0.png"]),
    ],
)
def test_a_template_names_outputs_beside_their_inputs(template: str, expected: list[str]) -> None:
    assert outputs(Job(["a.jpg", "b.png"], name=template)) == expected


def test_a_template_names_outputs_in_folders() -> None:
    job = Job(["dir"], name="{folder}-{stem}", recursive=True)
    assert outputs(job) == ["dir-neg/dir-a.jpg", "dir-neg/below/below-d.jpg", "dir-neg/dir-c.webp"]
    assert outputs(Job(["a.jpg"], output="out/", name="{stem}-{op}")) == ["out/a-neg.jpg"]
    assert outputs(Job(["a.jpg"], name="{stem}-{op}", format="png")) == ["a-neg.png"]
    assert outputs(Job(["- x {1}.jpg"], name="{stem}!")) == ["- x {1}!.jpg"]


def test_a_template_names_what_comes_from_nothing() -> None:
    assert outputs(Job(output="out/", name="{number}"), Drawn()) == ["out/1.png", "out/2.png"]
    assert outputs(Job(name="{op}-{stem}"), Drawn()) == ["neg-face-1.png", "neg-face-2.png"]
    with pytest.raises(Misuse, match=r"several would be neg.png: add \{number\}"):
        outputs(Job(name="{op}"), Drawn())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{stm}", r"there is no \{stm\}; known are \{stem\}, \{op\}, \{number\}, \{folder\}"),
        ("{stem.name}", "there is no"),
        ("{0}", "there is no"),
        ("{stem", "a brace is written twice"),
        ("{stem:d}", "Unknown format code"),
        ("x/{stem}", "it names a file; -o names the folder"),
        ("..", "no name for a file"),
        ("", "no name for a file"),
    ],
)
def test_templates_that_cannot_be(template: str, message: str) -> None:
    with pytest.raises(Misuse, match=message):
        make_plan(Job(["a.jpg"], name=template), Negative())


def test_a_template_does_not_let_outputs_meet() -> None:
    with pytest.raises(Misuse, match=r"a.jpg and dir/a.jpg would all be written to out/x.jpg"):
        outputs(Job(["a.jpg", "dir/a.jpg"], output="out/", name="x"))
    with pytest.raises(Misuse, match=r"would be written over the input a\.jpg"):
        outputs(Job(["a.jpg"], name="{stem}"))
    with pytest.raises(Misuse, match=r"-o b\.jpg and --name contradict each other"):
        outputs(Job(["a.jpg"], output="b.jpg", name="{stem}"))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Adjust(contrast=1.3), "contrast-1.3"),
        (Adjust(brightness=1.2, contrast=1.3), "brightness-contrast-1.2-1.3"),
        (Edit(add=["bangs"], strength=1.5), "bangs-strength-1.5"),
        (Edit(hair_color="#7a3b2e"), "hair-7a3b2e"),
        (Inpaint(mask=Reference(Path("masks/sky.png")), grow=3), "inpainted-mask-sky-grow-3"),
        (Translate(to="winter", strength=0.5), "winter-strength-0.5"),
        (Upscale(scale=2, sharpness=0.25), "x2-sharpness-0.25"),
        (Negative(), "neg"),
    ],
    ids=str,
)
def test_names_in_full_tell_the_settings(operation: Operation, expected: str) -> None:
    assert operation.suffix_in_full == expected


@pytest.mark.needs("edit", "generate")
def test_settings_that_make_no_sense_are_refused() -> None:
    assert_refused(
        ["adjust", "a.jpg", "--brightness", "11"],
        "--brightness 11: it must be 0 or more and 10 or less",
    )
    assert_refused(["edit", "a.jpg", "--strength", "7"], "--strength 7: it must be 0 or more and 5")
    assert_refused(["generate", "-n", "0"], "--count 0: it must be 1 or more")


def assert_refused(words: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imgan", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
