"""`imgan edit` of a 12-megapixel photo with one face against decoding and encoding it alone.

    python benchmarks/edit.py [COUNT]

JPEG files of 4000 x 3000 pixels and 3.5 MB, as noisy as photos are, on the CPU. The command is a
whole process with COUNT photos (default 9) and with one: the difference is what a photo costs from
the second one on. The other side opens and saves a photo as imgan does, and does nothing in
between. Aim: at most 1.5 times as long.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from network import medians
from PIL import Image

from imgan.images import open_picture, save_picture

WIDTH, HEIGHT = 4000, 3000


def main(count: int = 9) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        first, photos = folder / "photo.jpg", folder / "photos"
        photo(first)
        photos.mkdir()
        for number in range(count):
            shutil.copy(first, photos / f"{number}.jpg")

        def bare() -> None:
            save_picture(open_picture(first), folder / "bare.jpg", overwrite=True)

        def command(source: Path) -> None:
            words = ["edit", str(source), "--add", "black-hair", "--device", "cpu", "--overwrite"]
            subprocess.run([sys.executable, "-m", "imgan.cli", *words], check=True)

        alone, one, many = medians(bare, lambda: command(first), lambda: command(photos), runs=5)
        edited = (many - one) / (count - 1)
    print(
        f"{WIDTH} x {HEIGHT} pixels: decode and encode {alone:.3f} s, edit {edited:.3f} s a photo"
    )
    print(f"ratio: {edited / alone:.2f} (aim: at most 1.5)")


def photo(path: Path) -> None:
    """Write the astronaut, enlarged, beside grey."""
    astronaut = Image.fromarray(skimage.data.astronaut())
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (90, 100, 110))
    canvas.paste(astronaut.resize((HEIGHT, HEIGHT), Image.Resampling.LANCZOS), (500, 0))
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    noisy = (np.asarray(canvas) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=95)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
