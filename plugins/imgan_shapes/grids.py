"""Occupancy grids: read from files, brought into one frame, and which of them are held out.

A grid is indexed [x, y, z] with z up. In its frame a shape lies in the middle, and its longest side
spans three quarters of the grid.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure, reason
from imgan.recipes import resolve

Grid = NDArray[np.float32]
"""Occupancy in 0..1, [n, n, n]."""
Load = Callable[[], NDArray[Any]]

MESHES = (".obj", ".off", ".stl", ".glb", ".ply")
VOXELS = (".binvox", ".mat", ".npy", ".npz")
FRAME = 64
"""Cells along a side of what generators give and commands write."""
LARGEST = 512
"""Cells along a side that are read; a grid of these takes half a gigabyte."""
HELD_OUT = 0.05
"""The share of objects, the last ones by name, that no recipe trains on."""

_POSE = re.compile(r"_(\d{1,2})$")


@dataclass(frozen=True)
class Shapes:
    """Shapes by name, in one frame: occupancy [N, size, size, size] in 0..255."""

    names: list[str]
    grids: NDArray[np.uint8]

    def part(self, held_out: bool) -> Shapes:
        """The last twentieth of the objects by name, at least one, or the others.

        Poses of an object (`chair_7_1`, `chair_7_2`) stay together. Raises Failure when there is
        only one object.
        """
        objects = sorted({_POSE.sub("", name) for name in self.names})
        if len(objects) < 2:
            raise Failure("one object is too few: some are held out, and the others trained on")
        last = set(objects[-max(1, round(len(objects) * HELD_OUT)) :])
        chosen = [i for i, n in enumerate(self.names) if (_POSE.sub("", n) in last) == held_out]
        return Shapes([self.names[i] for i in chosen], self.grids[chosen])


def read_shapes(
    folder: Path, size: int, kind: str | None = None, pose: int | None = None
) -> Shapes:
    """The shapes of a folder and all below it, meshes and grids, without the margin of their frame
    where `size` is 48 or 24 (`framed`).

    `kind` leaves out all whose name (or path in the folder) does not begin with it. Of an object in
    several poses, `OBJECT_1`, `OBJECT_2` and on, `pose` takes one.

    Raises Failure when a file cannot be read, or nothing is left.
    """
    names, grids = [], []
    span = span_of(size)
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in MESHES + VOXELS:
            continue
        for name, load in _contents(file, folder, span):
            number = _POSE.search(name)
            if kind and not name.startswith(kind):
                continue
            if pose and number and int(number[1]) != pose:
                continue
            names.append(name)
            grids.append((framed(load(), size, name) * 255).round().astype(np.uint8))
    if not names:
        wanted = f" of kind {kind}" if kind else ""
        raise Failure(f"{folder}: no shape{wanted} in it ({' '.join(MESHES + VOXELS)})")
    return Shapes(names, np.stack(grids))


def read_grid(file: Path, span: int) -> NDArray[Any]:
    """The one grid of a file, of any side and as stored; a mesh becomes `span` cells long.

    Raises Failure when it cannot be read or holds several.
    """
    if not file.is_file():
        raise Failure(f"{file} cannot be read: there is no such file")
    if file.suffix.lower() not in MESHES + VOXELS:
        raise Failure(f"{file}: no shape by its name; known are {' '.join(MESHES + VOXELS)}")
    if not file.stat().st_size:
        raise Failure(f"{file}: the file is empty")
    contents = list(_contents(file, file.parent, span))
    if len(contents) != 1:
        raise Failure(f"{file} holds {len(contents)} shapes; one is wanted")
    return contents[0][1]()


def _contents(file: Path, folder: Path, span: int) -> Iterator[tuple[str, Load]]:
    """Names, and what loads the grid of each."""
    name = file.relative_to(folder).with_suffix("").as_posix()
    suffix = file.suffix.lower()
    if suffix in MESHES:
        yield name, lambda: resolve("imgan_shapes.meshes:voxelize_file")(file, span)
    elif suffix in (".binvox", ".mat"):
        read = _binvox if suffix == ".binvox" else _mat
        yield name, partial(_whole, file, read)
    else:
        yield from _several(name, *_whole(file, _table))


def _whole(file: Path, read: Callable[[Path], Any]) -> Any:
    """What `read` makes of a file. Raises Failure where it cannot."""
    try:
        return read(file)
    except (OSError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        raise Failure(f"{file} cannot be read: {reason(error)}") from None


def _table(file: Path) -> tuple[NDArray[Any], list[str] | None]:
    """The grids and the names of a file of numpy; packed bits have their `shape` beside them."""
    content = np.load(file)
    if isinstance(content, np.ndarray):
        return content, None
    with content as table:
        voxels = table[_named_voxels(table.files)]
        names = [str(name) for name in table["names"]] if "names" in table else None
        if "shape" in table:
            shape = tuple(int(side) for side in table["shape"])
            bits = np.unpackbits(voxels, axis=-1, count=int(np.prod(shape)))
            voxels = bits.reshape(*voxels.shape[:-1], *shape)
    return voxels, names


def _named_voxels(names: Sequence[str]) -> str:
    """Which array of an .npz is the grids: "voxels", or the only one. Raises ValueError."""
    if "voxels" in names:
        return "voxels"
    if len(names) != 1:
        raise ValueError(f"it holds {', '.join(names) or 'nothing'}; the grid is named voxels")
    return names[0]


def _several(
    name: str, voxels: NDArray[Any], names: list[str] | None
) -> Iterator[tuple[str, Load]]:
    """One grid [n, n, n], or several [N, n, n, n], which have names or get numbers."""
    if voxels.ndim == 3:
        yield name, lambda: voxels
    elif voxels.ndim == 4:
        for number, grid in enumerate(voxels):
            own = names[number] if names else f"{name}-{number + 1}"
            yield own, partial(np.asarray, grid)
    else:
        raise Failure(f"{name}: an array of shape {voxels.shape} is no grid")


def _mat(file: Path) -> NDArray[Any]:
    """MATLAB's, with the one variable that has three axes (`instance`, in 3D ShapeNets' files)."""
    loadmat = resolve("scipy.io:loadmat")
    grids = [value for value in loadmat(file).values() if getattr(value, "ndim", 0) == 3]
    if len(grids) != 1:
        raise ValueError(f"{len(grids)} of its variables have three axes; one should")
    return np.asarray(grids[0])


def _binvox(file: Path) -> NDArray[np.bool_]:
    """binvox: a header of text, then pairs of value and count, of x slowest, then z, then y."""
    head, _, body = file.read_bytes().partition(b"\ndata\n")
    dim = re.search(rb"^dim (\d+) (\d+) (\d+)\s*$", head, re.MULTILINE)
    if not head.startswith(b"#binvox") or dim is None:
        raise ValueError("it has no header of binvox")
    shape = tuple(int(side) for side in dim.groups())
    if max(shape) > LARGEST:
        raise ValueError(f"{max(shape)} cells a side; at most {LARGEST} are read")
    values, counts = np.frombuffer(body[: len(body) // 2 * 2], np.uint8).reshape(-1, 2).T
    cells = np.repeat(values != 0, counts)
    if cells.size != np.prod(shape):
        raise ValueError("its data are cut short")
    return cells.reshape(shape).transpose(0, 2, 1)


def framed(grid: NDArray[Any], size: int, name: str) -> Grid:
    """A grid of any side in the frame of `size`: 64 or 32 with the margin, 48 or 24 without it.

    A shape that has to be scaled gets soft edges. Raises Failure when nothing is occupied, or there
    are more than LARGEST cells along a side.
    """
    if grid.ndim != 3 or max(grid.shape) > LARGEST:
        sides = "x".join(map(str, grid.shape))
        raise Failure(f"{name}: a grid of {sides}; at most {LARGEST} cells a side are read")
    full = np.asarray(grid, np.float32)
    if full.max(initial=0) > 1:
        full = full / full.max()
    occupied = np.argwhere(full >= 0.5)
    if not len(occupied):
        raise Failure(f"{name}: an empty grid, no cell is at 0.5 or above")
    low, high = occupied.min(0), occupied.max(0) + 1
    full = full[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    longest = max(full.shape)
    span = span_of(size)
    for axis, side in enumerate(full.shape):
        if longest != span:
            weights = _overlaps(side, span / longest)
            full = np.moveaxis(np.tensordot(weights, full, (1, axis)), 0, axis)
    result = np.zeros((size,) * 3, np.float32)
    corner = [(size - side) // 2 for side in full.shape]
    result[tuple(slice(c, c + s) for c, s in zip(corner, full.shape, strict=True))] = full
    return result


def sloped(grid: NDArray[np.uint8], slope: float) -> NDArray[np.uint8]:
    """A grid in 0..255 as a field that falls through 128 at the surface, from 255 at `slope` cells
    inside to 0 at as many outside (a truncated signed distance, Curless and Levoy 1996).

    A network that is a little wrong then makes a leg thinner, where of cells in 0 or 255 it makes
    gaps. A slope of 0 leaves the grid as it is.
    """
    if not slope:
        return grid
    distance = resolve("scipy.ndimage:distance_transform_edt")
    inside = np.pad(grid >= 128, 1)
    cells = np.where(inside, distance(inside) - 0.5, 0.5 - distance(~inside))
    share = np.clip(0.5 + cells[1:-1, 1:-1, 1:-1] / (2 * slope), 0, 1)
    return (share * 255).round().astype(np.uint8)


def span_of(size: int) -> int:
    """Cells along a shape's longest side in the frame of `size`: all where it has no margin."""
    return size if size % 3 == 0 else size * 3 // 4


def _overlaps(side: int, scale: float) -> Grid:
    """[n, side]: what each old cell gives to each new one, `scale` times as many: a new cell is
    the mean of what it covers, of two old cells' width where cells become finer."""
    count = max(1, round(side * scale))
    centres = (np.arange(count)[:, None] + 0.5) * side / count
    old = np.arange(side)[None]
    half = max(side / count, 1.0) / 2
    covered = np.minimum(centres + half, old + 1) - np.maximum(centres - half, old)
    weights = np.clip(covered, 0, None)
    # At the border a window reaches out of the grid, where nothing is.
    return (weights / (2 * half)).astype(np.float32)


def largest_part(occupied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of a grid, of cells that share a face."""
    label = resolve("scipy.ndimage:label")
    labels, count = label(occupied)
    if count < 2:
        return occupied
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1
