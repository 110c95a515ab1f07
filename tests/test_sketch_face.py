"""Faces out of sketches: what is taken off a scan, and maps that are solved for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import embedded_description
from imgan.plugins import registry
from imgan.training.optim import Optim
from imgan.training.ports import export
from imgan_translate import SketchFaceSettings
from imgan_translate.local_regression import HALF, MADE, SIDE, STRIDE, LocalRegression
from imgan_translate.preprocess import bars, paper
from imgan_translate.training.sketch_face import SketchFaceTask, _window, before_ground


def _drawing() -> np.ndarray:
    """Paper of 200 with dark hair in the middle and at the lower border, and the scan's edge."""
    drawing = np.full((120, 120, 3), 200, np.uint8)
    drawing[30:60, 40:80] = 10
    drawing[:, 110:] = 5
    return drawing


def test_a_black_border_is_found_and_dark_hair_is_not() -> None:
    found = bars(_drawing()) > 0
    assert found[:, 112:].all()
    assert not found[:, :100].any()


def test_paper_becomes_white_without_its_borders() -> None:
    white = paper(_drawing())
    assert white[100, 20].tolist() == [250, 250, 250]
    assert (white[:, 112:] == 255).all()
    assert white[45, 60].max() < 20


def test_a_scan_that_is_black_all_over_stays_a_picture() -> None:
    assert paper(np.zeros((40, 40, 3), np.uint8)).shape == (40, 40, 3)


def test_windows_that_overlap_add_up_to_one() -> None:
    window, places = _window(torch.zeros(1)), torch.ones(1, 1, 9, 9)
    summed = torch.nn.functional.conv_transpose2d(places, window[None, None], stride=STRIDE)
    inside = summed[..., MADE:-MADE, MADE:-MADE]
    assert torch.allclose(inside, torch.ones_like(inside), atol=1e-5)


def test_the_ground_leaves_no_blue_in_the_colours_of_the_head() -> None:
    photo = torch.tensor([0.3, 0.6, 0.9]).view(1, 3, 1, 1).repeat(1, 1, HALF, HALF)
    photo[..., 40:100, 40:90] = torch.tensor([0.8, 0.6, 0.4]).view(3, 1, 1)
    made = before_ground(photo, torch.zeros(1, 1, HALF, HALF, dtype=torch.bool))
    assert made[0, 3, 60, 60] == 1
    assert made[0, 3, 60, 10] == 0
    assert torch.allclose(made[0, :3, 60, 36], torch.tensor([0.8, 0.6, 0.4]), atol=1e-3)


def _task(folder: Path, pairs: tuple[Tensor, Tensor]) -> SketchFaceTask:
    task = SketchFaceTask(folder, SketchFaceSettings(seen=6, made=6, ridge=0.01))
    task.pairs = pairs
    return task


def _pairs(count: int) -> tuple[Tensor, Tensor]:
    """Blobs of some darkness somewhere, which are red above and blue below: so the place counts."""
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 1, 8, 8, generator=generator)
    sketch = torch.nn.functional.interpolate(coarse, size=HALF, mode="bilinear").clamp(0, 1)
    face = torch.zeros(count, 4, HALF, HALF)
    face[:, 0, : HALF // 2] = 1 - sketch[:, 0, : HALF // 2]
    face[:, 2, HALF // 2 :] = 1 - sketch[:, 0, HALF // 2 :]
    face[:, 3] = 1
    return sketch, face


def test_one_step_solves_for_what_depends_on_the_place(tmp_path: Path) -> None:
    task = _task(tmp_path, _pairs(20))
    task.step(0, task.batch(0), Optim("float32", torch.device("cpu")))
    sketch, face = _pairs(5)
    error = (task.generator.regress(sketch) - face).abs().mean()
    of_mean = (task.generator.mean - face).abs().mean()
    assert error < of_mean / 4


def test_the_run_becomes_a_model_of_aligned_sketches(tmp_path: Path) -> None:
    task = _task(tmp_path, _pairs(6))
    task.step(0, task.batch(0), Optim("float32", torch.device("cpu")))
    task.averages["generator"].update_parameters(task.generator)
    file = tmp_path / "face.onnx"
    recipe = registry().recipes["sketch-face"]
    export(recipe, task, file, Description(name="face", operation="translate"))
    written = embedded_description(file)
    assert written is not None
    assert (written.traits["preprocess"], written.traits["faces"]) == ("paper", "aligned")
    sketch = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    wanted = task.generator(sketch).numpy()
    assert np.abs(open_session(file).run(sketch.numpy()) - wanted).max() < 1e-3


def test_around_the_head_is_plain_ground() -> None:
    network = LocalRegression(4, 4)
    network.ground.fill_(0.5)
    made = network(torch.rand(1, 3, SIDE, SIDE))
    # No maps, no matte.
    assert torch.allclose(made, torch.zeros_like(made), atol=1e-5)
