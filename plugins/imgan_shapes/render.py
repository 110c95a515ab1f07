"""Shaded views of shapes without a display: points in a z-buffer. Needs the extra `shapes`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import ndimage

from imgan.errors import Failure
from imgan.images.sheets import sheet
from imgan_shapes.grids import Grid
from imgan_shapes.meshes import barycentric, surface

FINER = 2
"""Each pixel is the mean of this many squared: smooth outlines."""
CLAY = np.array([0.80, 0.66, 0.52])
PAPER = np.array([0.97, 0.97, 0.96])
LIGHTS = (((-0.55, -0.5, 0.9), 0.62), ((-0.4, 0.9, 0.25), 0.22))
"""Directions (front, left, up of the shape's own) and strengths: a key light and a fill light."""
AMBIENT = 0.34
ZOOM = 0.62
"""Of a picture's side, what a length of 1 takes: a shape's longest side."""


@dataclass(frozen=True)
class Clay:
    """A shape ready to be looked at: points on its surface, close enough to hide each other."""

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    shades: NDArray[np.float32]
    """How bright each point is, [N]: it turns with the shape, as a sculpture on a turntable."""
    footprint: Grid
    """How much stands over each place of the floor, [n, n] in 0..1, blurred."""
    floor: float

    @classmethod
    def of(cls, occupancy: Grid, threshold: float, side: int) -> Clay:
        """Raises Failure when no cell is at the threshold. `side` is of the pictures, in pixels."""
        mesh = surface(occupancy, threshold)
        edge = np.linalg.norm(np.diff(mesh.triangles[:, [0, 1, 2, 0]], axis=1), axis=2).max()
        weights = barycentric(int(np.ceil(edge * ZOOM * side * FINER))).astype(np.float32)
        normals = np.asarray(mesh.vertex_normals, np.float32)
        shades = _shades(mesh, normals, occupancy)

        def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
            spread = np.einsum("wk,nk...->nw...", weights, values[mesh.faces])
            return spread.reshape(-1, *values.shape[1:])

        vertices = np.asarray(mesh.vertices, np.float32)
        height = (1 - np.arange(len(occupancy)) / len(occupancy)) ** 6
        lowest = int(np.argmax((occupancy >= threshold).any((0, 1))))
        near = np.roll(height, lowest) * (np.arange(len(occupancy)) >= lowest)
        footprint = ndimage.gaussian_filter((occupancy * near).max(2), 2.5)
        return cls(
            spread(vertices),
            spread(normals),
            spread(shades),
            footprint,
            float(vertices[:, 2].min()),
        )


def view(
    clay: Clay, side: int, azimuth: float = 35.0, elevation: float = 22.0
) -> NDArray[np.uint8]:
    """A picture [side, side, 3] from `azimuth` degrees left of the front, without perspective."""
    fine = side * FINER
    right, up, back = _camera(azimuth, elevation)
    picture = _floor(clay, fine, right, up, back)
    facing = clay.normals @ back > 0
    points, shades = clay.points[facing], clay.shades[facing]
    column = (points @ right * ZOOM * fine + fine / 2).astype(np.int32)
    row = (fine / 2 - points @ up * ZOOM * fine).astype(np.int32)
    place = np.clip(row, 0, fine - 1) * fine + np.clip(column, 0, fine - 1)
    # The last one written stays: the nearest.
    order = np.argsort(points @ back)
    picture.reshape(-1, 3)[place[order]] = shades[order, None] * CLAY
    coarse = picture.reshape(side, FINER, side, FINER, 3).mean((1, 3))
    return (np.clip(coarse, 0, 1) ** (1 / 1.15) * 255).round().astype(np.uint8)


def views(
    grids: Iterable[Grid], side: int, threshold: float = 0.5, azimuth: float = 35.0
) -> NDArray[np.uint8]:
    """Shapes side by side on one sheet, row by row; an empty one is an empty place."""
    return _sheet([_clay(grid, threshold, side) for grid in grids], side, azimuth)


def turntable(
    grids: Iterable[Grid], side: int, threshold: float, frames: int
) -> list[NDArray[np.uint8]]:
    """Such sheets from all around."""
    clays = [_clay(grid, threshold, side) for grid in grids]
    return [_sheet(clays, side, 35 + 360 * k / frames) for k in range(frames)]


def _clay(grid: Grid, threshold: float, side: int) -> Clay | None:
    try:
        return Clay.of(grid, threshold, side)
    except Failure:
        return None


def _sheet(clays: Sequence[Clay | None], side: int, azimuth: float) -> NDArray[np.uint8]:
    empty = np.full((side, side, 3), 247, np.uint8)
    pictures = [view(clay, side, azimuth) if clay else empty for clay in clays]
    return sheet(np.stack(pictures), math.ceil(math.sqrt(len(pictures))))


def _camera(azimuth: float, elevation: float) -> NDArray[np.float32]:
    """Unit vectors to the right, up, and towards who looks. The front of a shape is at -x."""
    a, e = np.deg2rad([azimuth, elevation])
    back = np.array([-np.cos(a) * np.cos(e), -np.sin(a) * np.cos(e), np.sin(e)])
    right = np.array([np.sin(a), -np.cos(a), 0.0])
    return np.stack([right, np.cross(back, right), back]).astype(np.float32)


def _shades(
    mesh: trimesh.Trimesh, normals: NDArray[np.float32], occupancy: Grid
) -> NDArray[np.float32]:
    """Lambert's law for the lights, and less where cells near by hide the sky (ambient
    occlusion: how full the grid is, blurred, a little way off the surface)."""
    shades = np.full(len(normals), AMBIENT, np.float32)
    for direction, strength in LIGHTS:
        light = np.array(direction) / np.linalg.norm(direction)
        shades += strength * np.clip(normals @ light, 0, None).astype(np.float32)
    n = len(occupancy)
    open_sky = np.ones(len(normals), np.float32)
    for blur, away in ((1.5, 2.0), (4.0, 5.0)):
        cells = mesh.vertices * (3 / 4 * n) + (n - 1) / 2 + normals * away
        hidden = ndimage.map_coordinates(ndimage.gaussian_filter(occupancy, blur), cells.T, order=1)
        open_sky *= 1 - 0.75 * np.clip(hidden, 0, 1)
    return shades * open_sky


def _floor(
    clay: Clay,
    fine: int,
    right: NDArray[np.float32],
    up: NDArray[np.float32],
    back: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Paper, darker where the shape stands."""
    steps = (np.arange(fine) + 0.5 - fine / 2) / (ZOOM * fine)
    across, down = np.meshgrid(steps, -steps)
    start = across[..., None] * right + down[..., None] * up
    reach = (clay.floor - start[..., 2]) / back[2]
    ground = start + reach[..., None] * back
    n = len(clay.footprint)
    cells = ground[..., :2] * (3 / 4 * n) + (n - 1) / 2
    shadow = ndimage.map_coordinates(clay.footprint, np.moveaxis(cells, -1, 0), order=1)
    return PAPER * (1 - 0.55 * np.clip(shadow, 0, 1)[..., None])
