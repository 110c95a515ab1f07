"""Aligned faces for training: CelebA's layout, or any folder of aligned faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgan.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes, square
from imgan.errors import Failure
from imgan.images import pictures
from imgan.training.data import Bytes, load_rgb, stack


class Faces:
    """Square faces in memory, with their attributes where the folder has CelebA's list.

    `pixels` is [N, size, size, 3] bytes; `labels` is [N, 40] with 1 for "has it" and 0 for "has
    not", or None. Of CelebA, the last 500 faces by file name are held out.

    Raises Failure when no face is left, or one has no line in the list.
    """

    def __init__(self, folder: Path, size: int) -> None:
        paths = pictures(folder)
        listing = folder / ATTRIBUTES_FILE
        if listing.exists():
            paths = paths[:-HELD_OUT]
        if not paths:
            raise Failure(f"{folder}: {HELD_OUT} faces are held out and none is left to train on")
        self.pixels: Bytes = stack([square(load_rgb(path), size) for path in paths])
        self.labels: NDArray[np.float32] | None = None
        if listing.exists():
            _, table = read_attributes(listing)
            try:
                self.labels = np.stack([table[path.name] for path in paths])
            except KeyError as missing:
                raise Failure(f"{listing}: no line for {missing.args[0]}") from None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: NDArray[np.int64], mirror: NDArray[np.bool_] | None = None) -> Tensor:
        """Pictures as [N, 3, size, size] float in -1..1, mirrored where `mirror` says so."""
        chosen = self.pixels[indices]
        if mirror is not None:
            chosen = np.where(mirror[:, None, None, None], chosen[:, :, ::-1], chosen)
        return centred(chosen)


def centred(pixels: Bytes) -> Tensor:
    """Faces [N, H, W, 3] in bytes as [N, 3, H, W] float in -1..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
