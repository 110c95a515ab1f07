"""`imgan adjust` of a 512-pixel JPEG against a typer app that does the same with Pillow and numpy:
CPU time of whole processes, how many times as much.

python benchmarks/adjust.py [RUNS]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

AIM = 1.4
PLAIN = '''
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

app = typer.Typer()


@app.command()
def adjust(
    source: Path, output: Annotated[Path, typer.Option("-o")], brightness: float = 1.0
) -> None:
    """Make a photo brighter."""
    with Image.open(source) as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    pixels = np.clip(pixels * brightness + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(output, quality=90)


app()
'''


def main(runs: int = 9) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plain.py").write_text(PLAIN)
        coarse = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        photo = folder / "photo.jpg"
        Image.fromarray(coarse).resize((512, 512), Image.Resampling.BICUBIC).save(photo)
        programs = {"plain": [str(folder / "plain.py")], "imgan": ["-m", "imgan.cli", "adjust"]}
        seconds: dict[str, list[float]] = {program: [] for program in programs}
        for run in range(runs + 1):
            for program, words in programs.items():  # in turn: other load slows both down
                target = folder / f"{program}-{run}.jpg"
                options = ["-o", str(target), "--brightness", "1.2"]
                command = [sys.executable, *words, str(photo), *options]
                seconds[program].append(cpu(command, folder))
                assert target.exists()
    plain, imgan = (statistics.median(values[1:]) for values in seconds.values())
    print(f"plain app {plain * 1e3:.0f} ms, imgan {imgan * 1e3:.0f} ms of CPU")
    print(f"ratio: {imgan / plain:.2f} (aim: {AIM} or less)")


def cpu(command: list[str], home: Path) -> float:
    """User and system time of a process, in seconds."""
    environment = {**os.environ, "IMGAN_HOME": str(home), "XDG_STATE_HOME": str(home)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
