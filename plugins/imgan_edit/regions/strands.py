"""Hair, drawn strand by strand: curves that become points, and points that become pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.images.fields import Floats

LAYERS = 6
"""Single hairs lie on each other in so many layers; within one they mix."""


def drawn(
    places: Floats,
    colours: Floats,
    weights: Floats,
    layer: NDArray[np.integer],
    height: int,
    width: int,
) -> Floats:
    """Strands over each other, [height, width, 4]: colour times coverage, and coverage.

    `places` [n, k, 2] are points x, y along n strands, at most a pixel apart; `colours` [n, k, 3];
    `weights` [n, k]: how much of a pixel a point covers; `layer` [n]: from 0 on, the last is in
    front. Every point is shared by the four pixels around it, in proportion, so strands are
    antialiased; where those of a layer meet, coverage is 1 - exp(-sum), as of many thin things.
    """
    made = np.zeros((height, width, 4), np.float32)
    # Only the box that strands reach.
    reached = places[np.isfinite(places).all(-1) & (weights > 0)]
    if not len(reached):
        return made
    (left, top), (right, bottom) = np.floor(reached.min(0)) - 1, np.ceil(reached.max(0)) + 1
    left, right = (int(np.clip(x, 0, width)) for x in (left, right))
    top, bottom = (int(np.clip(y, 0, height)) for y in (top, bottom))
    places, height, width = places - np.array([left, top], np.float32), bottom - top, right - left
    total = np.zeros((height * width, 4), np.float32)
    for number in range(int(layer.max(initial=-1)) + 1):
        chosen = layer == number
        if not chosen.any():
            continue
        at = places[chosen].reshape(-1, 2) - 0.5
        colour, weight = colours[chosen].reshape(-1, 3), weights[chosen].reshape(-1)
        corner = np.floor(at).astype(np.int32)
        part = (at - corner).astype(np.float32)
        sums = np.zeros((height * width, 4))
        for dx in (0, 1):
            for dy in (0, 1):
                column, row = corner[:, 0] + dx, corner[:, 1] + dy
                share = weight * np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                ok = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (share > 0)
                index, kept = row[ok] * width + column[ok], share[ok]
                sums[:, 3] += np.bincount(index, kept, height * width)
                for channel in range(3):
                    sums[:, channel] += np.bincount(
                        index, kept * colour[ok, channel], height * width
                    )
        cover = 1 - np.exp(-sums[:, 3])
        mean = sums[:, :3] / np.maximum(sums[:, 3:], 1e-6)
        total *= (1 - cover)[:, None].astype(np.float32)
        total += np.concatenate([mean * cover[:, None], cover[:, None]], 1).astype(np.float32)
    made[top:bottom, left:right] = total.reshape(height, width, 4)
    return made
