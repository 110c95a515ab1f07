"""`imgan edit`, with an editor and a classifier so small that their answers are known."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner, Result

from imgan import cli, faces
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.celeba import ATTRIBUTES_FILE, held_out, read_faces
from imgan_edit import Edit, Sheet, attribute_classifier, evaluate, occlusion, run, sheet
from imgan_edit.attributes import NAMES, SLUGS, changes, parse

BANGS, SMILING, MALE = SLUGS.index("bangs"), SLUGS.index("smiling"), SLUGS.index("male")


def save(path: Path, nodes: list, inputs: dict, outputs: dict, **constants: NDArray) -> None:
    def values(shapes: dict) -> list:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]

    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", values(inputs), values(outputs), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))


FACE = ["n", 3, 64, 64]


def write_editor(
    path: Path, place: NDArray[np.floating] | None = None, **colours: tuple[float, float, float]
) -> None:
    """An editor that adds a colour for each attribute, in -1..1 at strength 1, to the whole face or
    to a place in it [64, 64]."""
    vectors = np.zeros((40, 3), np.float32)
    for slug, colour in colours.items():
        vectors[SLUGS.index(slug)] = colour
    save(
        path,
        [
            helper.make_node("MatMul", ["change", "vectors"], ["moved"]),
            helper.make_node("Reshape", ["moved", "shape"], ["colour"]),
            helper.make_node("Identity", ["face"], ["reconstruction"]),
            helper.make_node("Mul", ["colour", "place"], ["placed"]),
            helper.make_node("Add", ["reconstruction", "placed"], ["edited"]),
        ],
        {"face": FACE, "change": ["n", 40]},
        {"reconstruction": FACE, "edited": FACE},
        vectors=vectors,
        shape=np.array([-1, 3, 1, 1]),
        place=(np.ones((64, 64)) if place is None else place).astype(np.float32)[None, None],
    )


def write_classifier(path: Path, **colours: tuple[float, float, float]) -> None:
    """A classifier that sees an attribute when the face's mean colour, times these, is above 0.

    It never sees the others.
    """
    weights, bias = np.zeros((3, 40), np.float32), np.full(40, -5, np.float32)
    for slug, colour in colours.items():
        weights[:, SLUGS.index(slug)], bias[SLUGS.index(slug)] = colour, 0
    save(
        path,
        [
            helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["colour"]),
            helper.make_node("Gemm", ["colour", "weights", "bias"], ["output"]),
        ],
        {"input": FACE},
        {"output": ["n", 40]},
        weights=weights,
        bias=bias,
    )


def add_classifier(
    home: Path, monkeypatch: pytest.MonkeyPatch, **colours: tuple[float, float, float]
) -> None:
    """That of `write_classifier`, in the place of the one that ships."""
    write_classifier(home / "classifier.onnx", **colours)
    store.add(home / "classifier.onnx", Description(name="tiny-classifier", operation="evaluate"))
    for module in (attribute_classifier, evaluate):
        monkeypatch.setattr(module, "CLASSIFIER", "tiny-classifier")


def add_finder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is magenta is an occluder."""
    save(
        home / "finder.onnx",
        [
            helper.make_node("Conv", ["input", "weights", "bias"], ["magenta"]),
            helper.make_node(
                "AveragePool", ["magenta"], ["output"], kernel_shape=[4, 4], strides=[4, 4]
            ),
        ],
        {"input": FACE},
        {"output": ["n", 1, 16, 16]},
        weights=np.array([10, -20, 10], np.float32).reshape(1, 3, 1, 1),
        bias=np.array([-30], np.float32),
    )
    store.add(home / "finder.onnx", Description(name="tiny-finder", operation="evaluate"))
    monkeypatch.setattr(occlusion, "MODEL", "tiny-finder")


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor (bangs and male add red, smiling adds green, male takes blue), and a classifier."""
    write_editor(home / "editor.onnx", bangs=(0.5, 0, 0), smiling=(0, 0.5, 0), male=(0.2, 0, -0.5))
    figures = {run.added_figure("bangs"): 0.5, run.removed_figure("bangs"): 1}
    store.add(
        home / "editor.onnx",
        Description(name="tiny-editor", operation="edit", figures=figures),
    )
    add_classifier(home, monkeypatch, bangs=(8, 0, 0), smiling=(0, 8, 0), male=(0, 0, -8))
    add_finder(home, monkeypatch)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The astronaut twice, side by side."""
    face = skimage.data.astronaut()[20:240, 120:340]
    path = tmp_path / "pair.png"
    Image.fromarray(np.concatenate([face, face], axis=1)).save(path)
    return path


