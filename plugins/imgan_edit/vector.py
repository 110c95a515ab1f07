"""The engine `vector`: a face is encoded, moved along attribute vectors, decoded, and compared.

What goes back into the photo is the difference between the decoded face before and after the move,
never the decoded face itself: what the networks cannot reconstruct stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.session import Session

SIZE = 64

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Vector:
    """An editor of faces [N, size, size, 3]."""

    session: Session
    size: int = SIZE

    def __call__(self, crops: Bytes, change: Floats) -> tuple[Floats, Floats]:
        """What a change [N, 40] moves, [N, size, size, 3] in 255ths, and the masks, which say where
        it counts: [N, size, size] in 0..1."""
        masks = np.broadcast_to(soft_mask(self.size), crops.shape[:3])
        return difference(self.session, crops, change), masks


def encode(crops: Bytes | Floats) -> Floats:
    """Faces [N, 64, 64, 3] in 0..255 as the networks see them: [N, 3, 64, 64] in -1..1."""
    return crops.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def difference(session: Session, crops: Bytes, change: Floats) -> Floats:
    """What a change [N, 40] moves in faces [N, 64, 64, 3]: [N, 64, 64, 3] in 255ths.

    The network takes `face` [N, 3, 64, 64] in -1..1 and `change`, and gives `reconstruction` and
    `edited` like `face`.
    """
    result = session.run_many({"face": encode(crops), "change": change})
    moved: Floats = (result["edited"] - result["reconstruction"]) * 127.5
    return moved.transpose(0, 2, 3, 1)


def soft_mask(size: int) -> Floats:
    """Where an edit counts, [size, size] in 0..1: a rounded square that fades to 0 at the border.

    With r = (x^4 + y^4)^(1/4), which is 1 on the border's pixels and above it in the corners, the
    weight is 1 up to r = 0.65 and then a smooth step.
    """
    side = np.linspace(-1, 1, size, dtype=np.float32) ** 4
    radius = (side[:, None] + side) ** 0.25
    t = ((1 - radius) / 0.35).clip(0, 1)
    return t * t * (3 - 2 * t)
