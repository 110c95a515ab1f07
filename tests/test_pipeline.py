"""Pipelines: several operations in memory, their files, and what is wrong in one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import pytest
from PIL import Image
from typer import Option
from typer.testing import CliRunner

import imgan
from imgan.cli import build
from imgan.errors import Failure, Misuse, Skip
from imgan.images import Picture
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Operation, Process, Result, Runtime, Takes
from imgan.pipeline import EXAMPLE, Pipeline, load, to_toml
from imgan.plugins import registry
from imgan.references import Reference

LOG: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Brighter(Operation):
    """Adds to every pixel."""

    name = "brighter"
    by: Annotated[int, Option(min=0, max=99)] = 1
    refuses: str | None = None

    def cards(self, models: Models) -> list[ModelCard]:
        return [ModelCard(name="a", operation="brighter", file="a.onnx", sha256="a" * 64, size=1)]

    def open(self, runtime: Runtime) -> Process:
        LOG.append("open")

        def process(picture: Picture) -> Result:
            LOG.append(f"by {self.by}")
            if picture.source.name == self.refuses:
                raise Skip("not this one", code="no-face")
            runtime.meter(1.0)
            return Result(
                picture.with_pixels(picture.pixels + self.by), {"by": self.by}, ("a note",)
            )

        return process


@dataclass(frozen=True, kw_only=True)
class Mean(Operation):
    """One picture of all."""

    name = "mean"
    takes = Takes.ALL

    def open(self, runtime: Runtime) -> Process:
        def process(pictures: Any) -> Result:
            mean = np.mean([picture.pixels for picture in pictures], 0)
            return Result(Picture(mean.astype(np.uint8)))

        return process


@dataclass(frozen=True, kw_only=True)
class Even(Operation):
    """A grey picture of nothing."""

    name = "even"
    inputs = False
    count: int = 2

    def results(self) -> list[str]:
        return [f"even-{number}" for number in range(self.count)]

    def open(self, runtime: Runtime) -> Process:
        return lambda number: Result(Picture(np.full((4, 6, 3), 10 * number, np.uint8)))


@dataclass(frozen=True)
class Sizes:
    text: str

    def write(self, file: BinaryIO, suffix: str) -> None:
        file.write(self.text.encode())


@dataclass(frozen=True, kw_only=True)
class Measure(Operation):
    """The size as text."""

    name = "measure"
    formats = (".txt",)
    style: Annotated[Reference | None, Option()] = None

    def open(self, runtime: Runtime) -> Process:
        return lambda picture: Result(Sizes(str(picture.pixels.max())))


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operations above, as if plugins had brought them."""
    LOG.clear()
    for kind in (Brighter, Mean, Even, Measure):
        monkeypatch.setitem(registry().operations, kind.name, kind)


def paint(path: str, level: int = 50) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.new("RGB", (6, 4), (level, 100, 200)).save(path, exif=exif)


def shell(*words: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build(registry(), only=words[0]), list(words))
    return result.exit_code, result.output, result.exception


def pixel(path: str) -> int:
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((0, 0))[0]


TWO = '[[step]]\nop = "brighter"\nby = 2\n\n[[step]]\nop = "brighter"\nby = 3\n'


def test_steps_follow_each_other_and_metadata_comes_along(here: Path) -> None:
    paint("a.png")
    Path("p.toml").write_text(TWO)
    code, output, _ = shell("run", "p.toml", "a.png", "--json")
    assert code == 0
    assert pixel("a-brighter.png") == 55
    with Image.open("a-brighter.png") as image:
        assert image.getexif()[0x010F] == "a camera"
    line = json.loads(output.splitlines()[-1])
    assert [(step["op"], step["by"]) for step in line["steps"]] == [
        ("brighter", 2),
        ("brighter", 3),
    ]


def test_a_pipeline_is_resumed_by_all_its_steps(here: Path) -> None:
    paint("in/a.png")
    paint("in/b.png")
    tables = [{"op": "brighter", "by": 2}, {"op": "brighter"}]
    assert [one.status for one in imgan.run(tables, "in")] == ["done", "done"]
    assert LOG.count("open") == 2  # once a step, not once a picture
    assert [one.status for one in imgan.run(tables, "in")] == ["already done"] * 2
    assert [one.status for one in imgan.run([{**tables[0], "by": 3}, tables[1]], "in")] == [
        "failed",
        "failed",
    ]


