"""`imgan upscale x4 DIR` against a bare loop of `session.run`: how much of it is the network's.

    python benchmarks/batch.py [COUNT [SIDE]]

COUNT (default 24) JPEG files of SIDE x SIDE pixels (default 256). The loop has its pictures in
memory and throws its results away. The command is a whole process: it starts, loads the network,
decodes, locks the colours, encodes and remembers what it did. Aim: at least 0.9.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from network import NAME, compact, medians
from PIL import Image

from imgan.images.tensors import to_planes
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session


def main(count: int = 24, side: int = 256) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["IMGAN_HOME"] = os.environ["XDG_STATE_HOME"] = str(folder / "home")
        _, path = compact(folder)
        store.add(path, Description(name=NAME, operation="upscale"))
        session = open_session(path, "cpu")
        photos = folder / "photos"
        photos.mkdir()
        arrays = [photo(seed, side, photos / f"{seed}.jpg") for seed in range(count)]

        def loop() -> None:
            for array in arrays:
                session.run(array)

        words = ["upscale", "x4", str(photos), "--model", NAME, "--device", "cpu", "--overwrite"]

        def command() -> None:
            subprocess.run([sys.executable, "-m", "imgan.cli", *words], check=True)

        bare, whole = medians(loop, command, runs=3)
    print(f"{count} pictures of {side} x {side}: bare {bare:.2f} s, imgan {whole:.2f} s")
    print(f"ratio: {bare / whole:.2f} (aim: at least 0.9)")


def photo(seed: int, side: int, path: Path) -> np.ndarray:
    """Write a picture as smooth and as noisy as photos are; returns it as the network's input."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels = (pixels + rng.normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    return to_planes(pixels)[None]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
