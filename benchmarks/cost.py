"""What 1,000 pictures cost by each operation, in hours of one core: the tables of docs/scale.md.

    python benchmarks/cost.py [COUNT [OPERATION]]

A portrait of 2 megapixels as JPEG, read, worked on and written by the code of a worker on Ray, on
one core. The first one, with which networks are loaded, is not counted; COUNT (default 2) are.
`upscale`, whose time goes with the pixels, has a sixteenth of them.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # as Ray has it for a worker with one core

import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import skimage.data
from PIL import Image

from imgan.api import operation_of
from imgan.batch.job import Job
from imgan.batch.run import Batch, Listener

WIDTH, HEIGHT = 1632, 1224

OPERATIONS: dict[str, dict[str, Any]] = {
    "adjust --contrast 1.2": {"contrast": 1.2},
    "generate": {},
    "parse --part hair": {"part": "hair"},
    "edit --add smiling": {"add": ["smiling"]},
    "edit --add eyeglasses": {"add": ["eyeglasses"]},
    "translate --to winter": {"to": "winter", "snowfall": 0.5, "experimental": True},
    "translate --to monet": {"to": "monet", "experimental": True},
    "translate --to colour": {"to": "colour", "experimental": True},
    "translate --to sketch": {"to": "sketch"},
    "stylize --style painting.jpg": {"style": "painting.jpg"},
    "inpaint --box 600,800,100,100": {"box": ["600,800,100,100"]},
    "upscale x2": {"scale": 2},
    "upscale x4": {"scale": 4},
}

SMALL, SMALLER = ("upscale x2", "upscale x4"), 4


def main(count: int = 2, only: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["XDG_STATE_HOME"] = folder
        portrait = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 384))
        for number in range(count + 1):
            portrait.resize((WIDTH - number, HEIGHT)).save(f"{number}.jpg", quality=95)
            small = portrait.resize(((WIDTH - number) // SMALLER, HEIGHT // SMALLER))
            small.save(f"small-{number}.jpg", quality=95)
        Image.fromarray(skimage.data.coffee()).save("painting.jpg")
        print("| operation | s a picture | core hours a 1,000 | core hours for ten million |")
        print("|---|---|---|---|")
        for command, options in OPERATIONS.items():
            if not command.startswith(only):
                continue
            try:
                name = "small-" if command in SMALL else ""
                inputs = [f"{name}{number}.jpg" for number in range(count + 1)]
                spent = list(seconds(command.split()[0], options, inputs))
            except Exception as error:
                print(f"| `{command}` | {error} |", flush=True)
                continue
            mean = sum(spent) / count * (SMALLER**2 if command in SMALL else 1)
            hours = mean * 1000 / 3600
            print(f"| `{command}` | {mean:.2f} | {hours:.2f} | {hours * 10_000:,.0f} |", flush=True)


def seconds(name: str, options: dict[str, Any], pictures: list[str]) -> Iterator[float]:
    """Of CPU, for each picture but the first."""
    operation = operation_of(name, options)
    inputs = pictures if operation.inputs else None
    batch = Batch(Job(inputs, output="out/", overwrite=True), operation, Listener())
    tasks = batch.plan.tasks if inputs else batch.plan.tasks * len(pictures)
    for number, task in enumerate(tasks):
        started = time.process_time()
        outcome = batch.do(task)
        if outcome.error:
            raise RuntimeError(outcome.error)
        if number:
            yield time.process_time() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
