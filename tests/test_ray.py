"""A batch on Ray: two workers, one of which is killed in the middle of sixty pictures."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imgan
from imgan.models.sessions import cores

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='needs pip install "imgan[testscale]"'
)
COUNT = 60


@pytest.fixture
def photos(here: Path) -> Path:
    """Pictures that take a worker a tenth of a second and more each."""
    Path("in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (420, 560, 3), np.uint8, True)
    for number in range(COUNT):
        Image.fromarray(np.roll(pixels, number, 1)).save(f"in/{number:02}.png", compress_level=1)
    return here


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "imgan", "adjust", "in", "--contrast", "1.3", *words]


PATIENCE = 1200
"""Seconds after which a test gives up: far more than it takes where ten programs share a core."""

PIPELINE = """
[[step]]
op = "adjust"
contrast = 1.3
[[step]]
op = "inpaint"
mask = "mask.png"
"""

ELSEWHERE = ("-o", "out/", "--ray", "local", "--workers", "2", "--json")


def workers(home: Path) -> list[int]:
    """The processes of this test's workers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = os.fsencode(home) in (process / "environ").read_bytes()
            if ours and b"ray::PictureWorker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


@pytest.mark.slow
@needs_ray
def test_a_worker_that_is_killed_costs_one_picture(
    photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(
        command(*ELSEWHERE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(15)]
        made = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
        os.kill(workers(home)[0], signal.SIGKILL)
        rest, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    rows += map(json.loads, rest.splitlines())
    assert sorted(row["input"] for row in rows) == sorted(str(p) for p in Path("in").iterdir())
    assert {row["status"] for row in rows} == {"done"}
    assert errors.count("its worker was lost; it is tried again") == 1
    # Every picture is there once, whole, and what was there before the loss was not made again.
    assert sorted(p.name for p in Path("out").iterdir()) == sorted(os.listdir("in"))
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for path in Path("out").iterdir():
        expected = np.asarray(imgan.adjust(f"in/{path.name}", contrast=1.3))
        assert np.array_equal(np.asarray(Image.open(path)), expected)
    # It is resumed, here and there, and needs no worker for that.
    monkeypatch.setitem(sys.modules, "ray", None)
    for ray in ("local", None):
        outcomes = imgan.run("adjust", "in", contrast=1.3, output="out/", ray=ray)
        assert [outcome.status for outcome in outcomes] == ["already done"] * COUNT


@pytest.mark.slow
@needs_ray
def test_failures_are_rows_and_a_stopped_batch_goes_on(photos: Path) -> None:
    Path("in/07.png").write_bytes(Path("in/07.png").read_bytes()[:9000])
    Path("out").mkdir()
    Path("out/03.png").write_bytes(b"precious")
    with subprocess.Popen(
        command(*ELSEWHERE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        rows = [json.loads(process.stdout.readline()) for _ in range(20)]
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    there = len(os.listdir("out"))
    assert there < COUNT
    done = subprocess.run(command(*ELSEWHERE), capture_output=True, text=True)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {row["input"]: row["error_code"] for row in rows if row["status"] == "failed"}
    assert failed == {"in/03.png": "exists", "in/07.png": "failed"}
    statuses = [row["status"] for row in rows]
    assert statuses.count("already done") == there - 1
    assert statuses.count("done") == COUNT - 1 - there
    assert Path("out/03.png").read_bytes() == b"precious"


@pytest.mark.slow
@needs_ray
@pytest.mark.needs("inpaint")
def test_a_pipeline_is_worked_on_as_it_is_here(here: Path) -> None:
    """Two workers; a step that fails on a picture is a row; what is finished is so here, too."""
    Path("in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8, True)
    for number in range(8):
        Image.fromarray(pixels[: 60 - (number == 5)]).save(f"in/{number}.png")
    mask = np.zeros((60, 80), np.uint8)
    mask[30:33, 40:43] = 255
    Image.fromarray(mask).save("mask.png")
    Path("p.toml").write_text(PIPELINE)
    words = [sys.executable, "-m", "imgan", "run", "p.toml", "in", *ELSEWHERE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1, done.stderr
    rows = {row["input"]: row for row in map(json.loads, done.stdout.splitlines())}
    failed = rows.pop("in/5.png")
    assert failed["status"] == "failed"
    assert failed["error"].startswith("step 2 (inpaint): the mask is 80x60 px")
    assert {row["status"] for row in rows.values()} == {"done"}
    assert all(
        [step["op"] for step in row["steps"]] == ["adjust", "inpaint"] for row in rows.values()
    )
    outcomes = imgan.run(Path("p.toml"), "in", output="out/")
    statuses = [outcome.status for outcome in outcomes]
    assert statuses == ["already done"] * 5 + ["failed"] + ["already done"] * 2
    for path in Path("out").iterdir():
        expected = imgan.open(Path("p.toml"))(f"in/{path.name}")
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(expected))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ray": "local", "output": "-"}, "a pipe stays on this machine"),
        ({"workers": 2}, "workers= is for ray="),
    ],
)
def test_what_stays_on_this_machine_is_told(
    options: dict[str, object], says: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8)).save("a.png")
    with pytest.raises(imgan.Misuse, match=says):
        imgan.run("adjust", "a.png", contrast=1.3, **options)  # type: ignore[arg-type]


def test_without_ray_it_is_told_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8)).save("a.png")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(imgan.Failure, match=r'pip install "imgan\[ray\]"'):
        imgan.run("adjust", "a.png", contrast=1.3, ray="local")


def test_a_process_heeds_its_share_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    own = cores()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4000")
    assert cores() == (own or 4000)
