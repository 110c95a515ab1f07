"""The recipe `region-painter`, and what is taken away from faces with its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imgan.errors import Failure
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.loop import fit
from imgan.training.ports import export
from imgan_edit import RegionPainterSettings
from imgan_edit.regions.painter import Painter
from imgan_edit.regions.removal import remove_eyeglasses, remove_moustache
from imgan_edit.regions.view import Effect, Masks, View
from imgan_edit.regions.zones import CENTRE, FRAMES, ON, THINGS, UNIT, Zone, grid, planes
from imgan_edit.training.painter import RegionPainterTask
from imgan_parse import CLASSES

TINY: dict[str, Any] = {
    "steps": 2, "batch_size": 4, "crop": 32, "width": 4, "blocks": 2, "discriminator_width": 4,
    "checkpoint_every": 2, "sample_every": 2, "features": 0.0,
}  # fmt: skip

SIDE = 64
NAMES = ("5_o_Clock_Shadow", "Eyeglasses", "Goatee", "Mustache", "No_Beard")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Six light faces, half of which have a dark beard."""
    folder = tmp_path / "faces"
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    x, y = (x - CENTRE[0]) / UNIT, (y - CENTRE[1]) / UNIT
    beard = Zone().beard(x, y) > 0.5
    lines = ["6", " ".join(NAMES)]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(6):
        pixels = np.full((SIDE, SIDE, 3), 200, np.uint8)
        if number % 2:
            pixels[beard] = 30
        mask = np.full((SIDE, SIDE), CLASSES.index("skin"), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
        lines.append(f"{number}.png -1 -1 -1 -1 {-1 if number % 2 else 1}")
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines))
    return folder


def made(faces: Path, **changed: Any) -> RegionPainterTask:
    torch.manual_seed(0)
    return RegionPainterTask(faces, RegionPainterSettings(**TINY | changed))


@pytest.mark.parametrize("thing", ON)
def test_things_lie_in_their_frames_and_off_the_eyes(thing: str) -> None:
    x, y = grid(FRAMES[ON[thing]], 64)
    zone = getattr(Zone(), thing)(x, y)
    assert 0.03 < zone.mean() < 0.6
    # Nothing touches the frame's border, where the network has nothing to go on from.
    assert max(zone[0].max(), zone[:, 0].max(), zone[:, -1].max()) == 0
    eyes = np.hypot(np.abs(x) - 0.5, y) < 0.1
    if thing != "glasses":
        assert (zone * eyes).max() < 0.05


def test_the_network_is_told_what_and_where_inside_of_the_hole_alone() -> None:
    hole = np.zeros((8, 8), np.float32)
    hole[:4] = 1
    told = planes("goatee", hole, np.full((8, 8), 0.5, np.float32))
    assert (told[THINGS.index("goatee")] == hole).all()
    assert (told[-1] == 0.5 * hole).all()
    assert told.sum() == 1.5 * hole.sum()


def test_labels_and_parts_say_what_a_face_teaches(faces: Path) -> None:
    teaches = made(faces).has
    assert teaches["beard", "chin"].tolist() == [1, 3, 5]
    assert teaches["bare", "chin"].tolist() == [0, 2, 4]
    assert len(teaches["bare", "eyes"]) == 6
    assert ("glasses", "eyes") not in teaches
    photos, holes, told = made(faces).batch(3)
    assert photos.shape == (4, 3, 32, 32)
    assert told.shape == (4, len(THINGS) + 1, 32, 32)
    assert set(holes.unique().tolist()) == {0, 1}
    assert torch.equal(told[:, :-1].sum(1, keepdim=True), holes)
    assert all(map(torch.equal, made(faces).batch(3), (photos, holes, told)))


def test_it_paints_a_beard_or_bare_skin_as_it_is_told(faces: Path, tmp_path: Path) -> None:
    changed = {"steps": 60, "batch_size": 8, "lr": 4e-3, "checkpoint_every": 60}
    task = made(faces, **changed, sample_every=60, ema_decay=0.8)
    fit(task, tmp_path / "run")
    x, y = grid(FRAMES["chin"], 32)
    zone = Zone().beard(x, y)
    hole = (zone > 0.5).astype(np.float32)
    photo = torch.full((1, 3, 32, 32), 200 / 255)
    mask = torch.from_numpy(hole)[None, None]
    light = {}
    for thing, matte in (("beard", zone), ("bare", 0 * zone)):
        told = torch.from_numpy(planes(thing, hole, matte))[None]
        with torch.no_grad():
            filled = task.trained("generator")(photo, mask, told)
        assert torch.equal(filled * (1 - mask), photo * (1 - mask))
        light[thing] = float(filled[0].mean(0)[mask[0, 0] > 0].mean())
    assert light["beard"] < light["bare"] - 0.2


