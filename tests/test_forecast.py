"""`--dry-run`: what would be done, how long it would take, and that nothing is written."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgan.batch.forecast import Forecast, Measured, Summary, forecast
from imgan.batch.job import Job
from imgan.batch.run import Batch, Listener
from imgan.commands.operation import execute
from imgan.errors import Misuse, Skip
from imgan.images import Picture, size_of
from imgan.images.tiles import largest, run_tiled, tile_count, work
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Operation, Process, Result, Runtime
from imgan.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Slow(Operation):
    """Twice as wide, in a time that grows with the pixels."""

    name = "slow"
    seconds: float = 2e-7
    """A pixel."""
    least: int = 0
    """Side below which there is nothing to be found."""
    network: str = ""

    def cards(self, models: Models) -> list[ModelCard]:
        shape = {"operation": "slow", "file": "none.onnx", "sha256": "a" * 64, "size": 1}
        return [ModelCard(name=self.network, **shape)] if self.network else []  # type: ignore[arg-type]

    def open(self, runtime: Runtime) -> Process:
        def process(picture: Picture) -> Result:
            height, width = picture.pixels.shape[:2]
            if height < self.least:
                raise Skip("no face found")
            time.sleep(0.02 + self.seconds * height * width)
            return Result(picture.with_pixels(picture.pixels.repeat(2, axis=1)))

        return process


def paint(path: str, width: int = 640, height: int = 480, orientation: int = 1) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (50, 100, 200)).save(path, exif=exif)


def told(job: Job, operation: Operation | None = None) -> Summary:
    return forecast(Batch(replace(job, dry_run=True), operation or Slow(), Listener()))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_it_says_what_would_be_done_and_writes_nothing(
    here: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint("in/a.png")
    paint("in/b.jpg", 64, 32, orientation=6)
    paint("in-slow/b.jpg")
    Path("in/c.png").write_bytes(b"junk")
    before = files(here), files(home)
    execute(Job(["in"], dry_run=True), Slow())
    assert (files(here), files(home)) == before
    captured = capsys.readouterr()
    rows = [line.split("\t") for line in captured.out.splitlines()]
    assert rows[0][:4] == ["in/a.png", "in-slow/a.png", "to do", "640x480 -> 1280x480"]
    assert rows[1][:4] == ["in/b.jpg", "in-slow/b.jpg", "exists, and stays", "32x64"]
    assert rows[2][2].startswith("not a picture")
    assert "1 to do, 1 exists, and stays, 1 would fail; about " in captured.err


def test_for_scripts_it_is_a_line_a_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint("a.png")
    execute(Job(["a.png"], dry_run=True, json=True), Slow())
    line = json.loads(capsys.readouterr().out)
    assert (line["status"], line["size"], line["made"]) == ("to do", [640, 480], [1280, 480])
    assert (line["tiles"], line["models"], line["device"]) == (None, [], None)
    assert line["seconds"] > 0.05
    assert line["total_seconds"] >= 0.1
    assert line["memory_bytes"] > 2**20


def test_what_is_finished_is_passed_over(here: Path) -> None:
    paint("a.png")
    execute(Job(["a.png"], quiet=True), Slow(seconds=0))
    summary = told(Job(["a.png"]), Slow(seconds=0))
    assert summary.text == "1 already done"
    assert told(Job(["a.png"]), Slow()).text == "1 exists, and stays"
    assert "1 to be replaced; about" in told(Job(["a.png"], overwrite=True)).text


def test_clashes_are_refused_as_in_a_run(here: Path) -> None:
    paint("a/x.png")
    paint("b/x.png")
    with pytest.raises(Misuse, match=r"would all be written to out/x\.png"):
        told(Job(["a/x.png", "b/x.png"], output="out/"))


def test_time_is_reckoned_from_small_copies(here: Path) -> None:
    paint("a.png", 1200, 900)
    operation = Slow(seconds=3e-6, least=250)  # 3 s: nothing is found in the first copy
    (one,) = told(Job(["a.png"]), operation).forecasts
    assert one.seconds is not None
    assert 1.5 < one.seconds < 6


def test_what_is_measured_goes_on_along_a_line() -> None:
    shape = {"reading": 0, "writing": 0, "scales": (2, 2), "start": 0}
    measured = Measured(
        times=[(100, 2.0), (200, 3.0)],
        peaks=[(100, 10_000), (200, 20_000)],
        tile=None,
        **shape,  # type: ignore[arg-type]
    )
    assert measured.seconds((10, 100)) == pytest.approx(11.0)
    assert measured.seconds((1, 1)) == 2.0
    assert measured.memory((3, 100), 1) == 20_000 + 100 * 100 + 3 * 300 * 5
    # 2 x 2 tiles of 186 a side, which share 72.
    tiled = replace(measured, tile=200)
    assert tiled.seconds((300, 300)) == pytest.approx(3.0 + (4 * 186**2 - 200) / 100)
    assert tiled.memory((300, 300), 1) == 20_000 + (186**2 - 200) * 100 + 3 * 300**2 * 5


def test_a_network_that_is_not_there_is_not_fetched(here: Path) -> None:
    paint("a.png")
    summary = told(Job(["a.png"], device="cpu"), Slow(network="far"))
    assert summary.models == ["far (to be fetched)"]
    assert "far (to be fetched) on cpu; time and memory are not known" in summary.text


@pytest.mark.parametrize(("height", "width"), [(100, 300), (256, 256), (257, 900), (1000, 1000)])
def test_tiles_are_counted_as_they_are_cut(height: int, width: int) -> None:
    seen: list[int] = []

    def run(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels[..., 0].size)
        return np.moveaxis(pixels, 2, 0) / np.float32(255)

    run_tiled(np.zeros((height, width, 3), np.uint8), run, tile=256)
    assert tile_count(height, width, 256) == len(seen)
    assert work(height, width, 256) == sum(seen)
    assert {largest(height, width, 256)} == set(seen)


@pytest.mark.needs("upscale")
def test_a_pipeline_says_its_networks_and_tiles(here: Path) -> None:
    from imgan_adjust import Adjust
    from imgan_upscale import Upscale

    paint("a.png", 800, 30)
    steps = Pipeline(steps=(Adjust(grayscale=True), Upscale(scale=2)))
    summary = told(Job(["a.png"], device="cpu"), steps)
    (one,) = summary.forecasts
    assert summary.models == ["upscale-x2"]
    assert (one.tiles, one.made) == (2, (1600, 60))


def test_sizes_are_those_of_upright_pictures(here: Path) -> None:
    paint("a.jpg", 64, 32, orientation=8)
    assert size_of(Path("a.jpg")) == (32, 64)
    assert isinstance(told(Job(["a.jpg"])).forecasts[0], Forecast)