def test_it_equals_its_steps_through_files(here: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save("a.png")
    imgan.run("adjust", "a.png", output="1.png", brightness=1.1)
    imgan.run("upscale", "1.png", output="2.png", scale=2, device="cpu")
    tables = [{"op": "adjust", "brightness": 1.1}, {"op": "upscale", "scale": 2}]
    imgan.run(tables, "a.png", output="3.png", device="cpu")
    assert np.array_equal(np.asarray(Image.open("2.png")), np.asarray(Image.open("3.png")))


def test_a_step_that_skips_ends_that_picture_and_is_named(here: Path) -> None:
    paint("in/a.png")
    paint("in/b.png")
    tables = [{"op": "brighter", "refuses": "a.png"}, {"op": "brighter", "by": 5}]
    first, second = imgan.run(tables, "in")
    assert (first.status, first.error_code) == ("skipped", "no-face")
    assert first.error == "step 1 (brighter): not this one"
    assert second.status == "done"
    assert LOG.count("by 5") == 1


def test_nothing_first_all_in_the_middle_and_a_product_last(here: Path) -> None:
    made = imgan.run([{"op": "even"}, {"op": "brighter", "by": 7}], output="out/")
    assert [pixel(one.task.output) for one in made] == [7, 17]
    gathered = [{"op": "brighter"}, {"op": "mean"}, {"op": "brighter", "by": 2}]
    imgan.run(gathered, ["out/even-0.png", "out/even-1.png"], output="mean.png")
    assert pixel("mean.png") == 15
    (one,) = imgan.run([{"op": "brighter"}, {"op": "measure"}], "mean.png")
    assert Path(one.task.output).read_text() == "16"
    assert one.task.output == "mean-measure.txt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[step]\n", "p.toml:1: Expected"),
        (
            '[[step]]\nop = "brighter"\n\n[[step]]\nop = "brightr"',
            "p.toml:5: there is no operation ",
        ),
        (
            '[[step]]\nop = "brighter"\nbye = 3',
            "p.toml:3: brighter has no option bye; did you mean by",
        ),
        (
            '# by = 1\n[[step]]\nop = "brighter"\nby = "3"',
            "p.toml:4: by '3': it must be a whole num",
        ),
        ('[[step]]\nop = "brighter"\nby = 100', "p.toml:3: by 100: it must be 0 or more and 99"),
        ("[[step]]\nby = 1", "p.toml:1: the operation is missing"),
        ('a = """\n\n"""\n[[step]]\nop = "brighter"', "p.toml:1: a: only tables"),
        ('[[step]]\nop = "measure"\n[[step]]\nop = "brighter"', "p.toml:2: measure: it makes .txt"),
        ('[[step]]\nop = "brighter"\n[[step]]\nop = "even"', "p.toml:4: even: it takes no picture"),
        ('[[step]]\nop = "even"\n[[step]]\nop = "mean"', "p.toml:4: mean: it takes all inputs"),
        ('[[step]]\nop = "mean"\n[[step]]\nop = "mean"', "p.toml:4: mean: mean has made one"),
        ('[[step]]\nop = "adjust"\n', "p.toml:1: nothing to adjust: give grayscale"),
        ('[[step]]\nop = "upscale"\nmodel = "no"', "p.toml:1: no model is called 'no'"),
        ('[[step]]\nop = "measure"\nstyle = "no.png"', "p.toml:3: no.png: cannot be read"),
        ('[[step]]\nop = "stylize"\n', "p.toml:1: stylize needs style"),
        ('[[step]]\nop = "brighter"\n[output]\nquality = 101', "p.toml:4: quality 101: it must"),
        ("", "p.toml:1: no step"),
    ],
)
def test_what_is_wrong_is_found_with_its_line(here: Path, text: str, message: str) -> None:
    paint("a.png")
    Path("p.toml").write_text(text)
    code, _, error = shell("run", "p.toml", "a.png")
    assert code == 1
    assert isinstance(error, Misuse)
    assert str(error).startswith(message)
    assert LOG == []
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "p.toml"]


