"""Occluders of a face: no edit goes over it, and hidden faces are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from test_edit import add_finder, edit, job, pixels, write_editor

from imgan import faces
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images import Picture
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.plugins import registry
from imgan.training.loop import fit
from imgan.training.ports import export
from imgan_edit import OcclusionSettings, Sheet, evaluate_occlusion
from imgan_edit.occlusion import Finder, share
from imgan_edit.training.occlusion import OcclusionTask

MAGENTA = (255, 0, 255)
GREY = 100
TINY = OcclusionSettings(steps=4, batch_size=4, width=8, checkpoint_every=4, sample_every=4)


def cpu() -> Runtime:
    return Runtime("cpu", Models.installed())


@pytest.fixture
def tiny(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_editor(home / "editor.onnx", bangs=(0.5, 0.5, 0.5))
    store.add(home / "editor.onnx", Description(name="tiny-editor", operation="edit"))
    add_finder(home, monkeypatch)


def half_hidden(path: Path) -> Path:
    """A grey picture, taken for a face, with something before its right half."""
    picture = Image.new("RGB", (128, 128), (GREY, GREY, GREY))
    picture.paste(MAGENTA, (64, 0, 128, 128))
    picture.save(path)
    return path


def occluded_face(top: float, right: float) -> Picture:
    """A photo of a face, less what lies below `top` and left of `right`, in parts of its box."""
    photo = skimage.data.astronaut().copy()
    x, y, width, height = faces.find(photo)[0].box
    photo[max(0, int(y + top * height)) :, : int(x + right * width)] = 130
    return Picture(photo)


@pytest.mark.usefixtures("tiny")
def test_an_edit_keeps_off_what_is_before_the_face(tmp_path: Path) -> None:
    path = half_hidden(tmp_path / "face.png")
    execute(job(path), edit(add=["bangs"], aligned=True))
    change = pixels(path.with_name("face-bangs.png")) - pixels(path)
    assert (change[60:68, 30:50] > 50).all()
    assert not change[:, 72:].any()


@pytest.mark.usefixtures("tiny")
def test_a_sheet_keeps_off_it_too(tmp_path: Path) -> None:
    path = half_hidden(tmp_path / "face.png")
    target = tmp_path / "sheet.png"
    execute(job(path, output=str(target)), edit(add=["bangs"], aligned=True, sheet=Sheet.strength))
    last = pixels(target)[:, 128:256]
    assert (last[60:68, 30:50] > GREY).all()
    assert (last[60:68, 80:110] == MAGENTA).all()


@pytest.mark.usefixtures("tiny")
def test_a_face_that_is_hidden_in_large_part_is_refused_unless_it_is_pointed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = half_hidden(tmp_path / "photo.png")
    face = faces.whole(128, 128)
    monkeypatch.setattr(faces, "find", lambda rgb: [face])
    with pytest.raises(Failure, match=r"hidden in large part \(5\d%\).*--face x,y,width,height"):
        execute(job(path), edit(add=["bangs"]))
    assert list(tmp_path.iterdir()) == [path]
    execute(job(path), edit(add=["bangs"], face="24,30,80,90"))
    assert path.with_name("photo-bangs.png").exists()


@pytest.mark.usefixtures("tiny")
def test_a_hidden_face_is_named_and_the_others_are_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photo.png"
    photo = Image.new("RGB", (300, 128), (GREY, GREY, GREY))
    photo.paste(MAGENTA, (160, 0, 300, 128))
    photo.save(path)
    found = [faces.boxed(30, 30, 60, 70), faces.boxed(200, 30, 60, 70)]
    monkeypatch.setattr(faces, "find", lambda rgb: found)
    execute(job(path, json=True), edit(add=["bangs"]))
    out, err = capfd.readouterr()
    assert "face 2 is hidden in large part: left alone" in err
    facts = json.loads(out)
    assert (facts["edited"], facts["hidden"]) == ([1], [2])


@pytest.mark.usefixtures("tiny")
def test_a_face_in_which_nothing_would_change_is_no_success(tmp_path: Path) -> None:
    path = half_hidden(tmp_path / "face.png")
    with pytest.raises(Failure, match="is not changed by the network"):
        execute(job(path), edit(add=["young"], aligned=True))
    assert list(tmp_path.iterdir()) == [path]
    execute(job(path), edit(add=["young"], aligned=True, strength=0))


def test_the_middle_of_a_face_counts_more_than_its_corners() -> None:
    middle, corner = np.zeros((16, 16)), np.zeros((16, 16))
    middle[6:10, 6:10], corner[:4, :4] = 1, 1
    assert share(np.ones((16, 16))) == pytest.approx(1)
    assert share(middle) > 0.1 > 0.01 > share(corner)


@pytest.mark.parametrize(
    ("top", "right", "least", "most"), [(9, 0, 0, 0.02), (-1, 0.5, 0.35, 0.7), (0.55, 9, 0.2, 0.6)]
)
def test_the_shipped_network_sees_what_is_before_a_real_face(
    top: float, right: float, least: float, most: float
) -> None:
    face = faces.find(skimage.data.astronaut())[0]
    hidden = Finder.open(cpu()).hidden(occluded_face(top, right), face)
    assert least <= share(hidden) <= most


@pytest.mark.usefixtures("tiny")
def test_what_is_found_is_measured(tmp_path: Path) -> None:
    for number, colour in enumerate([(GREY, GREY, GREY), MAGENTA] * 2):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{number}.png")
    header, rows = evaluate_occlusion.evaluate(tmp_path, None, "cpu")
    found = {(place, kind): figures for place, kind, *figures in rows}
    # Half of the faces are hidden as they are, and half of the things are seen.
    assert found["nothing", ""] == ["-", "0.500", "0.50"]
    assert found["left half", "one colour"] == ["0.500", "0.500", "1.00"]
    assert found["mouth and chin", "another face"] == ["0.500", "0.500", "0.50"]
    assert len(header) == len(rows[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Faces of noise, without a list."""
    rng = np.random.default_rng(0)
    for number in range(8):
        noise = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.slow
def test_the_finder_learns_what_is_covered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    task = OcclusionTask(folder, OcclusionSettings(steps=30, batch_size=8, width=8, lr=1e-2))
    losses: list[float] = []
    # The same things before the same faces, so that a few steps are enough.
    batch = task.batch(0)
    monkeypatch.setattr(task, "batch", lambda step: batch)
    monkeypatch.setattr("imgan.training.loop.seed_step", lambda *_: torch.manual_seed(1))
    fit(task, folder / "run", report=lambda step, figures: losses.append(figures["cross_entropy"]))
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.slow
def test_a_finder_is_exported_and_opened(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = OcclusionTask(folder, TINY)
    target = tmp_path / "finder.onnx"
    card = Description(name="mine", operation="evaluate")
    assert export(registry().recipes["edit-occlusion"], task, target, card).worst < 1e-4
    finder = Finder(open_session(target, "cpu"))
    hidden = finder.hidden(Picture(np.zeros((64, 64, 3), np.uint8)), faces.whole(64, 64))
    assert hidden.shape == (16, 16)


def test_widths_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(Misuse, match="--width 12: it must be a multiple of 8"):
        OcclusionSettings(width=12)
