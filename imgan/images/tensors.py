"""Pictures as networks take and give them: planes in 0..1 or, as GANs want them, in -1..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

Pixels = NDArray[Any]
"""[H, W, 3], uint8 or uint16."""

Planes = NDArray[np.float32]
"""[3, H, W], 0..1; a network may overshoot."""


def encode(pictures: Bytes) -> Floats:
    """[N, H, W, 3] in 0..255 to [N, 3, H, W] in -1..1."""
    return pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def decode(planes: Floats) -> Bytes:
    """And back, rounded; what lies beyond -1..1 is cut off."""
    return ((planes.transpose(0, 2, 3, 1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)


def to_planes(pixels: Pixels) -> Planes:
    """Integer pixels [H, W, 3] as [3, H, W] in 0..1."""
    step = np.float32(1 / np.iinfo(pixels.dtype).max)
    return np.multiply(pixels.transpose(2, 0, 1), step, dtype=np.float32, order="C")


def quantise(planes: Planes, result: Pixels) -> None:
    """Round and clip [3, H, W] in 0..1 into integer pixels [H, W, 3]; overwrites `planes`."""
    largest = np.iinfo(result.dtype).max
    for channel, plane in enumerate(planes):  # one at a time stays in the processor's cache
        plane *= largest
        plane += 0.5
        np.clip(plane, 0, largest, out=plane)
        result[..., channel] = plane
