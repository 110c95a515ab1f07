"""A colour for each class, as sheets show them."""

from __future__ import annotations

import numpy as np

COLOURS = np.array(
    [
        (0, 0, 0),
        (229, 178, 145),
        (242, 120, 75),
        (60, 220, 220),
        (70, 110, 255),
        (20, 50, 190),
        (150, 80, 20),
        (200, 120, 40),
        (255, 200, 40),
        (230, 160, 0),
        (120, 0, 40),
        (255, 60, 110),
        (200, 20, 70),
        (120, 60, 200),
        (40, 160, 60),
        (250, 250, 120),
        (160, 255, 160),
        (170, 170, 170),
        (70, 110, 90),
    ],
    np.uint8,
)
"""[19, 3] sRGB, in the order of `imgan_parse.CLASSES`."""
