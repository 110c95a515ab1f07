"""`imgan inpaint`: which pixels are filled, and with what."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

import imgan
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images import Picture
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_inpaint import Inpaint
from imgan_inpaint.evaluate import evaluate
from imgan_inpaint.masks import hole_of
from imgan_inpaint.membrane import depth, grown, membrane, seamless, smoothed
from imgan_inpaint.pieces import pieces
from imgan_inpaint.run import Filling, Inpainting
from imgan_inpaint.synthesis import fill

Pixels = NDArray[np.uint8]


def stripes(height: int = 80, width: int = 96) -> Pixels:
    """Slanted stripes, so that every hole has but one right filling."""
    y, x = np.mgrid[:height, :width]
    wave = 128 + 80 * np.sin((x + y) * (2 * np.pi / 12))
    return np.repeat(wave.round().astype(np.uint8)[..., None], 3, 2)


def write(path: str | Path, pixels: Pixels | NDArray[np.bool_]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def square(shape: tuple[int, ...], top: int, left: int, side: int) -> NDArray[np.bool_]:
    hole = np.zeros(shape[:2], bool)
    hole[top : top + side, left : left + side] = True
    return hole


def read(path: str) -> Pixels:
    return np.asarray(Image.open(path))


def filled(pixels: Pixels, hole: NDArray[np.bool_], **options: Any) -> Pixels:
    """A picture whose hole is filled by its own patches, where nothing else is said."""
    request = Inpaint(**{"model": "none"} | options)
    work = Inpainting(request, Runtime("cpu", models=Models.installed()))
    return work.filled(Picture(pixels), hole)[0]


# ── the hole ──


def test_a_mask_a_box_a_colour_and_transparency_name_the_same_hole(here: Path) -> None:
    pixels = stripes()
    hole = square(pixels.shape, 20, 30, 16)
    write("photo.png", pixels)
    write("mask.png", hole)
    write("black.png", ~hole)
    write("masks/photo_mask.png", hole)
    write("others/photo.png", hole)
    write("marked.png", np.where(hole[..., None], np.uint8([255, 0, 255]), pixels))
    write("cut.png", np.dstack([pixels, np.where(hole, 0, 255).astype(np.uint8)]))
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "file": ("photo.png", {"mask": "mask.png"}),
        "black": ("photo.png", {"mask": "black.png", "mask_black": True}),
        "folder": ("photo.png", {"mask": "masks"}),
        "other": ("photo.png", {"mask": "others"}),
        "box": ("photo.png", {"box": ["30,20,16,16"]}),
        "boxes": ("photo.png", {"box": ["30,20,16,8", "30,28,16,8"]}),
        "color": ("marked.png", {"color": "ff00ff"}),
        "near": ("marked.png", {"color": "#f805fa:8"}),
        "alpha": ("cut.png", {"mask": "alpha"}),
        "grown": ("photo.png", {"box": ["32,22,12,12"], "grow": 2}),
    }
    for way, (photo, options) in ways.items():
        made = np.asarray(imgan.inpaint(photo, model="none", **options))
        assert made.shape == pixels.shape, way
        assert (made[~hole] == pixels[~hole]).all(), way
        assert np.abs(made[hole].astype(int) - pixels[hole]).mean() < 12, way


def test_a_mask_on_a_transparent_layer_is_what_is_drawn_there(here: Path) -> None:
    hole = square((80, 96), 20, 30, 16)
    layer = np.full((80, 96, 4), 255, np.uint8)
    layer[..., 3] = 255 * hole
    write("mask.png", layer)
    request = Inpaint(mask=imgan.references.Reference.of("mask.png"))
    assert (hole_of(Picture(stripes()), request) == hole).all()


@pytest.mark.parametrize(
    ("mask", "options", "line"),
    [
        (np.zeros((80, 96), bool), {}, "the hole is empty: nothing in the mask is white"),
        (np.ones((80, 96), bool), {"mask_black": True}, "nothing in the mask is black"),
        (np.ones((80, 96), bool), {}, "the hole is the whole picture"),
        (np.ones((40, 96), bool), {}, "the mask is 96x40 px and the picture 96x80"),
        (None, {"box": ["96,0,5,5"]}, "the boxes lie beyond the picture"),
        (None, {"color": "ff00ff"}, "nothing has the colour ff00ff"),
        (None, {"mask": "alpha"}, "nothing in it is transparent"),
        (None, {"mask": "masks"}, "masks has no masks called photo.png or photo_mask.png"),
        (None, {"mask": "missing.png"}, "missing.png: cannot be read"),
        (None, {"mask": "photo.txt"}, "photo.txt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_hole_is_told_in_one_line(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    mask: NDArray[np.bool_] | None,
    options: dict[str, Any],
    line: str,
) -> None:
    write("photo.png", stripes())
    write("masks/other.png", stripes())
    Path("photo.txt").write_text("no picture")
    if mask is not None:
        write("mask.png", mask)
        options = {"mask": "mask.png", **options}
    if "mask" in options:
        options["mask"] = imgan.references.Reference.of(options["mask"])
    with pytest.raises(Failure) as told:
        execute(Job(["photo.png"], quiet=True), Inpaint(model="none", **options))
    text = f"{told.value}\n{capsys.readouterr().err}"
    assert line in text
    assert "Traceback" not in text
    assert not Path("photo-inpainted.png").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "name the hole"),
        ({"box": ["1,2,3"]}, "--box 1,2,3"),
        ({"box": ["1,2,0,4"]}, "--box 1,2,0,4"),
        ({"color": "pink"}, "--color pink"),
        ({"box": ["1,2,3,4"], "mask_black": True}, "--mask-black"),
        ({"box": ["1,2,3,4"], "model": "upscale"}, "upscale"),
    ],
)
def test_options_that_make_no_sense_are_misuse(
    here: Path, options: dict[str, Any], line: str
) -> None:
    write("photo.png", stripes())
    with pytest.raises(Misuse, match=line):
        execute(Job(["photo.png"], quiet=True), Inpaint(**options))


def test_what_is_feathered_goes_over_into_the_picture() -> None:
    pixels = stripes()
    hole = square(pixels.shape, 20, 30, 16)
    pixels[grown(hole, 3) & ~hole] = 255
    made = filled(pixels, hole, feather=4).astype(int)
    assert (made[~grown(hole, 4)] == pixels[~grown(hole, 4)]).all()
    ring = grown(hole, 1) & ~hole
    assert made[ring].mean() < 200  # four fifths of what the stripes are


# ── the filling ──


def test_stripes_go_on_through_holes_at_every_border() -> None:
    pixels = stripes()
    for top, left in ((0, 40), (64, 80), (32, 40)):
        hole = square(pixels.shape, top, left, 16)
        made = filled(np.where(hole[..., None], np.uint8(0), pixels), hole)
        assert (made[~hole] == pixels[~hole]).all()
        assert np.abs(made[hole].astype(int) - pixels[hole]).mean() < 12


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3), (8, 60), (33, 17)])
def test_any_size_is_filled(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 90, np.uint8)
    hole = np.zeros(shape, bool)
    hole[shape[0] // 2, shape[1] // 2 :] = True
    if hole.all():
        hole[:] = False
        return
    assert (filled(pixels, hole) == 90).all()


def test_16_bits_stay_16_bits() -> None:
    pixels = stripes().astype(np.uint16) * 257
    hole = square(pixels.shape, 20, 30, 16)
    made = filled(np.where(hole[..., None], np.uint16(0), pixels), hole)  # type: ignore[arg-type]
    assert made.dtype == np.uint16
    assert (made[~hole] == pixels[~hole]).all()
    assert np.abs(made[hole].astype(int) - pixels[hole]).mean() < 12 * 257


def test_a_large_hole_in_grain_is_as_sharp_as_what_surrounds_it() -> None:
    rng = np.random.default_rng(0)
    grain = rng.normal(128, 25, (120, 140, 1)).clip(0, 255).astype(np.uint8)
    pixels = np.repeat(grain, 3, 2)
    hole = square(pixels.shape, 40, 50, 40)
    made = filled(pixels, hole).mean(2)
    steep = np.hypot(*np.gradient(made))
    inside = ~grown(~hole, 2)
    assert 0.7 < steep[inside].mean() / steep[~grown(hole, 2)].mean() < 1.3


def test_what_is_transparent_is_not_copied_and_stays(here: Path) -> None:
    pixels = np.full((80, 96, 3), 200, np.uint8)
    alpha = np.full((80, 96), 255, np.uint8)
    pixels[:, :30], alpha[:, :30] = (255, 0, 0), 0
    picture = Picture(pixels, alpha)
    made = np.asarray(imgan.inpaint(picture, box=["34,30,20,20"], model="none"))
    assert (made[30:50, 34:54, :3] == 200).all()
    assert (made[..., 3] == alpha).all()


def test_scratches_far_apart_are_pieces_of_their_own_that_cover_the_hole() -> None:
    hole = np.zeros((900, 1200), bool)
    hole[100:103, 50:1150] = True
    hole[500:700, 300:420] = True
    covered = np.zeros_like(hole)
    found = list(pieces(hole))
    for piece in found:
        assert not covered[piece.place][piece.own].any()
        covered[piece.place] |= piece.own
    assert (covered == hole).all()
    assert min(piece.thickness for piece in found) < 8
    assert max(piece.thickness for piece in found) > 80
    assert all(piece.own.shape[1] < 900 for piece in found)


def test_a_smooth_surface_spans_a_hole() -> None:
    y, x = np.mgrid[:64, :80].astype(np.float32)
    slope = np.stack([x, y, x + y], 2)
    hole = square(slope.shape, 20, 20, 24)
    span = membrane(np.where(hole[..., None], np.float32(0), slope), hole)
    assert np.abs(span - slope)[hole].max() < 3
    lit = seamless(slope, hole, slope + 30)
    assert np.abs(lit - slope)[hole].max() < 6


def test_masks_grow_and_have_a_depth() -> None:
    hole = square((20, 20), 5, 5, 7)
    assert grown(hole, 2).sum() == 11**2
    assert (grown(hole, 0) == hole).all()
    assert depth(hole, 9).max() == 4
    assert (depth(hole, 2)[hole] > 0).all()


def test_only_usable_patches_are_copied() -> None:
    picture = np.full((60, 80, 3), 100, np.float32)
    picture[:, :30] = 250
    hole = square(picture.shape, 20, 40, 12)
    usable = np.ones_like(hole)
    usable[:, :32] = False
    assert np.abs(fill(picture, hole, usable)[hole] - 100).max() < 1


@dataclass
class Red:
    """A network that says red, whatever it is shown."""

    rim: int
    side: int = 48
    stays: bool = True

    def __call__(self, picture: NDArray[np.float32], hole: NDArray[np.bool_]) -> Any:
        return np.where(hole[..., None], np.float32([200, 0, 0]), picture)


@pytest.mark.parametrize("rim", [0, 8])
def test_what_a_network_says_stays_but_for_a_rim(rim: int) -> None:
    picture = np.full((96, 96, 3), 100, np.float32)
    hole = square(picture.shape, 24, 24, 48)
    made = fill(picture, hole, guess=Red(rim))[..., 0]
    assert made[48, 48] == pytest.approx(200, abs=4)
    at_the_border = made[26, 26:70].mean()
    assert at_the_border > 180 if rim == 0 else at_the_border < 130


# ── as every command ──


def test_a_batch_tells_its_holes_and_goes_on_where_it_was(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write(f"photos/{name}.png", stripes())
        write(f"masks/{name}.png", square((80, 96), 20, 30, 16))
    operation = Inpaint(mask=imgan.references.Reference.of("masks"), model="none")
    execute(Job(["photos"], output="out/", json=True), operation)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in lines] == ["done", "done"]
    assert lines[0]["hole"] == pytest.approx(256 / (80 * 96), abs=1e-4)
    assert lines[0]["models"] == []

    again = Inpaint(mask=imgan.references.Reference.of("masks"), model="none")
    execute(Job(["photos"], output="out/", json=True), again)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["status"] for line in lines} == {"already done"}

    write("masks/b.png", square((80, 96), 40, 30, 16))
    changed = Inpaint(mask=imgan.references.Reference.of("masks"), model="none")
    with pytest.raises(Failure):  # another mask is another result, and nothing is overwritten
        execute(Job(["photos"], output="out/", json=True), changed)


def test_pipes_carry_pictures() -> None:
    given = io.BytesIO()
    Image.fromarray(stripes()).save(given, "png")
    words = ["inpaint", "-", "--box", "30,20,16,16", "--model", "none", "-o", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "imgan.cli", *words], input=given.getvalue(), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    made = np.asarray(Image.open(io.BytesIO(done.stdout)))
    hole = square(made.shape, 20, 30, 16)
    assert (made[~hole] == stripes()[~hole]).all()


# ── the networks ──


def test_shipped_networks_are_asked_by_where_the_hole_is() -> None:
    photo = np.asarray(skimage.data.astronaut()[:320, :320])
    work = Inpainting(Inpaint(), Runtime("cpu", models=Models.installed()))
    for box, name in (((110, 195, 40), "inpaint-faces"), ((200, 20, 40), "inpaint-photos")):
        hole = square(photo.shape, *box)
        made, asked = work.filled(Picture(photo), hole)
        assert asked == [name]
        assert (made[~hole] == photo[~hole]).all()


def test_no_face_is_made_where_a_person_is_taken_away() -> None:
    photo = np.asarray(skimage.data.astronaut()[:320, :320])
    request = Inpaint(box=["150,20,160,170"])
    work = Inpainting(request, Runtime("cpu", models=Models.installed()))
    filling = Filling(
        Picture(photo), hole_of(Picture(photo), request), None, work.runtime.models.find
    )  # type: ignore[arg-type]
    (piece,) = pieces(filling.hole)
    assert filling._face(piece) is None


def test_seams_go_and_edges_stay() -> None:
    hole = square((20, 40), 4, 4, 12) | square((20, 40), 4, 16, 12)
    for step, left in ((20.0, 5.0), (90.0, 90.0)):
        picture = np.full((20, 40, 3), 100, np.float32)
        picture[:, 16:] += step
        flat = np.zeros((20, 40, 6), np.float32)
        flat[:, :-1, :3] = -np.diff(picture, axis=1) * hole[:, :-1, None]
        picture[hole] += smoothed(flat, hole)
        assert picture[10, 16, 0] - picture[10, 15, 0] == pytest.approx(left, abs=5)


def test_every_method_is_measured_in_the_same_holes(here: Path) -> None:
    pytest.importorskip("cv2")
    write("photos/stripes.png", stripes(48, 56))
    header, rows = evaluate(Path("photos"), "none", "cpu")
    assert [row[1] for row in rows[:4]] == ["imgan", "mean", "Telea", "Navier-Stokes"]
    assert [row[0] for row in rows[::4]] == ["10%", "20%", "40%"]
    figures = {(row[0], row[1]): dict(zip(header, row, strict=True)) for row in rows}
    ours, mean = figures["10%", "imgan"], figures["10%", "mean"]
    assert float(ours["PSNR"]) > float(mean["PSNR"]) + 3
    assert float(ours["distance (bundled features)"]) < float(mean["distance (bundled features)"])
    assert 0.7 < float(ours["sharpness"]) < 1.3
    assert float(mean["sharpness"]) < 0.3
