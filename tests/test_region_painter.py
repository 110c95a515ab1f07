"""The recipe `region-painter`: what hides of a face, and that what is painted is what is asked."""

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
