"""Aligned faces for training: CelebA's layout, or any folder of aligned faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes, read_faces


class Faces:
    """Square faces in memory, with their attributes where the folder has CelebA's list.

    `pixels` is [N, size, size, 3] bytes; `labels` is [N, 40] with 1 for "has it" and 0 for "has
    not", or None; `names` are those of the attributes. Of CelebA, the last 500 faces by file name
    are held out, or `held_out`.

    Raises Failure when no face is left, or one has no line in the list.
    """

    def __init__(self, folder: Path, size: int, held_out: int | None = None) -> None:
        self.folder = folder
        paths = pictures(folder)
        listing = folder / ATTRIBUTES_FILE
        if held_out is None:
            held_out = HELD_OUT if listing.exists() else 0
        paths = paths[: max(0, len(paths) - held_out)]
        if not paths:
            raise Failure(f"{folder}: {held_out} faces are held out and none is left to train on")
        self.pixels: Bytes = read_faces(paths, size)
        self.labels: NDArray[np.float32] | None = None
        self.names: list[str] = []
        if listing.exists():
            self.names, table = read_attributes(listing)
            try:
                self.labels = np.stack([table[path.name] for path in paths])
            except KeyError as missing:
                raise Failure(f"{listing}: no line for {missing.args[0]}") from None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: NDArray[np.int64], mirror: NDArray[np.bool_] | None = None) -> Tensor:
        """Pictures as [N, 3, size, size] float in -1..1, mirrored where `mirror` says so."""
        return centred(taken(self.pixels, indices, mirror))


def taken(
    pixels: Bytes, indices: NDArray[np.int64], mirror: NDArray[np.bool_] | None = None
) -> Tensor:
    """Some of the faces [N, H, W, 3] as [n, 3, H, W], in bytes, mirrored where `mirror` says so."""
    chosen = pixels[indices]
    if mirror is not None:
        chosen[mirror] = chosen[mirror, :, ::-1]
    return torch.from_numpy(chosen).permute(0, 3, 1, 2)


def centred(faces: Tensor) -> Tensor:
    """Bytes as float in -1..1."""
    return faces.float() / 127.5 - 1
