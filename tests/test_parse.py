"""The parts of faces: masks at the photo's own size, soft, and along the photo's edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from onnx import TensorProto, helper, numpy_helper, save_model
from PIL import Image

from imgan import faces
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.faces.alignment import placement
from imgan.images import Picture
from imgan.images.tensors import Bytes
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import Models
from imgan_parse import CLASSES, MIRRORED, PARTS, Parse, ParserSettings, evaluate
from imgan_parse.matte import Matte
from imgan_parse.parser import Parser
from imgan_parse.sheet import COLOURS
from imgan_parse.training.data import ALIGNED, MARGIN, UNKNOWN, ParsedFaces
from imgan_parse.training.parser import ParserTask

SKIN, HAIR, GREY = (230, 170, 140), (200, 30, 30), 100


def write_network(path: Path) -> Path:
    """A network that takes colours for parts: what is like SKIN for skin, like HAIR for hair."""
    weight, bias = np.zeros((len(CLASSES), 3), np.float32), np.full(len(CLASSES), -99, np.float32)
    for name, colour in (("background", [GREY] * 3), ("skin", SKIN), ("hair", HAIR)):
        # -4 |x - colour|^2 less what is the same for all
        centre = np.array(colour, np.float32) / 127.5 - 1
        weight[CLASSES.index(name)] = 8 * 5 * centre
        bias[CLASSES.index(name)] = -4 * 5 * centre @ centre
    sizes = ["n", "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input", "weight", "bias"], ["logits"])],
        "colours",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [sizes[0], 3, *sizes[1:]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [sizes[0], 19, *sizes[1:]])],
        [
            numpy_helper.from_array(weight[..., None, None], "weight"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, path)
    return path


@pytest.fixture
def parser(tmp_path: Path) -> Parser:
    return Parser(open_session(write_network(tmp_path / "colours.onnx"), "cpu"))


def portrait(side: int) -> Picture:
    """A disc of skin under a cap of hair, on grey, whose square is `side` pixels in the middle of
    twice as many."""
    y, x = (np.mgrid[: 2 * side, : 2 * side] + 0.5) / side - 1
    pixels = np.full((2 * side, 2 * side, 3), GREY, np.uint8)
    pixels[x**2 + y**2 < 0.16] = HAIR
    pixels[(x**2 + y**2 < 0.16) & (y > -0.1)] = SKIN
    return Picture(pixels)


def middle(side: int) -> faces.Face:
    """The face of a portrait."""
    start = side / 2
    return faces.Face((start, start, side, side), start + faces.TEMPLATE * side)


@pytest.mark.parametrize("side", [40, 500])
def test_masks_have_the_size_of_the_box_and_the_edges_of_the_photo(
    parser: Parser, side: int
) -> None:
    photo = portrait(side)
    parts = parser.parse(photo, middle(side))
    x, y, width, height = parts.box
    for name, colour in (("skin", SKIN), ("hair", HAIR)):
        mask = parts[name]
        assert (mask.shape, mask.dtype) == ((height, width), np.float32)
        truth = (photo.pixels[y : y + height, x : x + width] == colour).all(2)
        assert np.abs(mask - truth).mean() < 0.01
        assert mask[truth].mean() > 0.9
        assert mask[~truth].max() < 0.3
    assert not parts["hat"].any()


def test_masks_are_soft_where_the_photo_is(parser: Parser) -> None:
    photo = portrait(200)
    slope = np.linspace(0, 1, 40)[:, None, None]
    photo.pixels[160:200] = np.rint((1 - slope) * HAIR + slope * np.array(SKIN))
    parts = parser.parse(photo, middle(200), (180, 140, 40, 80))
    along = parts["skin"].mean(1)
    assert along[:10].max() < 0.15
    assert along[-10:].min() > 0.85
    assert ((along > 0.05) & (along < 0.95)).sum() >= 2
    assert (np.diff(along) > -0.01).all()


def test_all_masks_together_are_one_and_the_rim_is_background(parser: Parser) -> None:
    photo = Picture(np.full((300, 300, 3), SKIN, np.uint8))
    parts = parser.parse(photo, middle(100), (0, 0, 300, 300))
    assert np.allclose(sum(parts[name] for name in CLASSES), 1, atol=0.02)
    assert parts["skin"][60:140, 60:140].min() > 0.98
    assert parts["background"][220:].min() > 0.98


def test_masks_of_another_size_show_the_same(parser: Parser) -> None:
    parts = parser.parse(portrait(200), middle(200))
    height, width = parts.pixels.shape[:2]
    small = parts.at(height // 2, width // 2)
    assert small.keys() == dict(parts).keys()
    assert (
        np.abs(small["hair"] - parts["hair"][1::2, 1::2][: height // 2, : width // 2]).mean() < 0.01
    )
    assert np.allclose(parts.part("hair", "skin"), parts["hair"] + parts["skin"], atol=1e-6)


def test_a_face_that_leans_and_leaves_the_photo(parser: Parser) -> None:
    photo, face = portrait(200), middle(200)
    turned = Picture(np.ascontiguousarray(np.rot90(photo.pixels))[:, :220])
    x, y = face.points.T
    leaning = faces.Face(face.box, np.stack([y, 400 - x], 1))
    parts = parser.parse(turned, leaning)
    left, top, width, height = parts.box
    assert 0 <= left < left + width <= 220
    assert 0 <= top < top + height <= 400
    truth = (parts.pixels == HAIR).all(2)
    assert np.abs(parts["hair"] - truth).mean() < 0.01


def test_a_matte_finds_the_edges_of_what_was_blurred() -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[:, 33:] = (250, 120, 30)
    slope = np.clip((np.arange(60, dtype=np.float32) - 29) / 8, 0, 1)
    blurred = np.broadcast_to(slope, (60, 60))
    plane = Matte(picture, blurred[None], 8).plane(0, picture)
    assert plane[:, :30].max() < 0.2
    assert plane[:, 36:].min() > 0.8
    assert (plane[:, 33] - plane[:, 32]).min() > 0.5 > 3 * np.diff(blurred).max()


def test_names_of_parts_and_of_what_is_mirrored() -> None:
    assert {name for names in PARTS.values() for name in names} == set(CLASSES)
    assert CLASSES[MIRRORED[CLASSES.index("left_eye")]] == "right_eye"
    assert MIRRORED[CLASSES.index("hair")] == CLASSES.index("hair")
    assert len({tuple(colour) for colour in COLOURS}) == len(CLASSES)


def test_the_shipped_network_sees_hair_and_skin() -> None:
    photo = skimage.data.astronaut()
    (face,) = faces.find(photo)
    parts = Parser.open("cpu").parse(Picture(photo), face, (0, 0, 512, 512))
    left, right, nose, *_ = face.points.astype(int)
    assert parts["nose"][nose[1] - 2, nose[0]] > 0.8
    assert parts["skin"][left[1] + 20, left[0]] > 0.8
    assert parts["hair"][60:80, 210:280].mean() > 0.7
    assert parts["background"][20:80, 320:360].min() > 0.9
    assert parts["left_eye"][left[1], left[0]] + parts["right_eye"][right[1], right[0]] > 0.8


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of colours, installed, and two faces found in photos [100, 200]."""
    store.add(write_network(tmp_path / "tiny.onnx"), Description(name="tiny", operation="parse"))
    found = [middle(50), faces.Face((125, 25, 50, 50), middle(50).points + np.array([100, 0]))]
    monkeypatch.setattr(faces, "find", lambda rgb: found if rgb.std() else [])


