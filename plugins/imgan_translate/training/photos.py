"""Pictures for training translators, held in memory as bytes, and crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.training.data import load_rgb, to_tensor
from imgan_translate import TranslateSettings


def read(folder: Path, side: int) -> list[Bytes]:
    """The pictures of a folder, their shorter sides `side`. Raises Failure when there is none."""
    if not folder.is_dir():
        raise Failure(f"{folder}: there is no such folder")
    return [np.asarray(shortened(load_rgb(path), side)) for path in pictures(folder)]


def shortened(image: Image.Image, side: int) -> Image.Image:
    """The picture with its shorter side `side`, antialiased."""
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def cropped(
    photos: Sequence[Sequence[Bytes]], settings: TranslateSettings, rng: Generator
) -> tuple[Tensor, ...]:
    """Random crops, mirrored or not, as [N, 3, crop, crop] in -1..1.

    `photos` are N groups of pictures of one size, such as a pair, which are cropped alike; of each
    group the first goes to the first tensor, and so on.
    """
    side = settings.crop
    crops: list[list[Bytes]] = []
    for group in photos:
        height, width = group[0].shape[:2]
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        turn = -1 if rng.random() < 0.5 else 1
        crops.append([p[top : top + side, left : left + side][:, ::turn] for p in group])
    return tuple(to_tensor(column) * 2 - 1 for column in zip(*crops, strict=True))


def rows(*columns: Tensor) -> Tensor:
    """A sheet [3, H, W] in 0..1 of columns of pictures [N, 3, S, S] in -1..1."""
    sheet = torch.cat([column.float().cpu() for column in columns], 3) / 2 + 0.5
    return torch.cat(list(sheet), 1)