def test_the_example_is_a_pipeline(here: Path) -> None:
    code, output, _ = shell("run", "--example")
    assert (code, output) == (0, EXAMPLE)
    Path("p.toml").write_text(output)
    pipeline, written = load(Path("p.toml"))
    assert [step.name for step in pipeline.steps] == ["adjust", "edit", "upscale"]
    assert written == {"quality": 95}


def test_what_a_file_says_of_writing_gives_way_to_what_is_typed(here: Path) -> None:
    paint("a.png")
    Path("p.toml").write_text(TWO + '[output]\nformat = "bmp"\n')
    shell("run", "p.toml", "a.png")
    shell("run", "p.toml", "a.png", "--format", "tiff")
    assert Path("a-brighter.bmp").exists()
    assert Path("a-brighter.tif").exists()


def test_every_command_saves_the_pipeline_that_repeats_it(here: Path) -> None:
    paint("a.jpg")
    paint("b/style.png")
    code, _, _ = shell(
        "brighter", "a.jpg", "--by", "4", "--quality", "50", "--save-pipeline", "p.toml"
    )
    assert code == 0
    first = Path("a-brighter.jpg").read_bytes()
    Path("a-brighter.jpg").unlink()
    shell("run", "p.toml", "a.jpg")
    assert Path("a-brighter.jpg").read_bytes() == first
    _, _, error = shell("brighter", "--save-pipeline", "p.toml")
    assert str(error) == "p.toml exists; --overwrite to replace"
    code, _, _ = shell("measure", "--style", "b/style.png", "--save-pipeline", "b/q.toml")
    assert code == 0  # and needs no input
    assert 'style = "style.png"' in Path("b/q.toml").read_text()


def test_what_is_written_is_read_back(here: Path) -> None:
    paint("s.png")
    build = registry().operations
    edit = build["edit"](add=["bangs=0.5", "smiling"], engine="vector", seed=3)  # type: ignore[call-arg]
    names = build["brighter"](refuses='é "\\ \x7f\n#')  # type: ignore[call-arg]
    style = build["measure"](style=Reference.of("s.png"))  # type: ignore[call-arg]
    Path("p.toml").write_text(to_toml([names, edit, style], {"quality": 7}, Path()))
    pipeline, output = load(Path("p.toml"))
    assert output == {"quality": 7}
    assert (pipeline.steps[0], pipeline.steps[1]) == (names, edit)
    assert pipeline.steps[2].style.sha256 == style.style.sha256  # type: ignore[attr-defined]


def test_progress_goes_over_all_steps() -> None:
    from imgan.models.store import Models
    from imgan.operations import Meter

    shares: list[float] = []
    pipeline = Pipeline(steps=(Brighter(), Brighter(by=2)))
    process = pipeline.open(Runtime("cpu", Models(), Meter(shares.append)))
    process(Picture(np.zeros((4, 6, 3), np.uint8)))
    assert shares == [0.5, 1.0]


def test_what_networks_made_is_stated_as_step_by_step() -> None:
    kinds = registry().operations
    edit, adjust = kinds["edit"](add=["bangs"]), kinds["adjust"](grayscale=True)  # type: ignore[call-arg]
    assert Pipeline(steps=(adjust, edit, adjust)).states == edit.source_type
    assert Pipeline(steps=(kinds["generate"](), edit)).states == kinds["generate"].source_type
    assert Pipeline(steps=(adjust,)).states == ""


def test_from_python_a_pipeline_has_no_options_of_its_own(here: Path) -> None:
    paint("a.png")
    with pytest.raises(Misuse, match="a pipeline has its options in its steps, not by="):
        imgan.run([{"op": "brighter"}], "a.png", by=3)
    with pytest.raises(Misuse, match="step 2: brighter has no option bye"):
        imgan.run([{"op": "brighter"}, {"op": "brighter", "bye": 3}], "a.png")
    with imgan.open([{"op": "brighter", "by": 9}, {"op": "brighter"}]) as both:
        assert both("a.png").getpixel((0, 0))[0] == 60


def test_a_missing_file_is_one_line(here: Path) -> None:
    _, _, error = shell("run", "no.toml", "a.png")
    assert isinstance(error, Failure)
    assert str(error) == "no.toml: cannot be read: No such file or directory"


def test_other_commands_do_not_load_it() -> None:
    code = (
        "import sys; from imgan.cli import build; from imgan.plugins import registry;"
        "build(registry(), only='adjust'); print('imgan.pipeline' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