def run(path: Path, **settings: object) -> None:
    options = Parse(model="tiny", **settings)  # type: ignore[arg-type]
    execute(Job([str(path)], device="cpu"), options)


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    pixels = np.concatenate([portrait(50).pixels, portrait(50).pixels], 1)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.usefixtures("tiny")
def test_a_mask_is_grey_and_white_at_the_parts_of_all_faces(pair: Path) -> None:
    run(pair, part="hair, skin")
    with Image.open(pair.with_name("photo-hair-skin.png")) as image:
        assert (image.mode, image.size) == ("L", (200, 100))
        mask = np.asarray(image)
    for x in (50, 150):
        assert mask[40:60, x - 10 : x + 10].min() > 250
    assert mask[:10].max() == mask[:, 95:105].max() == 0
    run(pair, part="background")
    assert (
        np.abs(255 - np.asarray(Image.open(pair.with_name("photo-background.png"))) - mask).max()
        < 9
    )


@pytest.mark.usefixtures("tiny")
def test_a_sheet_shows_the_photo_in_colours_above_a_legend(pair: Path) -> None:
    run(pair, sheet=True)
    sheet = np.asarray(Image.open(pair.with_name("photo-parts.png")).convert("RGB"))
    photo = np.asarray(Image.open(pair))
    assert sheet.shape[0] > 110
    assert (sheet[:10, :200] == photo[:10]).all()
    hair = 0.4 * np.array(HAIR) + 0.6 * COLOURS[CLASSES.index("hair")]
    assert np.abs(sheet[38, 50] - hair).max() < 3


