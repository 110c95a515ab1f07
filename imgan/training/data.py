"""Pictures for training, held in memory as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
Bytes = NDArray[np.uint8]


def pictures(folder: Path) -> list[Path]:
    """Every picture under a folder, sorted by path. Raises Failure when there is none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise Failure(f"{folder}: no pictures in it; name a folder of JPEGs or PNGs with --data")
    return found


def load_rgb(path: Path) -> Image.Image:
    """One picture as RGB. Raises Failure when it cannot be read."""
    try:
        return Image.open(path).convert("RGB")
    except OSError as error:
        raise Failure(f"{path}: not a readable picture ({error}); take it out of --data") from None


def shuffled(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Indices of the batch of one step: every epoch is a fresh permutation of `count` items.

    A function of its arguments alone, which is what makes a resumed run equal to an uncut one.
    """
    first = step * batch
    epochs = range(first // count, (first + batch - 1) // count + 1)
    order = np.concatenate([np.random.default_rng([seed, e]).permutation(count) for e in epochs])
    offset = first - epochs[0] * count
    return order[offset : offset + batch]


def stack(images: Sequence[Image.Image]) -> Bytes:
    """Equal-sized RGB pictures as [N, H, W, 3] bytes."""
    return np.stack([np.asarray(image) for image in images])