def pixels(path: Path) -> NDArray[np.int64]:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def edit(**settings: object) -> Edit:
    return Edit(model="tiny-editor", **settings)  # type: ignore[arg-type]


def job(path: Path | str, **settings: object) -> Job:
    return Job(inputs=[str(path)], device="cpu", **settings)  # type: ignore[arg-type]


def invoke(*arguments: str, stdin: bytes | None = None) -> Result:
    app = cli.build(registry())
    return CliRunner().invoke(app, ["edit", *arguments, "--device", "cpu"], input=stdin)


def test_the_names_are_celebas_forty() -> None:
    assert len(NAMES) == len(set(SLUGS)) == 40
    assert (NAMES[0], NAMES[5], NAMES[39]) == ("5_o_Clock_Shadow", "Bangs", "Young")


@pytest.mark.parametrize("typed", ["blond-hair", "Blond_Hair", "BLONDHAIR", " blond hair "])
def test_names_are_forgiving(typed: str) -> None:
    assert parse([typed]) == {"blond-hair": 1}


def test_names_may_be_repeated_and_joined_by_commas() -> None:
    assert list(parse(["bangs,Smiling", "young", "bangs"])) == ["bangs", "smiling", "young"]


def test_a_number_says_how_much() -> None:
    assert parse(["bangs=0.7, Smiling = 2", "young"]) == {"bangs": 0.7, "smiling": 2, "young": 1}


@pytest.mark.parametrize("typed", ["bangs=", "bangs=much", "bangs=0", "bangs=-1", "bangs=inf"])
def test_a_number_that_means_nothing_is_misuse(typed: str) -> None:
    with pytest.raises(Misuse, match=f"{typed}: give a number above 0"):
        parse([typed])


def test_two_numbers_of_one_attribute_are_misuse() -> None:
    with pytest.raises(Misuse, match=r"bangs has two numbers, 0\.7 and 1"):
        parse(["bangs=0.7", "bangs"])


@pytest.mark.parametrize(
    ("added", "removed"),
    [
        ("bald,bangs", ""),
        ("bangs,bald", ""),
        ("bangs", "bangs"),
        ("black-hair,blond-hair", ""),
        ("mustache,no-beard", ""),
        ("goatee,no-beard", ""),
        ("straight-hair,wavy-hair", ""),
    ],
)
def test_what_cannot_be_had_together_is_misuse_before_anything_is_loaded(
    added: str, removed: str
) -> None:
    wrong = Edit(add=[added], remove=[removed], model="no-such-model")
    with pytest.raises(Misuse, match=r"--add .* and --.* contradict each other"):
        execute(Job(inputs=["no-such-file.png"]), wrong)


@pytest.mark.parametrize(
    ("added", "removed"),
    [("bald", "bangs"), ("bangs,black-hair", "bald"), ("mouth-slightly-open", "smiling")],
)
def test_what_goes_together_is_not(photo: Path, added: str, removed: str) -> None:
    execute(job(photo, output=str(photo.with_name("a.png"))), edit(add=[added], remove=[removed]))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bang", "bangs"),
        ("smilling", "smiling"),
        ("hat", "wearing-hat"),
    ],
)
def test_a_near_miss_gets_did_you_mean(typed: str, meant: str) -> None:
    with pytest.raises(Misuse, match=f"{typed}.*did you mean.*{meant}"):
        parse([typed])


def test_people_say_beard_and_glasses() -> None:
    added, removed = changes(["beard=0.5,glasses"], ["old"])
    assert (added, removed) == ({"eyeglasses": 1, "young": 1}, {"no-beard": 0.5})
    assert changes([], ["beard"]) == ({"no-beard": 1}, {})
    named = Edit(add=["beard", "smile"], remove=["lipstick"])
    assert named.suffix == "smiling-beard-no-wearing-lipstick"
    with pytest.raises(Misuse, match="--add mustache and --remove beard contradict"):
        Edit(add=["moustache"], remove=["beard"]).check()


def test_a_far_miss_names_the_list() -> None:
    with pytest.raises(Misuse, match="--list"):
        parse(["xyzzy"])


