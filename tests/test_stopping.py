"""Ctrl-C while a picture is worked on, and what is heard of the work before."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from imgan.batch.worker import worker
from imgan.images import Picture
from imgan.models.store import Models
from imgan.operations import Meter, Operation, Runtime
from imgan.stopping import stopping_on_signals, undisturbed
from imgan_edit import Edit
from imgan_inpaint import Inpaint
from imgan_parse import Parse
from imgan_translate import Translate

PROGRAM = """
import sys, time
from dataclasses import dataclass
from imgan import cli, plugins, __main__
from imgan.operations import Operation, Result

def process(picture):
    print("at work", file=sys.stderr, flush=True)
    time.sleep(60)  # a network that is not interrupted

@dataclass(frozen=True, kw_only=True)
class Slow(Operation):
    name = "slow"
    def open(self, runtime):
        return process

plugins.registry().operations["slow"] = Slow
sys.argv = ["imgan", "slow", "photo.png"]
__main__.main()
"""


def test_work_that_cannot_be_interrupted_is_left(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "photo.png")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that was begun in the background has the signal ignored, and so had its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.splitlines() == [
        "imgan: stopping …",
        "imgan: stopped; the same command goes on where this ended",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_worker_is_one_thread_that_passes_on_what_goes_wrong() -> None:
    threads = set()
    with worker() as call:
        for _ in range(3):
            call(lambda: threads.add(threading.current_thread()))
        with pytest.raises(ZeroDivisionError):
            call(lambda: 1 / 0)
        call(lambda: threads.add(threading.current_thread()))
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_a_worker_is_left_at_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgan.batch.worker.GRACE", 0.05)
    done = threading.Event()
    began = time.monotonic()
    with worker() as call:
        threading.Thread(target=lambda: call(done.wait), daemon=True).start()
    assert time.monotonic() - began < 10
    done.set()


def test_a_block_is_not_interrupted_in_its_middle() -> None:
    done = []
    with pytest.raises(SystemExit) as end, stopping_on_signals():  # noqa: PT012
        with undisturbed():
            with undisturbed():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]
    assert end.value.code == 128 + signal.SIGTERM
    with undisturbed():
        pass


@pytest.mark.parametrize(
    "operation",
    [
        Edit(add=["brown-hair"], experimental=True),
        Translate(to="winter", snowfall=0.5, experimental=True),
        Translate(to="summer", experimental=True),
        Parse(part="hair"),
        Inpaint(alpha=True, model="patches"),
    ],
    ids=lambda operation: str(operation.name),
)
def test_the_bar_moves_within_one_picture(operation: Operation) -> None:
    alpha = np.full((256, 256), 255, np.uint8)
    alpha[40:60, 180:200] = 0
    photo = np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])
    heard: list[float] = []
    runtime = Runtime("cpu", Models.installed(), Meter(heard.append))
    operation.check()
    operation.open(runtime)(Picture(photo, alpha))
    assert heard == sorted(heard)
    assert 0 < heard[0] < 1
    assert heard[-1] <= 1 + 1e-9
