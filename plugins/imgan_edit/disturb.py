"""Faces as another camera might have caught them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT, ZOOM, TURN = 0.03, 0.05, 0.05
"""How far a picture is moved (of its side), scaled, and turned (radians), at most."""

BRIGHTNESS, CONTRAST, TINT = 0.08, 0.1, 0.03
"""How far a picture is relit at most: added, multiplied, and added to each channel."""

COVERED = 0.25
"""The part of the faces that have something before them."""


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


def covered(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Faces [N, 3, S, S], something before some of them, and where that is: [N, 1, S, S] in 0..1.

    An ellipse of any size and turn, so large at times that its edge is nearly straight; it has a
    colour, and as much as may be of another face upside down: skin and hair, as hands have.
    """
    count, size = len(faces), faces.shape[-1]

    def draw(least: float, most: float, *shape: int) -> Tensor:
        return least + (most - least) * torch.rand(len(faces), *shape, device=faces.device)

    span = torch.linspace(-1, 1, size, device=faces.device)
    points = torch.stack(torch.meshgrid(span, span, indexing="xy"))
    away = points - draw(-1.3, 1.3, 2, 1, 1)
    turn = draw(0, math.pi, 1, 1)
    along = away[:, 0] * turn.cos() + away[:, 1] * turn.sin()
    across = away[:, 1] * turn.cos() - away[:, 0] * turn.sin()
    ellipse = (along / draw(0.3, 1.2, 1, 1)).square() + (across / draw(0.3, 1.2, 1, 1)).square()
    there = torch.rand(count, 1, 1, device=faces.device) < COVERED
    cover = (there * (10 * (1 - ellipse)).sigmoid())[:, None]
    share = draw(0, 1, 1, 1, 1)
    thing = (1 - share) * draw(-1, 1, 3, 1, 1) + share * faces.roll(1, 0).flip(2)
    return faces + cover * (thing - faces), cover