def test_it_is_exported(faces: Path, tmp_path: Path) -> None:
    task, file = made(faces), tmp_path / "painter.onnx"
    recipe = registry().recipes["region-painter"]
    export(recipe, task, file, Description(name="painter", operation=recipe.operation))
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[:, :, 16:] = 1
    told = torch.rand(1, len(THINGS) + 1, 32, 32)
    with torch.no_grad():
        wanted = task.trained("generator")(image, mask, told).numpy()
    feeds = {"image": image.numpy(), "mask": mask.numpy(), "condition": told.numpy()}
    (filled,) = open_session(file, "cpu").run_many(feeds).values()
    assert np.abs(filled - wanted).max() < 1e-4


def test_a_face_without_labels_is_told(faces: Path) -> None:
    listing = faces / ATTRIBUTES_FILE
    listing.write_text(listing.read_text().rsplit("\n", 1)[0])
    with pytest.raises(Failure, match=r"no line for 5\.png"):
        made(faces).batch(0)


def shown(*, glasses: bool = False, moustache: bool = False) -> View:
    """A face of one colour; a painter that fills every hole with it, a little darker."""
    side, unit = 240, 60.0
    y, x = np.mgrid[:side, :side] + 0.5
    across, down = (x - 120) / unit, (y - 90) / unit
    pixels = np.full((side, side, 3), (0.8, 0.6, 0.5), np.float32)
    pixels += np.random.default_rng(0).normal(0, 0.01, (side, side, 1)).astype(np.float32)
    oval = ((x - 120) / 90) ** 2 + ((y - 120) / 110) ** 2 < 1
    masks = dict.fromkeys(CLASSES, np.zeros((side, side), np.float32))
    masks["skin"] = oval.astype(np.float32)
    if moustache:
        pixels[Zone().mustache(across, down) > 0.5] = 0.1
    if glasses:
        lens = np.hypot((np.abs(across) - 0.5) / 0.4, (down - 0.05) / 0.3)
        pixels[(lens < 1) & (lens > 0.85)] = 0.1
        masks["glasses"] = (lens < 1).astype(np.float32)
        masks["skin"] = (oval & (lens >= 1)).astype(np.float32)
    points = np.array([[-0.5, 0], [0.5, 0], [0, 0.62], [-0.44, 1.06], [0.44, 1.06]])
    return View(pixels, (120, 90) + unit * points, Masks(masks), (0, 0, side, side), bare)


def bare(view: View, frame: Any, hole: Any, there: Any, thing: str) -> Any:
    assert thing == "bare"
    painted = view.pixels.copy()
    painted[there > 0] = (0.78, 0.58, 0.48)
    return painted


@pytest.mark.parametrize(
    ("effect", "worn", "place"),
    [
        (remove_moustache, {"moustache": True}, (142, 120)),
        (remove_eyeglasses, {"glasses": True}, (109, 90)),
    ],
)
def test_things_become_skin_and_nothing_else_changes(
    effect: Effect, worn: dict[str, bool], place: tuple[int, int]
) -> None:
    view = shown(**worn)
    change = effect(view, 1, np.random.default_rng(0))
    row, column = place
    patch = np.s_[row - 2 : row + 3, column - 2 : column + 3]
    assert view.pixels[patch].mean() < 0.4
    assert change.pixels[patch].mean() == pytest.approx(0.61, abs=0.03)
    assert change.where[patch].min() > 0.9
    # It has the grain of the skin beside it.
    assert 0.003 < change.pixels[patch].std(axis=(0, 1)).mean() < 0.03
    # The eyes stay, and what is far away.
    assert change.where[86:95, 145:156].max() == 0
    assert change.where[:40].max() == change.where[220:].max() == 0


def test_nothing_is_taken_away_that_is_not_there() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Failure, match="no moustache is seen"):
        remove_moustache(shown(), 1, rng)
    with pytest.raises(Failure, match="no eyeglasses are seen"):
        remove_eyeglasses(shown(), 1, rng)


@pytest.mark.parametrize(("colour", "why"), [(0.1, "dark"), (0.98, "mirror")])
def test_lenses_that_hide_the_eyes_are_refused(colour: float, why: str) -> None:
    view = shown(glasses=True)
    view.pixels[view.parts["glasses"] > 0.5] = colour
    with pytest.raises(Failure, match=why):
        remove_eyeglasses(view, 1, np.random.default_rng(0))


def test_the_painter_paints_in_the_frame_and_meets_the_photo(faces: Path, tmp_path: Path) -> None:
    task, file = made(faces), tmp_path / "painter.onnx"
    recipe = registry().recipes["region-painter"]
    export(recipe, task, file, Description(name="painter", operation=recipe.operation))
    view = shown()
    across, down = view.frame
    hole = ((np.abs(across) < 0.3) & (np.abs(down - 0.9) < 0.2)).astype(np.float32)
    painted = Painter(open_session(file, "cpu"))(view, FRAMES["chin"], hole, hole, "bare")
    assert (painted[hole == 0] == view.pixels[hole == 0]).all()
    assert np.abs(painted - view.pixels)[hole > 0].max() < 0.5
