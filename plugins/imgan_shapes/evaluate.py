"""`imgan evaluate shapes`: how whole, how varied and how new generated shapes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan_shapes.commands import Making
from imgan_shapes.grids import FRAME, Shapes, largest_part, read_shapes
from imgan_shapes.latents import drawn
from imgan_shapes.run import Generator
from imgan_shapes.traits import ShapeTraits

COUNT = 256
SEED = 0
ONE_PIECE = 0.95
"""The share of its volume that the largest piece of a shape in one piece holds."""
HEADER = ("measure", "generated", "training shapes")
Cells = NDArray[np.bool_]


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and rows: figures of 256 generated shapes, and of as many training shapes drawn
    from `data`, in the kind and pose that the card names.

    Coverage and best IoU ask how near the shapes are to those held out (each held-out shape's
    nearest one; Achlioptas et al. 2018, with IoU for the distance); the last row, how near the
    generated ones are to any training shape, and how near those held out are.

    Raises Misuse when the model serves another operation, Failure when there is no shape.
    """
    generator = Generator.open(Making(model=model, device=device))
    traits = ShapeTraits.of(generator.card)
    shapes = read_shapes(data, FRAME, traits.kind, traits.pose or None)
    trained, held_out = cells(shapes.part(held_out=False)), cells(shapes.part(held_out=True))
    chosen = np.random.default_rng(SEED).permutation(len(trained))[:COUNT]
    made = np.stack([generator.shape(latent).cells for latent in drawn(SEED, COUNT)])
    resample = trained[chosen]
    both = (made, resample)
    near = [overlaps(held_out, some) for some in both]
    rows = [
        ("shapes", [f"{len(some)}" for some in both]),
        ("in one piece", [f"{np.mean([whole(one) for one in some]):.3f}" for some in both]),
        ("occupied", [f"{some.mean():.4f}" for some in both]),
        (f"coverage of {len(held_out)} held out", [f"{coverage(one):.3f}" for one in near]),
        ("best IoU with those held out", [f"{one.max(1).mean():.3f}" for one in near]),
        (
            "best IoU with training shapes",
            [f"{overlaps(made, trained).max(1).mean():.3f}",
             f"{overlaps(held_out, trained).max(1).mean():.3f} (held out)"],
        ),
    ]  # fmt: skip
    return HEADER, [(name, *figures) for name, figures in rows]


def cells(shapes: Shapes) -> Cells:
    """What is occupied, [N, n, n, n]."""
    return shapes.grids >= 128


def whole(occupied: Cells) -> bool:
    """Whether the largest piece holds 95 % of the volume; an empty grid is no shape."""
    volume = occupied.sum()
    return bool(volume) and bool(largest_part(occupied).sum() >= ONE_PIECE * volume)


def overlaps(some: Cells, others: Cells) -> NDArray[np.float32]:
    """Intersection over union of each with each, [len(some), len(others)]."""
    a, b = (cells.reshape(len(cells), -1).astype(np.float32) for cells in (some, others))
    both = a @ b.T
    return both / np.maximum(a.sum(1)[:, None] + b.sum(1) - both, 1)


def coverage(near: NDArray[np.float32]) -> float:
    """The share of held-out shapes (rows) that are the nearest one of some shape (columns)."""
    return len(set(near.argmax(0).tolist())) / len(near)
