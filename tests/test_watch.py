"""`--watch`: pictures that come into a folder are worked on once they are whole."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgan.batch.job import Job
from imgan.batch.plan import Task
from imgan.batch.watch import Arrivals, watch
from imgan.commands.operation import execute
from imgan.errors import Misuse
from imgan.operations import Operation, Process, Result, Runtime, Takes

OPENED: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Same(Operation):
    """What came, until the last has come."""

    name = "same"
    last: str = ""
    gathers: bool = False

    @property
    def takes(self) -> Takes:
        return Takes.ALL if self.gathers else Takes.EACH

    def open(self, runtime: Runtime) -> Process:
        OPENED.append(1)

        def process(picture: object) -> Result:
            if picture.source.name == self.last:  # type: ignore[attr-defined]
                raise SystemExit(130)
            return Result(picture)  # type: ignore[arg-type]

        return process


def encoded(seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def wait_for(true: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_file_is_whole_when_it_has_not_changed_for_a_while(here: Path) -> None:
    task = Task((Path("a.jpg"),), Path("b.jpg"))
    arrivals = Arrivals()
    Path("a.jpg").touch()
    assert arrivals.whole([task], 0) == arrivals.whole([task], 5) == ()  # it is empty
    Path("a.jpg").write_bytes(b"1")
    assert arrivals.whole([task], 10) == arrivals.whole([task], 10.9) == ()
    Path("a.jpg").write_bytes(b"12")
    assert arrivals.whole([task], 11) == arrivals.whole([task], 11.9) == ()
    assert arrivals.whole([task], 12) == (task,)
    assert arrivals.whole([task], 20) == ()
    assert arrivals.coming == {}
    Path("a.jpg").write_bytes(b"123")  # it has changed after all
    assert arrivals.whole([task], 30) == ()
    assert arrivals.whole([task], 31) == (task,)
    Path("a.jpg").unlink()
    assert arrivals.whole([task], 40) == ()


def test_one_process_does_what_comes_and_stops_at_a_signal(here: Path) -> None:
    Path("in").mkdir()
    Path("in/early.jpg").write_bytes(encoded(1))
    command = [sys.executable, "-m", "imgan.cli", "adjust", "in", "--grayscale", "-o", "out"]
    with subprocess.Popen([*command, "--watch"], stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(Path("out/early.jpg").exists)
            data = encoded(2)
            with Path("in/slow.jpg").open("wb") as file:
                for part in (data[:500], data[500:]):
                    file.write(part)
                    file.flush()
                    time.sleep(0.5)
            Path("in/broken.jpg").write_bytes(data[:500])
            Path("in/.hidden.jpg").write_bytes(data)
            wait_for(Path("out/slow.jpg").exists)
            time.sleep(1.5)  # the broken one has had its turn, and is finished now
            Path("in/broken.jpg").write_bytes(data)
            wait_for(Path("out/broken.jpg").exists)
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert sorted(os.listdir("out")) == ["broken.jpg", "early.jpg", "slow.jpg"]
    assert said.count("in/slow.jpg") == 1
    assert "in/broken.jpg: broken, truncated" in said
    assert "Traceback" not in said


def test_networks_stay_loaded_and_what_is_finished_is_passed_over(here: Path) -> None:
    OPENED.clear()
    Path("in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Path("in", name).write_bytes(encoded())
    execute(Job(["in/a.jpg"], output="out/", quiet=True), Same(last="c.jpg"))
    written = Path("out/a.jpg").stat().st_mtime_ns

    def come_last() -> None:
        wait_for(Path("out/b.jpg").exists)
        Path("in/c.jpg").write_bytes(encoded())

    last = threading.Thread(target=come_last)
    last.start()
    with pytest.raises(SystemExit):
        watch(Job(["in"], output="out", quiet=True), Same(last="c.jpg"))
    last.join()
    assert Path("out/a.jpg").stat().st_mtime_ns == written
    assert Path("out/b.jpg").exists()
    assert len(OPENED) == 2  # once before it


@pytest.mark.parametrize(
    ("job", "operation", "message"),
    [
        (Job(), Same(), "name the folders to watch"),
        (Job(["a.jpg"]), Same(), "--watch a.jpg: it watches folders"),
        (Job(["in"]), Same(gathers=True), "does not make one result of each"),
        (Job(["in"], output="in"), Same(), "-o in is watched itself"),
        (Job(["in", "."], output="in/out", recursive=True), Same(), "is watched itself"),
        (Job(["in"], name="{number}"), Same(), r"have no \{number\}"),
        (Job(["in"], receipt="a.json"), Same(), "--receipt each"),
    ],
)
def test_what_cannot_be_watched(here: Path, job: Job, operation: Same, message: str) -> None:
    Path("in").mkdir()
    Path("a.jpg").write_bytes(encoded())
    with pytest.raises(Misuse, match=message):
        watch(job, operation)
