"""Surfaces of grids, grids of surfaces, and the files of both. Needs the extra `shapes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from imgan.errors import Failure
from imgan_shapes.grids import Grid

MOST_FACES = 2_000_000
"""Triangles of a mesh that is read."""
Y_UP = np.array([[0, -1, 0], [0, 0, 1], [-1, 0, 0]], np.float64)
"""From z up to y up and the front to +z, as glTF and most .obj have it."""


def surface(occupancy: Grid, threshold: float = 0.5) -> trimesh.Trimesh:
    """The closed surface around cells at or above the threshold, by marching cubes.

    z is up, the middle of the grid the origin; the longest side of a shape in its frame is 1.
    Raises Failure when no cell is.
    """
    # An empty border closes what touches the sides of the grid.
    field = np.pad(occupancy, 1)
    if not (field.min() < threshold < field.max()):
        raise Failure(
            f"nothing is occupied at a threshold of {threshold:g}; the most is {field.max():.2f}"
        )
    # A cell that is just at the level would make triangles without an area.
    field[field == threshold] += 1e-6
    vertices, faces, _, _ = marching_cubes(field, threshold)
    side = len(occupancy)
    vertices = (vertices - 1 - (side - 1) / 2) * (4 / 3 / side)
    # Lewiner's triangles face inwards for a field that is larger inside.
    return trimesh.Trimesh(vertices, faces[:, ::-1], process=False)


def write_mesh(mesh: trimesh.Trimesh, file: BinaryIO, suffix: str) -> None:
    """Write .glb and .obj with y up, .stl and .ply with z up, as programs expect them."""
    if suffix in (".glb", ".obj"):
        mesh = trimesh.Trimesh(mesh.vertices @ Y_UP.T, mesh.faces, process=False)
    content: Any = mesh.export(file_type=suffix[1:])
    file.write(content.encode() if isinstance(content, str) else content)


def read_mesh(file: Path) -> trimesh.Trimesh:
    """A mesh with z up, all parts of a scene in one.

    Raises Failure when it cannot be read, has no triangles, or too many.
    """
    try:
        mesh = trimesh.load(file, force="mesh", process=True)
    except Exception as error:  # trimesh passes on whatever its readers raise
        message = " ".join(str(error).split()) or type(error).__name__
        raise Failure(f"{file} cannot be read: {message}") from None
    if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
        raise Failure(f"{file}: an empty mesh, there is no triangle in it")
    if len(mesh.faces) > MOST_FACES:
        raise Failure(f"{file}: {len(mesh.faces):,} triangles; at most {MOST_FACES:,} are read")
    if not np.isfinite(mesh.vertices).all() or not mesh.extents.max() > 0:
        raise Failure(f"{file}: a mesh without an extent, or with vertices that are not numbers")
    if file.suffix.lower() in (".glb", ".obj"):
        mesh.vertices = mesh.vertices @ Y_UP
    return mesh


def voxelize_file(file: Path, side: int) -> NDArray[np.bool_]:
    """The cells that a mesh file occupies, its longest side `side` cells long."""
    return voxelize(read_mesh(file), side)


def voxelize(mesh: trimesh.Trimesh, side: int) -> NDArray[np.bool_]:
    """The cells that a mesh's surface passes through, and all that these enclose, as [a, b, c]
    with the largest of them `side`.

    What is enclosed is what cannot be reached from outside: so a mesh need not be closed, but
    through a gap of more than a cell it is hollow.
    """
    low, high = mesh.bounds
    pitch = (high - low).max() / side
    shape = np.maximum(1, np.ceil((high - low) / pitch - 1e-6)).astype(int)
    occupied = np.zeros(shape, bool)
    triangles = (mesh.triangles - low) / pitch
    # So many steps along each side of a triangle that no cell is stepped over.
    edges = np.linalg.norm(np.roll(triangles, 1, 1) - triangles, axis=2).max(1)
    steps = np.maximum(1, np.ceil(edges * 2)).astype(int)
    for count in np.unique(steps):
        weights = barycentric(int(count))
        chosen = triangles[steps == count]
        for piece in np.array_split(chosen, max(1, len(chosen) * len(weights) // 2_000_000)):
            points = np.einsum("wk,nkd->nwd", weights, piece).reshape(-1, 3)
            cells = np.clip(np.floor(points).astype(int), 0, shape - 1)
            occupied[tuple(cells.T)] = True
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(occupied)
    return filled


def barycentric(steps: int) -> NDArray[np.float64]:
    """Points spread over a triangle, `steps` along each side: weights [(n+1)(n+2)/2, 3]."""
    a, b = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
    inside = a + b <= steps
    first, second = a[inside] / steps, b[inside] / steps
    return np.stack([first, second, 1 - first - second], 1)


def openings(mesh: trimesh.Trimesh) -> int:
    """Edges that belong to one triangle alone: none in a closed mesh."""
    _, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    return int((counts == 1).sum())
