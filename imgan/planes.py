"""Pictures as GANs take and give them: planes in -1..1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def encode(pictures: Bytes) -> Floats:
    """[N, H, W, 3] in 0..255 to [N, 3, H, W] in -1..1."""
    return pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def decode(planes: Floats) -> Bytes:
    """And back, rounded; what lies beyond -1..1 is cut off."""
    return ((planes.transpose(0, 2, 3, 1) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