def test_the_face_is_edited_and_the_rest_of_the_photo_stays_to_the_bit(photo: Path) -> None:
    execute(job(photo), edit(add=["bangs"]))
    change = pixels(photo.with_name("photo-bangs.png")) - pixels(photo)
    # 0.5 of -1..1 is 64 of 255, in red alone, in the middle of the face.
    assert change[120, 225].tolist() == [min(64, 255 - pixels(photo)[120, 225, 0]), 0, 0]
    assert not change[250:].any()
    assert not change[:, 340:].any()


def test_the_number_multiplies_the_strength(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (109, 89), (128, 128, 128)).save(path)
    execute(job(path), edit(add=["smiling=0.5"], remove=["bangs=2"], strength=0.5, aligned=True))
    edited = pixels(tmp_path / "grey-smiling-no-bangs.png")
    assert edited[44, 54].tolist() == [64, 144, 128]


def test_outputs_are_called_by_what_was_added_and_removed(photo: Path) -> None:
    execute(job(photo), edit(add=["bangs"], remove=["smiling,male"], aligned=True))
    assert photo.with_name("photo-bangs-no-smiling-woman.png").exists()


def test_removing_goes_the_other_way_by_the_strength(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (109, 89), (128, 128, 128)).save(path)
    execute(job(path), edit(remove=["smiling"], strength=0.5, aligned=True))
    edited = pixels(tmp_path / "grey-no-smiling.png")
    assert edited[44, 54].tolist() == [128, 96, 128]
    assert (edited[:, :10] == 128).all()


