"""How much the attributes that few faces have count for in a loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def rarity(labels: Floats) -> Floats:
    """By how much having an attribute counts for more than not having it, 1/4 to 4: [40], the root
    of how many of the faces [N, 40] lack it for one that has it."""
    share = labels.mean(0).clip(1e-3, 1 - 1e-3)
    return np.sqrt((1 - share) / share).clip(0.25, 4).astype(np.float32)
