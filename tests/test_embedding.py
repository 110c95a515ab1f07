"""`--embed` and `imgan replay`: a result says how it was made, and others are made so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from PIL import Image
from typer import Option
from typer.testing import CliRunner

import imgan
from imgan.cli import build
from imgan.errors import Failure
from imgan.images import open_picture, save_picture
from imgan.images.xmp import pipeline_in, with_pipeline
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Operation, Process, Result, Runtime
from imgan.plugins import registry
from imgan.references import Reference

SHA = {"now": "a" * 64}


@dataclass(frozen=True, kw_only=True)
class Added(Operation):
    """Adds the mean of a picture."""

    name = "added"
    style: Annotated[Reference | None, Option()] = None
    words: Annotated[list[str] | None, Option()] = None

    def cards(self, models: Models) -> list[ModelCard]:
        return [ModelCard(name="net", operation="added", file="a", sha256=SHA["now"], size=1)]

    def open(self, runtime: Runtime) -> Process:
        amount = 1 if self.style is None else int(self.style.pixels.mean())
        return lambda picture: Result(picture.with_pixels(picture.pixels + np.uint8(amount)))


@pytest.fixture(autouse=True)
def stub(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHA, "now", "a" * 64)
    monkeypatch.setitem(registry().operations, "added", Added)
    for path, level in {"a.png": 50, "b.png": 60, "far/style.png": 7}.items():
        Path(path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 4), (level,) * 3).save(path)


def shell(*words: str) -> BaseException | None:
    result = CliRunner().invoke(build(registry(), only=words[0]), list(words))
    return result.exception


def level(path: str) -> int:
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((0, 0))[0]


def held(path: str) -> dict[str, Any]:
    text = pipeline_in(open_picture(Path(path)).source.xmp)
    assert text is not None
    stated: dict[str, Any] = json.loads(text)
    return stated


def restated(path: str, change: Callable[[dict[str, Any]], object]) -> None:
    """The same result with another statement."""
    stated = held(path)
    change(stated)
    picture = open_picture(Path(path))
    packet = with_pipeline(picture.source.xmp, json.dumps(stated))
    changed = replace(picture, source=replace(picture.source, xmp=packet))
    save_picture(changed, Path(path), overwrite=True)


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tif"])
def test_what_was_done_is_done_to_another(form: str) -> None:
    words = ["--words", 'é "<&>\n', "--words", "b"]
    assert shell("added", "a.png", *words, "--embed", "--strip-metadata", "-o", f"r.{form}") is None
    assert held(f"r.{form}")["steps"] == [{"op": "added", "words": ['é "<&>\n', "b"]}]
    assert shell("replay", f"r.{form}", "--on", "b.png") is None
    assert level("b-added.png") == 61
    assert held("b-added.png") == held(f"r.{form}")  # which can be replayed in its turn


def test_without_it_nothing_is_held() -> None:
    shell("added", "a.png", "-o", "r.jpg")
    assert b"Pipeline" not in Path("r.jpg").read_bytes()
    error = shell("replay", "r.jpg", "--on", "b.png")
    assert str(error) == "r.jpg: it holds no pipeline; --embed puts one into a result"


def test_a_replay_of_the_same_is_done_already() -> None:
    shell("added", "a.png", "--embed", "-o", "r.png")
    before = Path("r.png").stat().st_mtime_ns
    assert shell("replay", "r.png", "--on", "a.png", "-o", "r.png") is None
    assert Path("r.png").stat().st_mtime_ns == before


def test_all_steps_and_the_way_of_writing_are_held() -> None:
    steps = [{"op": "adjust", "brightness": 1.1}, {"op": "added"}]
    imgan.run(steps, "a.png", output="r.png", embed=True)
    assert held("r.png")["steps"] == steps
    assert held("r.png")["output"] == {"embed": True}
    assert shell("replay", "r.png", "--on", "a.png", "--format", "bmp") is None
    assert level("a-added.bmp") == 56


def test_one_embedded_before_is_replaced() -> None:
    shell("added", "a.png", "--embed", "-o", "r.png")
    shell("adjust", "r.png", "--grayscale", "--embed", "-o", "s.png")
    assert [step["op"] for step in held("s.png")["steps"]] == ["adjust"]
    assert open_picture(Path("s.png")).source.xmp.count(b"imgan:Pipeline") == 1


def test_pictures_that_had_a_say_are_found_by_name_and_content() -> None:
    shell("added", "a.png", "--style", "far/style.png", "--embed", "-o", "r.png")
    assert "far" not in pipeline_in(open_picture(Path("r.png")).source.xmp)  # type: ignore[operator]
    error = shell("replay", "r.png", "--on", "b.png")
    assert "it was made with style.png: put that picture beside it, or here" in str(error)
    Image.new("RGB", (6, 4), (8, 8, 8)).save("style.png")
    assert "style.png is not the picture" in str(shell("replay", "r.png", "--on", "b.png"))
    Path("style.png").write_bytes(Path("far/style.png").read_bytes())
    assert shell("replay", "r.png", "--on", "b.png") is None
    assert level("b-added.png") == 67


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["steps"][0].update(op="gone"), "step 1 is gone, of an unknown package"),
        (lambda s: s["models"].update(net="b" * 64), "the model net is another one than then"),
        (lambda s: s["models"].clear(), "the model net had no say then"),
        (lambda s: s["steps"][0].update(wrds=["a"]), "step 1: added has no option wrds"),
        (lambda s: s["steps"][0].update(style="/etc/x.png"), "of which no SHA-256 is stated"),
        (lambda s: s["output"].update(quality=101), "output: quality 101: it must be"),
        (lambda s: s.pop("steps"), "its pipeline cannot be read"),
        (lambda s: s.update(steps=[3]), "its pipeline cannot be read"),
    ],
)
def test_what_cannot_be_repeated_is_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    shell("added", "a.png", "--embed", "-o", "r.png")
    restated("r.png", change)
    error = shell("replay", "r.png", "--on", "b.png")
    assert isinstance(error, Failure)
    assert str(error).startswith("r.png: ")
    assert message in str(error)
    assert not Path("b-added.png").exists()


def test_a_plugin_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imgan.run("upscale", "a.png", output="r.png", scale=2, embed=True, device="cpu")
    monkeypatch.delitem(registry().operations, "upscale")
    error = shell("replay", "r.png", "--on", "b.png")
    assert str(error) == (
        f"r.png: step 1 is upscale, of imgan {imgan.__version__}, which is not installed"
    )


def test_a_format_without_xmp_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    outcomes = imgan.run("added", "a.png", output="r.bmp", embed=True)
    assert any("BMP holds no XMP" in note for note in outcomes[0].notes)
