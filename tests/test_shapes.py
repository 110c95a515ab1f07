"""Shapes: grids and meshes in every format, closed surfaces, and a generator that is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scipy.io import savemat

from imgan.errors import Failure
from imgan.models.cards import Description
from imgan.training.loop import fit
from imgan_shapes import GAN3DSettings, Mirror
from imgan_shapes.grids import framed, largest_part, read_grid, read_shapes
from imgan_shapes.meshes import openings, read_mesh, surface, voxelize, write_mesh
from imgan_shapes.net import Discriminator, Generator
from imgan_shapes.ports import generator as export
from imgan_shapes.render import views
from imgan_shapes.training.gan import GAN3DTask

TINY = GAN3DSettings(
    steps=2, batch=2, average=0.5, size=24, width=2, discriminator_width=2, mirror=Mirror.y,
    penalty_every=2, save_every=1, sample_every=2,
)  # fmt: skip


def _chair() -> np.ndarray:
    """A seat on four legs, with a back at +x: 12 cells high, in a grid of 20."""
    grid = np.zeros((20, 20, 20), bool)
    grid[5:13, 5:13, 8:10] = True
    grid[11:13, 5:13, 10:16] = True
    for x in (5, 11):
        for y in (5, 11):
            grid[x : x + 2, y : y + 2, 4:8] = True
    return grid


def _folder(folder: Path) -> Path:
    """One chair three times, of two objects, packed as 3D ShapeNets' grids are here."""
    folder.mkdir()
    names = ["chair_1_1", "chair_1_2", "chair_2_1", "sofa_1"]
    voxels = np.packbits(np.stack([_chair()] * 4).reshape(4, -1), axis=1)
    np.savez(folder / "all.npz", voxels=voxels, shape=(20, 20, 20), names=names)
    return folder


def test_a_shape_fills_three_quarters_of_its_frame() -> None:
    for size, margin in ((64, 8), (32, 4), (24, 0)):
        occupied = np.argwhere(framed(_chair(), size, "chair") >= 0.5)
        assert occupied[:, 2].min() == margin
        assert occupied[:, 2].max() == size - margin - 1
    exact = framed(np.pad(np.ones((24, 5, 5)), 3), 24, "bar")
    assert set(np.unique(exact)) == {0.0, 1.0}
    with pytest.raises(Failure, match="empty"):
        framed(np.zeros((8, 8, 8)), 24, "nothing")
    with pytest.raises(Failure, match="at most 512"):
        framed(np.zeros((1, 1, 600)), 24, "long")


def test_poses_of_an_object_are_held_out_together(tmp_path: Path) -> None:
    chairs = read_shapes(_folder(tmp_path / "data"), 24, kind="chair")
    assert chairs.part(held_out=True).names == ["chair_2_1"]
    assert chairs.part(held_out=False).names == ["chair_1_1", "chair_1_2"]
    posed = read_shapes(tmp_path / "data", 24, kind="chair", pose=1)
    assert posed.names == ["chair_1_1", "chair_2_1"]
    with pytest.raises(Failure, match="of kind bed"):
        read_shapes(tmp_path / "data", 24, kind="bed")


def test_every_format_of_grids_gives_the_same_cells(tmp_path: Path) -> None:
    grid = _chair()
    np.save(tmp_path / "a.npy", grid)
    np.savez(tmp_path / "a.npz", voxels=grid)
    savemat(tmp_path / "a.mat", {"instance": grid.astype(np.uint8)})
    runs = grid.transpose(0, 2, 1).ravel().astype(np.uint8)
    pairs = np.stack([runs, np.ones_like(runs)], 1).tobytes()
    (tmp_path / "a.binvox").write_bytes(b"#binvox 1\ndim 20 20 20\ndata\n" + pairs)
    for suffix in (".npy", ".npz", ".mat", ".binvox"):
        assert np.array_equal(read_grid(tmp_path / f"a{suffix}", 24) > 0, grid), suffix
    (tmp_path / "a.binvox").write_bytes(b"#binvox 1\ndim 20 20 20\ndata\n" + pairs[:100])
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    for suffix in (".binvox", ".npz"):
        with pytest.raises(Failure, match="cannot be read"):
            read_grid(tmp_path / f"a{suffix}", 24)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".stl", ".ply", ".off"])
def test_a_mesh_file_keeps_the_shape_and_which_way_is_up(tmp_path: Path, suffix: str) -> None:
    mesh = surface(framed(_chair(), 64, "chair"))
    assert mesh.is_watertight
    assert mesh.volume > 0
    with (tmp_path / f"chair{suffix}").open("wb") as file:
        write_mesh(mesh, file, suffix)
    again = read_mesh(tmp_path / f"chair{suffix}")
    assert openings(again) == 0
    np.testing.assert_allclose(again.bounds, mesh.bounds, atol=1e-4)


def test_a_box_is_filled_and_an_open_one_counted(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 4))
    assert voxelize(box, 24).shape == (6, 12, 24)
    assert voxelize(box, 24).all()
    lidless = trimesh.Trimesh(box.vertices, box.faces[:-2])
    assert openings(lidless) == 4
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    with pytest.raises(Failure, match=r"empty\.obj"):
        read_mesh(tmp_path / "empty.obj")


def test_loose_bits_are_told_from_the_largest_piece() -> None:
    grid = _chair()
    grid[18, 18, 18] = True
    assert np.array_equal(largest_part(grid), _chair())


def test_nothing_has_no_surface() -> None:
    with pytest.raises(Failure, match="threshold"):
        surface(np.zeros((8, 8, 8), np.float32))


def test_a_view_shows_the_shape_and_an_empty_one_is_an_empty_place() -> None:
    grid = framed(_chair(), 32, "chair")
    sheet = views([grid, np.zeros_like(grid)], 48)
    assert sheet.shape == (48, 96, 3)
    assert sheet[:, :48].std() > 5 * sheet[:, 48:].std()


@pytest.mark.parametrize("size", [64, 48, 32, 24])
@pytest.mark.parametrize("mirror", ["none", "x", "y"])
def test_networks_of_every_size_fit_each_other(size: int, mirror: str) -> None:
    network = Generator(1, size, mirror).eval()
    z = torch.randn(1, 200)
    with torch.no_grad():
        assert Discriminator(1, size, mirror)(network.cells(z)).shape == (1,)
        grid = network(z)
    assert grid.shape == (1, 64, 64, 64)
    for axis, name in enumerate("xy"):
        difference = (grid - grid.flip(1 + axis)).abs().max()
        # Enlarging rounds.
        assert (difference < 1e-6) == (mirror == name)


def test_a_run_cut_in_two_gives_the_same_weights_and_exports(tmp_path: Path) -> None:
    data = _folder(tmp_path / "data")
    tasks = []
    for stops in ((2,), (1, 2)):
        run = tmp_path / str(len(stops))
        run.mkdir()
        for stop in stops:
            torch.manual_seed(0)
            task = GAN3DTask(data, TINY)
            fit(task, run, until=stop)
        tasks.append(task)
    one, other = (task.networks["generator"].state_dict() for task in tasks)
    assert all(torch.equal(one[key], other[key]) for key in one)
    card = Description(name="tiny", operation="shapes")
    parity = export(tasks[0], tmp_path / "tiny.onnx", card, half=False, overwrite=False)
    assert parity.worst < 1e-4
