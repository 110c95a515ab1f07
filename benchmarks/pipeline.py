"""`imgan run` of three steps against three commands in a pipe, and three through files.

    python benchmarks/pipeline.py [COUNT [MEGAPIXELS]]

COUNT (default 24) JPEG portraits of MEGAPIXELS (default 2) are adjusted, edited and upscaled x2, by
whole processes: they start, load, decode, work and encode. Through a pipe goes one picture at a
time, so that every picture starts three. Aims: 1.3 times as fast as the pipe, 1.5 as the files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import skimage.data
from PIL import Image, ImageEnhance

IMGAN = [sys.executable, "-m", "imgan.cli"]
STEPS = [
    ["adjust", "--brightness", "1.1"],
    ["edit", "--add", "brown-hair"],
    ["upscale", "--scale", "2"],
]
PIPELINE = """
[[step]]
op = "adjust"
brightness = 1.1
[[step]]
op = "edit"
add = ["brown-hair"]
[[step]]
op = "upscale"
scale = 2
"""


def main(count: int = 24, megapixels: float = 2) -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        for seed in range(count):
            portrait(seed, megapixels, photos / f"{seed:02}.jpg")
        (folder / "p.toml").write_text(PIPELINE)
        memory = timed(lambda: in_memory(folder, photos))
        files = timed(lambda: through_files(folder, photos))
        pipe = timed(lambda: through_a_pipe(folder, photos))
    print(f"{count} pictures of {megapixels:g} MP")
    print(f"in memory: {memory}")
    print(f"three commands in a pipe: {pipe}, {pipe.over(memory)} (aim: 1.3)")
    print(f"three through files: {files}, {files.over(memory)} (aim: 1.5)")


def portrait(seed: int, megapixels: float, path: Path) -> None:
    """A face at half the height of a picture of that size, lit differently for each seed."""
    face = Image.fromarray(skimage.data.astronaut())
    side = round((megapixels * 1e6) ** 0.5)
    enlarged = face.resize((side, side), Image.Resampling.BICUBIC)
    ImageEnhance.Brightness(enlarged).enhance(0.9 + 0.01 * seed).save(path, quality=90)


def in_memory(folder: Path, photos: Path) -> None:
    run(["run", str(folder / "p.toml"), str(photos), "-o", str(folder / "memory")])


def through_files(folder: Path, photos: Path) -> None:
    for number, words in enumerate(STEPS):
        made = folder / f"files-{number}"
        run([words[0], str(photos), *words[1:], "-o", str(made)])
        photos = made


def through_a_pipe(folder: Path, photos: Path) -> None:
    for photo in sorted(photos.iterdir()):
        data = photo.read_bytes()
        commands = [[*IMGAN, words[0], "-", *words[1:], "--quiet"] for words in STEPS]
        commands[-1] += ["-o", str(folder / f"pipe-{photo.name}")]
        started: list[subprocess.Popen[bytes]] = []
        for words in commands:
            taken = started[-1].stdout if started else subprocess.PIPE
            kept = subprocess.PIPE if len(started) < len(commands) - 1 else None
            started.append(subprocess.Popen(words, stdin=taken, stdout=kept))
        assert started[0].stdin is not None
        started[0].stdin.write(data)
        started[0].stdin.close()
        assert [process.wait() for process in started] == [0] * len(STEPS)


def run(words: list[str]) -> None:
    subprocess.run([*IMGAN, *words, "--quiet"], check=True)


class Spent(NamedTuple):
    """Seconds on the clock, and of the processors, which others slow down less."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.processor:.1f} s of CPU)"

    def over(self, other: Spent) -> str:
        ratios = self.clock / other.clock, self.processor / other.processor
        return "ratio {:.2f} ({:.2f} of CPU)".format(*ratios)


def timed(work: Callable[[], None]) -> Spent:
    clock, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return Spent(time.perf_counter() - clock, spent)


if __name__ == "__main__":
    main(*(float(word) if "." in word else int(word) for word in sys.argv[1:]))
