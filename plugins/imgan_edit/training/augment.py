"""Faces as another camera might have caught them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

SHIFT, ZOOM, TURN = 0.03, 0.05, 0.05
"""How far a picture is moved (of its side), scaled, and turned (radians), at most."""

BRIGHTNESS, CONTRAST, TINT = 0.08, 0.1, 0.03
"""How far a picture is relit at most: added, multiplied, and added to each channel."""

CLOSEST = 0.15
"""Of a picture from which a thing takes its texture at least this part of a side is seen."""


def augmented(faces: Tensor) -> Tensor:
    """Faces [N, 3, S, S] in -1..1, each moved, scaled, turned and relit a little.

    [N, 3k, S, S] are k pictures of each face, to which the same is done.
    """

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
    tint = draw(TINT, 3, 1, 1).repeat(1, faces.shape[1] // 3, 1, 1)
    return (relit + tint).clamp(-1, 1)


def occluded(faces: Tensor, part: float) -> tuple[Tensor, Tensor]:
    """Faces [N, 3, S, S], a part of them with an occluder, and where: [N, 1, S, S] in 0..1.

    An ellipse or a box with round corners, of any size and turn, so large at times that its edge is
    nearly straight; its edge is sharp or soft. It has a colour, with texture, coarse and fine, or
    none, or it is a piece of another face or what is behind that: skin, hair and cloth.
    """
    count, size = len(faces), faces.shape[-1]

    def draw(least: float, most: float, *shape: int) -> Tensor:
        return least + (most - least) * torch.rand(len(faces), *shape, device=faces.device)

    def texture(side: int) -> Tensor:
        return interpolate(draw(-1, 1, 1, side, side), size, mode="bilinear")

    span = torch.linspace(-1, 1, size, device=faces.device)
    points = torch.stack(torch.meshgrid(span, span, indexing="xy"))
    along, across = _turned(points - draw(-1.2, 1.2, 2, 1, 1), draw(0, math.pi, 1, 1))
    power = 2 + 6 * (draw(0, 1, 1, 1) < 0.5)
    reach = (along / draw(0.2, 1.4, 1, 1)).abs() ** power
    reach = reach + (across / draw(0.2, 1.4, 1, 1)).abs() ** power
    there = torch.rand(count, 1, 1, device=faces.device) < part
    cover = (there * (draw(10, 100, 1, 1) * (1 - reach)).sigmoid())[:, None]
    # Few things are as colourful as a cube of colours.
    colour = draw(-1, 1, 1, 1, 1) + draw(0, 1, 1, 1, 1) * draw(-0.7, 0.7, 3, 1, 1)
    for side in (3, 12, size):
        colour = colour + draw(-0.3, 0.3, 1, 1, 1) * (draw(0, 1, 1, 1, 1) < 0.5) * texture(side)
    closer = _turned(points * draw(CLOSEST, 1, 1, 1, 1), draw(-math.pi, math.pi, 1, 1))
    grid = torch.stack(closer, 3) + draw(-0.8, 0.8, 1, 1, 2)
    piece = grid_sample(faces.roll(1, 0), grid, "bilinear", "reflection", align_corners=False)
    thing = torch.where(draw(0, 1, 1, 1, 1) < 0.5, piece, colour.clamp(-1, 1))
    return faces + cover * (thing - faces), cover


def _turned(points: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """x and y [N, S, S] of points [N, 2, S, S], turned by angles [N, 1, 1]."""
    x, y = points[:, 0], points[:, 1]
    return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
