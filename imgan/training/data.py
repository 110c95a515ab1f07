"""Pictures for training, held in memory as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imgan.images import open_picture, to_srgb
from imgan.images.tensors import Bytes


def load_rgb(path: Path) -> Image.Image:
    """One picture, upright, as sRGB. Raises Failure when it cannot be read."""
    picture = open_picture(path)
    return Image.fromarray(to_srgb(picture.pixels, picture.source))


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


def to_tensor(pictures: Sequence[Bytes]) -> Tensor:
    """Equal-sized [H, W, 3] byte pictures as [N, 3, H, W] in 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
