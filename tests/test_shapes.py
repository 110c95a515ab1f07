"""Shapes: grids and meshes in every format, closed surfaces, and a generator that is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from imgan import plugins
from imgan.cli import build
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.loop import fit
from imgan.training.ports import export
from imgan_shapes import GAN3DSettings, Mirror
from imgan_shapes.evaluate import evaluate
from imgan_shapes.grids import framed, largest_part, read_grid, read_shapes, sloped
from imgan_shapes.latents import at_usual_length, drawn, read_latents
from imgan_shapes.meshes import openings, read_mesh, surface, voxelize, write_mesh
from imgan_shapes.net import Discriminator, Generator
from imgan_shapes.render import views
from imgan_shapes.training.gan import GAN3DTask, loose

TINY = GAN3DSettings(
    steps=2, batch_size=2, ema_decay=0.5, size=24, width=2, discriminator_width=2, mirror=Mirror.y,
    penalty_every=2, checkpoint_every=1, sample_every=2,
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


def test_a_run_cut_in_two_gives_the_same_weights(tmp_path: Path) -> None:
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


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Description]:
    """A generator of shapes, untrained, whose threshold leaves little of a grid occupied."""
    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    task = GAN3DTask(folder, TINY)
    generator: Any = task.trained("generator")
    torch.nn.init.normal_(generator.last.weight, std=0.5)
    with torch.no_grad():
        threshold = float(generator(torch.from_numpy(drawn(0, 1))).quantile(0.98))
    traits = {"kind": "chair", "threshold": threshold, "size": 24, "mirror": "y"}
    card = Description(name="tiny", operation="shapes", traits=traits)
    assert export(registry().recipes["3dgan"], task, folder / "tiny.onnx", card).worst < 1e-4
    return folder / "tiny.onnx", card


@pytest.fixture
def tiny(home: Path, tmp_path: Path, network: tuple[Path, Description]) -> Path:
    """The folder to work in of a person who has that generator."""
    store.add(*network)
    folder = tmp_path / "made"
    folder.mkdir()
    return folder


def _imgan(*words: object) -> tuple[int, str]:
    """The exit code, and what was printed on both streams."""
    arguments = [str(word) for word in ("shapes", *words)]
    if words[0] != "voxelize" and not {"--kind", "--model"} & set(words):
        arguments += ["--model", "tiny"]
    result = CliRunner().invoke(build(plugins.registry()), arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit | Failure | Misuse)
    problem = str(result.exception) if isinstance(result.exception, Failure | Misuse) else ""
    return result.exit_code, result.output + problem


def test_generate_writes_meshes_latents_and_views(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgan_shapes.run.FRAMES", 3)
    sheet, film = tiny / "sheet.png", tiny / "round.gif"
    code, said = _imgan(
        "generate", "-n", 2, "--seed", 7, "-o", tiny / "a", "--picture", sheet, "--turntable", film
    )
    assert code == 0, said
    assert read_mesh(tiny / "a" / "chair-7-1.glb").is_watertight
    with Image.open(sheet) as picture:
        assert picture.size == (512, 256)
    with Image.open(film) as moving:
        assert moving.n_frames == 3  # type: ignore[attr-defined]
    # The second again, by its number and out of the file: the same to the bit.
    for name, target in (("7:2", "b.npz"), (f"{tiny}/a/latents-chair-7.npz:2", "c.npz")):
        assert _imgan("generate", name, "-o", tiny / target)[0] == 0
    assert (tiny / "b.npz").read_bytes() == (tiny / "c.npz").read_bytes()
    assert read_grid(tiny / "b.npz", 48).shape == (64, 64, 64)
    code, said = _imgan("generate", "7:2", "-o", tiny / "b.npz")
    assert code == 1
    assert "exists" in said


def test_largest_alone_is_one_piece(tiny: Path) -> None:
    for words in ((), ("--keep-largest",)):
        _imgan("generate", "1", *words, "-o", tiny / f"{len(words)}.npz")
    loose, one = (read_grid(tiny / f"{n}.npz", 48).astype(bool) for n in (0, 1))
    assert np.array_equal(one, largest_part(loose))
    assert one.sum() < loose.sum()


def test_latents_add_and_cancel(tiny: Path) -> None:
    assert _imgan("generate", "1", "--add", "2", "--minus", "3", "-o", tiny / "a.npz")[0] == 0
    assert _imgan("generate", "1", "--add", "2", "--minus", "2", "-o", tiny / "b.npz")[0] == 0
    moved, same = (read_latents(tiny / f"{n}.npz")[0] for n in "ab")
    wanted = drawn(1, 1)[0] + drawn(2, 1)[0] - drawn(3, 1)[0]
    np.testing.assert_allclose(
        moved / np.linalg.norm(moved), wanted / np.linalg.norm(wanted), atol=1e-5
    )
    np.testing.assert_allclose(same, at_usual_length(drawn(1, 1)[0]), rtol=1e-5)


def test_interpolation_ends_at_both_shapes(tiny: Path) -> None:
    code, said = _imgan("interpolate", "1", "2", "--steps", 3, "--format", "npz", "-o", tiny / "w")
    assert code == 0, said
    files = sorted((tiny / "w").glob("*.npz"))
    assert len(files) == 4
    for file, seed in ((files[0], 1), (files[-1], 2)):
        np.testing.assert_allclose(read_latents(file)[0], drawn(seed, 1)[0], rtol=1e-5)
    assert _imgan("interpolate", "1", "2", "--steps", 2, "-o", tiny / "w.gif")[0] == 0
    with Image.open(tiny / "w.gif") as moving:
        assert moving.n_frames == 4  # type: ignore[attr-defined]


def test_voxelize_says_what_a_mesh_lacks(tiny: Path) -> None:
    box = trimesh.creation.box((1, 2, 4))
    box.export(tiny / "box.stl")
    assert _imgan("voxelize", tiny / "box.stl", "-o", tiny / "box.npz")[0] == 0
    assert read_grid(tiny / "box.npz", 48).sum() == 12 * 24 * 48
    trimesh.Trimesh(box.vertices, box.faces[:-2]).export(tiny / "lidless.stl")
    code, said = _imgan("voxelize", tiny / "lidless.stl", "-o", tiny / "lidless.npz")
    assert code == 0
    assert "not closed, 4 edges" in said
    (tiny / "empty.obj").write_text("v 0 0 0\n")
    np.save(tiny / "large.npy", np.ones((1, 1, 600)))
    for name, words in (("empty.obj", "empty"), ("large.npy", "at most 512")):
        code, said = _imgan("voxelize", tiny / name, "-o", tiny / "no.npz")
        assert code == 1
        assert words in said
        assert not (tiny / "no.npz").exists()


def test_inversion_comes_nearer_to_the_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgan_shapes.search.STARTS", 4)
    chairs = ("--model", "shapes-chairs")
    target = tmp_path / "target.npz"
    assert _imgan("generate", "5", "-o", target, *chairs)[0] == 0
    found = []
    for steps in (0, 12):
        file = tmp_path / f"{steps}.npz"
        code, said = _imgan("invert", target, "-o", file, "--steps", steps, *chairs)
        assert code == 0, said
        found.append(float(said.split("IoU ")[1].split()[0]))
    assert 0 < found[0] < found[1] <= 1
    assert read_latents(tmp_path / "12.npz").shape == (1, 200)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("generate", "-n", "2", "-o", "a.glb"), "name a folder"),
        (("generate", "1", "--seed", "1", "-o", "a.glb"), "leave --seed"),
        (("generate", "--kind", "boat", "-o", "a.glb"), "generators of chair"),
        (("generate", "none.npz:1", "-o", "a.glb"), "no such file"),
        (("generate", "--turntable", "a.png", "-o", "a.glb"), "end it with .gif"),
        (("interpolate", "1", "-o", "a.gif"), "two latents"),
        (("voxelize", "a.obj", "-o", "a.glb"), "an .npz file"),
    ],
)
def test_mistakes_get_one_line(tiny: Path, words: tuple[str, ...], problem: str) -> None:
    code, said = _imgan(*words)
    assert code != 0
    assert problem in said


def test_evaluation_measures_generated_shapes_beside_real_ones(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgan_shapes.evaluate.COUNT", 8)
    data = _folder(tmp_path / "data")
    header, rows = evaluate(data, "tiny", "cpu")
    figures = {name: dict(zip(header[1:], values, strict=True)) for name, *values in rows}
    assert figures["in one piece"]["training shapes"] == "1.000"
    assert figures["best IoU with those held out"]["training shapes"] == "1.000"
    assert 0 < float(figures["best IoU with those held out"]["generated"]) < 0.5
    assert figures["coverage of 1 held out"] == {"generated": "1.000", "training shapes": "1.000"}


def test_a_slope_falls_through_the_surface() -> None:
    grid = np.where(_chair(), 255, 0).astype(np.uint8)
    field = sloped(grid, 1.5)
    assert np.array_equal(field >= 128, _chair())
    assert len(np.unique(field)) > 4
    assert np.array_equal(sloped(grid, 0), grid)


def test_what_hangs_loose_is_paid_for_at_the_gap() -> None:
    cells = torch.from_numpy(_chair()).float()[None, None] * 0.9
    assert loose(cells) == 0
    cells[0, 0, :, :, 7] = 0.3  # through all legs
    cells.requires_grad_()
    missing = loose(cells)
    assert missing > 0.05
    (slope,) = torch.autograd.grad(missing, cells)
    assert slope[..., 7].sum() < -0.1
    assert slope[..., :7].abs().max() == 0


def test_files_that_hold_no_shape_are_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty.glb").touch()
    (tmp_path / "notes.txt").write_text("a chair")
    np.savez(tmp_path / "two.npz", a=np.zeros((4, 4, 4)), b=np.zeros((4, 4, 4)))
    for name, message in {
        "empty.glb": "the file is empty",
        "notes.txt": "no shape by its name; known are .*.obj",
        "none.obj": "there is no such file",
        "two.npz": "it holds a, b; the grid is named voxels",
    }.items():
        with pytest.raises(Failure, match=message):
            read_grid(tmp_path / name, 60)
    np.savez(tmp_path / "one.npz", np.ones((4, 4, 4), bool))
    assert read_grid(tmp_path / "one.npz", 60).all()
