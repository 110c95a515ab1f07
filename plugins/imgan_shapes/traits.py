"""What cards say of generators of shapes."""

from __future__ import annotations

from dataclasses import dataclass

from imgan.models.traits import Traits
from imgan_shapes import Mirror


@dataclass(frozen=True)
class ShapeTraits(Traits):
    """Of a network that makes occupancy of 200 numbers."""

    size: int = 64
    """Cells a side in which it learned; what it makes is enlarged."""
    mirror: Mirror = Mirror.none
    kind: str | None = None
    """Of the shapes, such as chair."""
    pose: int = 0
    """Which of the poses of its data it learned; 0: all."""
    threshold: float = 0.5
    """Occupancy above which a cell is taken for full."""
    truncation: float = 1
    """What its latents are multiplied by."""