@pytest.mark.usefixtures("tiny")
def test_a_photo_without_a_face_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    Image.new("RGB", (200, 100), (GREY,) * 3).save(path)
    with pytest.raises(Failure, match="no face found"):
        run(path, part="hair")
    assert not path.with_name("wall-hair.png").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "name what is to be white"),
        ({"part": "hair", "sheet": True}, "leave --part out"),
        ({"part": "hair,nsoe"}, "no part is called 'nsoe'; did you mean nose"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(Misuse, match=words):
        Parse(**settings).check()  # type: ignore[arg-type]


def test_parts_may_be_classes_and_are_listed() -> None:
    assert Parse(part="left-eye,lips").classes == {"left_eye", "upper_lip", "lower_lip"}
    assert [row[0] for row in Parse().listing(Models()).rows] == list(PARTS)


@pytest.mark.usefixtures("tiny")
def test_intersection_over_union_is_measured(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    photo = portrait(40).pixels
    classes = np.zeros(photo.shape[:2], np.uint8)
    classes[(photo == SKIN).all(2)] = CLASSES.index("skin")
    classes[: len(classes) // 2][(photo == HAIR).all(2)[: len(classes) // 2]] = CLASSES.index(
        "hair"
    )
    Image.fromarray(photo).save(tmp_path / "images" / "0.png")
    Image.fromarray(classes).save(tmp_path / "masks" / "0.png")
    header, rows = evaluate.evaluate(tmp_path, "tiny", "cpu")
    figures = {name: (count, float(iou)) for name, count, iou in rows}
    assert len(header) == 3
    assert figures["skin"][0] == "1"
    assert figures["skin"][1] > 0.9 < figures["hair"][1]
    assert np.isnan(figures["hat"][1])
    both = [np.array([True, True, False])], [np.array([True, False, True])]
    assert evaluate.iou(*both) == pytest.approx(1 / 3)


def test_labels_of_the_other_side_are_mended_and_unknown_ones_stay(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "images" / "0.png")
    classes = np.full((20, 20), 255, np.uint8)
    classes[5, 3], classes[5, 16] = CLASSES.index("right_eye"), CLASSES.index("left_eye")
    Image.fromarray(classes).save(tmp_path / "masks" / "0.png")
    (mask,) = ParsedFaces(tmp_path).masks
    assert CLASSES[mask[5, 3]] == "left_eye"
    assert CLASSES[mask[5, 16]] == "right_eye"
    assert mask[0, 0] == UNKNOWN
    pixels, varied = ParsedFaces(tmp_path).varied(0, 32, np.random.default_rng(0))
    assert (pixels.shape, varied.shape) == ((32, 32, 3), (32, 32))
    Image.fromarray(np.full((20, 20), 30, np.uint8)).save(tmp_path / "masks" / "0.png")
    with pytest.raises(Failure, match="not the classes 0 to 18"):
        ParsedFaces(tmp_path)


def write_faces(folder: Path, count: int, pixels: Bytes, classes: Bytes) -> Path:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for name in range(count):
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        Image.fromarray(classes).save(folder / "masks" / f"{name}.png")
    return folder


def test_more_faces_are_squares_as_align_gives_them(tmp_path: Path) -> None:
    photo = portrait(120)
    face = faces.boxed(40, 40, 40, 40)
    square = faces.align(photo, face, 96, MARGIN)
    eyes = placement(face, 96, MARGIN)[:2] @ np.c_[face.points[:2], [1, 1]].T
    classes = np.zeros((96, 96), np.uint8)
    for (x, y), name in zip(eyes.T.astype(int), ("left_eye", "right_eye"), strict=True):
        classes[y - 1 : y + 2, x - 1 : x + 2] = CLASSES.index(name)
    more = ParsedFaces(write_faces(tmp_path, 1, square, classes), square=ALIGNED)
    rng = np.random.default_rng(0)
    middles = []
    for _ in range(40):
        y, x = np.nonzero(np.isin(more.varied(0, 64, rng)[1], [4, 5]))
        middles.append([x.mean() / 64, y.mean() / 64])
    # where CelebA's alignment has the middle between the eyes, seen from 0.66 to 2.1 squares
    assert np.mean(middles, 0) == pytest.approx([0.5, 0.51], abs=0.05)


def test_half_of_what_is_learned_from_was_labelled_by_people(tmp_path: Path) -> None:
    pixels, classes = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
    data = write_faces(tmp_path / "labelled", 42, pixels, classes)
    more = write_faces(tmp_path / "more", 6, pixels, classes)
    task = ParserTask(data, ParserSettings(width=2, size=32, more=str(more)))
    assert len(task.chances) == 2 + 6
    assert task.chances[:2].sum() == pytest.approx(0.5)