def test_a_grey_photo_stays_grey(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("L", (90, 90), 100).save(path)
    execute(job(path), edit(add=["smiling"], aligned=True))
    edited = Image.open(tmp_path / "grey-smiling.png")
    assert edited.mode == "L"
    assert edited.getpixel((45, 45)) == 100 + round(63.75 * 0.587)


def test_all_faces_are_edited_and_one_can_be_picked_from_the_left(pair: Path) -> None:
    execute(job(pair), edit(add=["bangs"]))
    execute(job(pair, output=str(pair.with_name("second.png"))), edit(add=["bangs"], face="2"))
    both = (pixels(pair.with_name("pair-bangs.png")) - pixels(pair)).any((0, 2))
    second = (pixels(pair.with_name("second.png")) - pixels(pair)).any((0, 2))
    assert both[:220].any()
    assert both[220:].any()
    assert not second[:200].any()
    assert second[220:].any()


def test_a_box_by_hand_needs_no_search(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.new("RGB", (400, 300), (90, 90, 90)).save(path)
    execute(job(path), edit(add=["bangs"], face="100,100,60,80"))
    changed = (pixels(tmp_path / "plain-bangs.png") != 90).any(2)
    assert changed[140, 130]
    assert not changed[:, 230:].any()


def test_the_facts_name_faces_boxes_and_what_was_edited(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(job(pair, json=True), edit(add=["bangs"], face="2"))
    facts = json.loads(capsys.readouterr().out)
    assert facts["faces"] == 2
    assert facts["boxes"][0][0] < facts["boxes"][1][0]
    assert facts["edited"] == [2]
    assert [edit["face"] for edit in facts["edits"]] == [2]


def test_a_photo_without_a_face_says_what_to_try(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.new("RGB", (100, 100)).save(path)
    with pytest.raises(Failure, match=r"no face found.*--face.*--aligned"):
        execute(job(path), edit(add=["bangs"]))
    assert list(tmp_path.iterdir()) == [path]


def test_a_face_number_beyond_the_faces_fails(photo: Path) -> None:
    with pytest.raises(Failure, match="no face 3: 1 found"):
        execute(job(photo), edit(add=["bangs"], face="3"))


@pytest.mark.parametrize("box", ["600,0,50,50", "0,-80,50,50", "0,0,600,50"])
def test_a_box_that_does_not_fit_the_photo_fails(photo: Path, box: str) -> None:
    with pytest.raises(Failure, match="512x512"):
        execute(job(photo), edit(add=["bangs"], face=box))


@pytest.mark.parametrize("place", [{"face": "9,9,40,47"}, {"aligned": True}])
def test_a_face_under_48_pixels_is_refused(tmp_path: Path, place: dict[str, object]) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (90, 47), (90, 90, 90)).save(path)
    with pytest.raises(Failure, match="is 47 pixels high, and under 48"):
        execute(job(path), edit(add=["bangs"], **place))
    assert list(tmp_path.iterdir()) == [path]


def test_a_patch_that_the_detector_takes_for_a_small_face_is_left_alone(
    photo: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    face = faces.find(skimage.data.astronaut())[0]
    patch = faces.boxed(20, 400, 18, 20)
    monkeypatch.setattr(faces, "find", lambda rgb: [patch, face])
    execute(job(photo, json=True), edit(add=["bangs"], face="1"))
    change = pixels(photo.with_name("photo-bangs.png")) - pixels(photo)
    assert change[:250].any()
    assert not change[250:].any()
    out, err = capfd.readouterr()
    assert json.loads(out)["too_small"] == [[20, 400, 18, 20]]
    assert "1 face under 48 pixels left alone" in err
    monkeypatch.setattr(faces, "find", lambda rgb: [patch])
    with pytest.raises(Failure, match="20 pixels high"):
        execute(job(photo, overwrite=True), edit(add=["bangs"]))


def test_a_profile_is_left_alone_unless_it_is_boxed_by_hand(
    photo: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    front, profile = faces.boxed(20, 20, 60, 80), faces.boxed(300, 300, 60, 80)
    profile.points[2] = profile.points[1] + (3, 20)
    monkeypatch.setattr(faces, "find", lambda rgb: [front, profile])
    execute(job(photo), edit(add=["bangs"]))
    change = pixels(photo.with_name("photo-bangs.png")) - pixels(photo)
    assert change[:200].any()
    assert not change[250:].any()
    assert "face 2 is turned away" in capfd.readouterr().err
    with pytest.raises(Failure, match=r"turned away.*--face x,y,width,height"):
        execute(job(photo, overwrite=True), edit(add=["bangs"], face="2"))


@pytest.mark.parametrize("face", ["", "0", "-1", "1.5", "left", "1,2,3", "1,2,0,4", "nan,1,2,3"])
def test_a_face_that_means_nothing_is_misuse(photo: Path, face: str) -> None:
    with pytest.raises(Misuse, match="--face"):
        execute(job(photo), edit(add=["bangs"], face=face))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"add": ["bangs"], "remove": ["Bangs"]},
        {"add": ["bangs"], "face": "1", "aligned": True},
        {"add": ["bangs"], "model": "tiny-classifier"},
        {"add": ["bangs"], "model": "no-such-model"},
    ],
)
def test_requests_that_contradict_themselves_are_misuse(
    photo: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(Misuse):
        execute(job(photo), Edit(**{"model": "tiny-editor", **settings}))  # type: ignore[arg-type]


def test_the_command_line_takes_several_attributes(photo: Path) -> None:
    arguments = ["--add", "bangs", "--add", "male", "--remove", "smiling", "--strength", "1.5"]
    result = invoke(str(photo), *arguments, "--model", "tiny-editor", "--json")
    assert result.exit_code == 0, result.output
    assert photo.with_name("photo-bangs-male-no-smiling.png").exists()


def test_the_list_shows_the_cards_figures_without_an_input() -> None:
    result = invoke("--list", "--model", "tiny-editor")
    lines = result.stdout.splitlines()
    assert len(lines) == 40
    assert lines[BANGS].split() == ["bangs", "50%", "100%"]
    assert "not measured" in lines[SMILING]


def test_the_list_is_json_for_scripts() -> None:
    result = invoke("--list", "--json", "--model", "tiny-editor")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[BANGS] == {"attribute": "bangs", "added": 0.5, "removed": 1}


def test_the_sheet_shows_the_face_under_every_attribute(photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    execute(job(photo, output=str(target)), replace(edit(), sheet=Sheet.attributes))
    shown = pixels(target)
    assert shown.shape == (6 * (sheet.TILE + sheet.LABEL), sheet.COLUMNS * sheet.TILE, 3)
    assert centre(shown, 0).tolist() == centre(shown, 1).tolist()
    assert (centre(shown, 1 + MALE) - centre(shown, 0))[2] < -50
    labels = shown[sheet.TILE : sheet.TILE + sheet.LABEL, : sheet.TILE]
    assert labels.min() < 100
    with pytest.raises(Failure, match=r"sheet\.png"):
        execute(job(photo, output=str(target)), edit(sheet=Sheet.attributes, strength=2))


def test_the_sheet_of_strengths_shows_what_is_named_ever_stronger(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (90, 90), (128, 128, 128)).save(path)
    named = edit(add=["bangs=0.5"], aligned=True, strength=2)
    execute(job(path), replace(named, sheet=Sheet.strength))
    shown = pixels(tmp_path / "grey-strength-sheet.png")
    reds = [int(centre(shown, index)[0]) for index in range(1 + len(run.STEPS))]
    assert reds[:5] == [128, 144, 160, 176, 192]
    assert reds == sorted(reds)


def centre(shown: NDArray[np.int64], index: int) -> NDArray[np.int64]:
    """The colour in the middle of a tile of a sheet."""
    row, column = divmod(index, sheet.COLUMNS)
    half = sheet.TILE // 2
    return shown[row * (sheet.TILE + sheet.LABEL) + half, column * sheet.TILE + half]


def test_the_sheet_reads_standard_input(photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    arguments = ["-", "--sheet", "attributes", "-o", str(target), "--model", "tiny-editor"]
    result = invoke(*arguments, stdin=photo.read_bytes())
    assert result.exit_code == 0, result.output
    assert target.exists()


def test_a_sheet_says_which_options_it_has_no_use_for(photo: Path) -> None:
    with pytest.raises(Misuse, match="leave --add"):
        execute(job(photo), replace(edit(add=["bangs"]), sheet=Sheet.attributes))
    with pytest.raises(Misuse, match="with --add"):
        execute(job(photo), replace(edit(), sheet=Sheet.strength))
    with pytest.raises(Misuse, match="leave --max-drift"):
        execute(job(photo), replace(edit(max_drift=0.1), sheet=Sheet.attributes))


def test_the_soft_mask_is_one_inside_and_zero_along_the_border() -> None:
    mask = faces.soft_mask(64, 0.35)
    assert mask[32, 32] == 1
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not border.any()
    assert np.abs(np.diff(mask, axis=0)).max() < 0.15


def test_the_evaluation_counts_what_the_classifier_sees(tmp_path: Path) -> None:
    # Two faces without bangs, near enough to red that adding shows in one of them only.
    for name, red in [("1.jpg", 100), ("2.jpg", 40), ("3.jpg", 220)]:
        Image.new("RGB", (89, 109), (red, 100, 200)).save(tmp_path / name, quality=100)
    header, rows = evaluate.evaluate(tmp_path, "tiny-editor", "cpu")
    assert header == ("figure", "faces", "tiny-editor", "tiny-editor: others moved", "real")
    assert {len(row) for row in rows} == {len(header)}
    figures = {name: cells for name, *cells in rows}
    assert len(figures) == len(rows) == 2 * 41 + len(evaluate.SUMMARY)
    assert figures["bangs added"] == ["2", "0.50", "0.000", "-"]
    assert figures["bangs removed"] == ["1", "0.00", "0.000", "-"]
    assert figures["smiling added"][:2] == ["3", "1.00"]
    assert figures["smiling removed"] == ["0", "-", "-", "-"]
    # Male takes red along: bangs move, 38 others do not.
    assert 0.001 < float(figures["male added"][2]) < 1 / 39
    added = [float(figures[f"{slug} added"][1]) for slug in SLUGS if slug != "male"]
    assert float(figures["mean added"][1]) == pytest.approx(np.mean(added), abs=0.03)
    # The classifier sees bangs in the third face alone; the list has them in the second as well.
    lines = [f"{n}.jpg {' '.join(['1' if n > 1 else '-1'] * len(SLUGS))}" for n in (1, 2, 3)]
    listing = "\n".join(["3", " ".join(NAMES), *lines])
    (tmp_path / ATTRIBUTES_FILE).write_text(listing)
    labelled = {
        name: cells for name, *cells in evaluate.evaluate(tmp_path, "tiny-editor", "cpu")[1]
    }
    assert labelled["bangs added"] == ["2", "0.50", "0.000", "0.50"]
    assert labelled["bangs removed"] == ["1", "0.00", "0.000", "1.00"]
    assert figures["largest change where none is meant"][1] == "0"
    assert 0 < float(figures["seconds an edit"][1]) < 1


def test_the_evaluation_of_an_empty_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no picture in it"):
        evaluate.evaluate(tmp_path, "tiny-editor", "cpu")


def test_the_faces_held_out_are_the_last_by_name(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    for index in range(502):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (0, 0, 255 if index < 2 else 0)).save(buffer, "JPEG")
        (tmp_path / "img" / f"{index:06}.jpg").write_bytes(buffer.getvalue())
    faces = read_faces(held_out(tmp_path), 64)
    assert faces.shape == (500, 64, 64, 3)
    assert faces.max() < 10
