"""Faces as another camera might have caught them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT, ZOOM, TURN = 0.03, 0.05, 0.05
"""How far a picture is moved (of its side), scaled, and turned (radians), at most."""

BRIGHTNESS, CONTRAST, TINT = 0.08, 0.1, 0.03
"""How far a picture is relit at most: added, multiplied, and added to each channel."""


def disturbed(faces: Tensor) -> Tensor:
    """Faces [N, 3, S, S] in -1..1, each moved, scaled, turned and relit a little."""

    def draw(most: float, *shape: int) -> Tensor:
        return most * (2 * torch.rand(len(faces), *shape, device=faces.device) - 1)

    zoom, turn = 1 + draw(ZOOM), draw(TURN)
    cosines, sines = zoom * turn.cos(), zoom * turn.sin()
    # In the grid's coordinates the side is 2.
    x, y = 2 * draw(SHIFT), 2 * draw(SHIFT)
    matrices = torch.stack([cosines, -sines, x, sines, cosines, y], 1).view(-1, 2, 3)
    grid = affine_grid(matrices, list(faces.shape), align_corners=False)
    # Bicubic: bilinear would blur, and the editor would never have seen a sharp photo.
    moved = grid_sample(faces, grid, "bicubic", "border", align_corners=False)
    relit = moved * (1 + draw(CONTRAST, 1, 1, 1)) + draw(BRIGHTNESS, 1, 1, 1)
    return (relit + draw(TINT, 3, 1, 1)).clamp(-1, 1)
