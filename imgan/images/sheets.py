"""Many pictures on one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures [N, h, w, 3] as one, row by row; what is left over is white."""
    rows = math.ceil(len(pictures) / columns)
    _, height, width, _ = pictures.shape
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[: len(pictures)] = pictures
    cells = cells.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * height, columns * width, 3)
