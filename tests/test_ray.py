"""A batch on Ray: two workers, one of which is killed in the middle of sixty pictures."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def started(*words: str) -> subprocess.Popen[str]:
    # Others on this machine take memory, too; that is no reason for Ray to end a worker.
    calm = {**os.environ, "RAY_memory_monitor_refresh_ms": "0"}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=calm
    )


def rows_of(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    """The next rows that it prints."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    if not lines[-1]:
        rest_of(process)
    return list(map(json.loads, lines))


def rest_of(process: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], str]:
    """All other rows, and its errors. The test is skipped where Ray itself does not come up."""
    rest, errors = process.communicate(timeout=PATIENCE)
    if "timed out during startup" in errors:
        # Its raylet ends when an agent takes over 15 seconds to start: ray's issue 65983.
        pytest.skip("this machine is too busy for Ray to start")
    return list(map(json.loads, rest.splitlines())), errors


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
    with started(*command(*ELSEWHERE)) as process:
        rows = rows_of(process, 15)
        made = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
        os.kill(workers(home)[0], signal.SIGKILL)
        rest, errors = rest_of(process)
    assert process.returncode == 0, errors
    rows += rest
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
    with started(*command(*ELSEWHERE)) as process:
        rows_of(process, 20)
        process.terminate()
        rest_of(process)
    assert process.returncode == 128 + signal.SIGTERM
    there = len(os.listdir("out"))
    assert there < COUNT
    with started(*command(*ELSEWHERE)) as process:
        rows, errors = rest_of(process)
    assert process.returncode == 1, errors
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
    words = ("run", "p.toml", "in", *ELSEWHERE)
    with started(sys.executable, "-m", "imgan", *words) as process:
        told, errors = rest_of(process)
    assert process.returncode == 1, errors
    rows = {row["input"]: row for row in told}
    failed = rows.pop("in/5.png")
    assert failed["status"] == "failed"
    assert failed["error"].startswith("step 2 (inpaint): the mask is 80x60 px")
    assert {row["status"] for row in rows.values()} == {"done"}
    steps = [[step["op"] for step in row["steps"]] for row in rows.values()]
    assert steps == [["adjust", "inpaint"]] * 7
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
