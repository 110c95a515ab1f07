"""The engine `residual` of `imgan edit`, and how edits come to a photo's own resolution."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from test_edit import add_finder, centre, invoke, job, pixels, save, write_editor, write_judge

from imgan import faces
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.faces import TEMPLATE
from imgan.images import Picture
from imgan.metrics import perceptual
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit import Edit, ResidualSettings, Sheet, evaluate, judge, sheet
from imgan_edit.attributes import RESIDUAL, SLUGS
from imgan_edit.engines import open_editor
from imgan_edit.reach import agreement, reach
from imgan_edit.stroke import enlarged
from imgan_edit.train_residual import ResidualTask
from imgan_exporters.families import residual_editor

SIZE = 32
GREY = 100
HAIR = {"blond-hair": (0.25, 0, 0), "brown-hair": (0, 0.25, 0), "black-hair": (0, 0, 0.25)}


def cpu() -> Runtime:
    return Runtime("cpu", Models.installed())


def write_residual(
    path: Path, mask: NDArray[np.floating], **colours: tuple[float, float, float]
) -> None:
    """An editor that adds a colour for each attribute, in -1..1 at strength 1, by the mask."""
    vectors = np.zeros((len(RESIDUAL), 3), np.float32)
    for slug, colour in colours.items():
        vectors[RESIDUAL.index(slug)] = colour
    side = len(mask)
    face = ["n", 3, side, side]
    save(
        path,
        [
            helper.make_node("MatMul", ["change", "vectors"], ["moved"]),
            helper.make_node("Reshape", ["moved", "shape"], ["colour"]),
            helper.make_node("Mul", ["face", "nothing"], ["still"]),
            helper.make_node("Add", ["still", "colour"], ["residual"]),
            helper.make_node("ReduceMean", ["still", "channels"], ["flat"]),
            helper.make_node("Add", ["flat", "place"], ["mask"]),
        ],
        {"face": face, "change": ["n", len(RESIDUAL)]},
        {"residual": face, "mask": ["n", 1, side, side]},
        vectors=vectors,
        shape=np.array([-1, 3, 1, 1]),
        nothing=np.zeros(1, np.float32),
        channels=np.array([1]),
        place=mask[None, None].astype(np.float32),
    )


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hair has a colour, a quarter of -1..1 or half of it; the judge sees which it is."""
    light = (0.1, 0.1, 0.1)
    write_residual(home / "editor.onnx", np.ones((SIZE, SIZE)), smiling=light, bangs=light, **HAIR)
    red = (32, 0, 0)
    write_judge(home / "judge.onnx", **{"brown-hair": red, "bangs": red})
    layers = perceptual.SCALES
    any_size = ["n", 3, "h", "w"]
    same = [helper.make_node("Identity", ["input"], [layer]) for layer in layers]
    save(home / "features.onnx", same, {"input": any_size}, dict.fromkeys(layers, any_size))
    for name, operation in (("editor", "edit"), ("judge", "evaluate"), ("features", "features")):
        store.add(home / f"{name}.onnx", Description(name=f"tiny-{name}", operation=operation))
    monkeypatch.setattr(judge, "JUDGE", "tiny-judge")
    monkeypatch.setattr(perceptual, "MODEL", "tiny-features")
    add_finder(home, monkeypatch)


def drawn(path: Path, red: int = GREY) -> Path:
    """One colour, which is taken for a face; the judge sees brown hair if it is red."""
    Image.new("RGB", (96, 96), (red, GREY, GREY)).save(path)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return drawn(tmp_path / "face.png")


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


def wish(**settings: object) -> Edit:
    return Edit(**{"model": "tiny-editor", "aligned": True, **settings})  # type: ignore[arg-type]


def moved(path: Path, **settings: object) -> list[int]:
    """By how much an edit changes the middle of a picture."""
    target = path.with_name("edited.png")
    receipt = settings.pop("receipt", None)
    execute(job(path, output=str(target), overwrite=True, receipt=receipt), wish(**settings))
    return (pixels(target) - pixels(path))[48, 48].tolist()


@pytest.mark.parametrize("gain", [0.5, 2])
def test_a_card_may_make_edits_stronger(plain: Path, home: Path, gain: float) -> None:
    store.add(
        home / "editor.onnx",
        Description(name="tiny-stronger", operation="edit", traits={"gain": gain}),
    )
    assert moved(plain, add=["blond-hair"], model="tiny-stronger") == [gain * 32, 0, 0]


def test_mask_times_residual_arrives_in_the_photo_and_fades_to_its_border(plain: Path) -> None:
    # A quarter of -1..1 is 32 of 255.
    assert moved(plain, add=["blond-hair"]) == [32, 0, 0]
    edited = pixels(plain.with_name("edited.png"))
    assert (edited[[0, -1]] == GREY).all()
    assert (edited[:, [0, -1]] == GREY).all()
    steps = np.abs(np.diff(edited[48, :, 0]))
    assert steps.max() < 10
    assert moved(plain, add=["blond-hair=0.5"], remove=["smiling"], strength=2) == [6, -26, -26]


def test_what_is_of_the_face_leaves_the_hair_alone(plain: Path) -> None:
    target = plain.with_name("edited.png")
    for wished, reaches in (("smiling", False), ("blond-hair", True), ("smiling,bangs", True)):
        moved(plain, add=wished.split(","))
        change = (pixels(target) - pixels(plain))[..., 0]
        # At the brows and the chin, and where hair hangs beside the eyes.
        assert change[[44, 84], 48].all()
        assert change[50, [10, 86]].all() == reaches, wished


def test_a_mask_that_is_all_but_closed_changes_nothing(home: Path, plain: Path) -> None:
    write_residual(home / "closed.onnx", np.full((SIZE, SIZE), 1 / 150), smiling=(2, 2, 2))
    store.add(home / "closed.onnx", Description(name="closed", operation="edit"))
    with pytest.raises(Failure, match="is not changed by the network"):
        moved(plain, add=["smiling"], model="closed")


def test_no_strength_leaves_the_photo_to_the_bit(portrait: Path) -> None:
    execute(job(portrait), wish(add=["blond-hair"], strength=0, aligned=False))
    assert np.array_equal(pixels(portrait.with_name("photo-blond-hair.png")), pixels(portrait))


def test_who_stops_smiling_closes_an_open_mouth_unless_it_is_asked_for() -> None:
    editor = open_editor(store.find(store.installed(), "tiny-editor", "edit"), cpu())
    change, chances = np.zeros((2, len(SLUGS)), np.float32)
    change[SLUGS.index("smiling")] = -0.5
    mouth = SLUGS.index("mouth-slightly-open")
    assert np.array_equal(editor.completed(change, chances), change)
    chances[mouth] = 0.9
    done = editor.completed(change, chances)
    assert {SLUGS[i]: done[i] for i in np.flatnonzero(done)} == {
        "smiling": -0.5,
        "mouth-slightly-open": -0.5,
    }
    change[mouth] = 0.25
    assert np.array_equal(editor.completed(change, chances), change)


def test_no_classifier_is_asked_of_what_the_engine_does_not_edit() -> None:
    editor = open_editor(store.find(store.installed(), "tiny-editor", "edit"), cpu())
    for slug, asked in (("heavy-makeup", False), ("young", False), ("smiling", True)):
        assert editor.implies((np.array(SLUGS) == slug).astype(np.float32)) == asked


def test_an_attribute_that_the_engine_does_not_know_is_misuse_with_those_that_it_knows(
    plain: Path,
) -> None:
    says = f"does not edit big-lips, only {', '.join(RESIDUAL)}; --engine vector knows all 40"
    with pytest.raises(Misuse, match=says):
        execute(job(plain), wish(add=["bangs,big-lips"]))
    with pytest.raises(Misuse, match=says):
        execute(job(plain), replace(wish(remove=["big-lips"]), sheet=Sheet.strength))


def test_who_becomes_blond_loses_the_colour_that_the_hair_has_and_no_other(tmp_path: Path) -> None:
    brown = drawn(tmp_path / "brown.png", 150)
    other = drawn(tmp_path / "other.png", 100)
    assert moved(other, add=["blond-hair"]) == [32, 0, 0]
    assert moved(brown, add=["blond-hair"]) == [32, -32, 0]
    assert moved(brown, add=["blond-hair=0.5"]) == [16, -16, 0]
    # What is asked for in so many words stays as it was asked for.
    assert moved(brown, add=["blond-hair"], remove=["brown-hair=0.25"]) == [32, -8, 0]
    assert moved(brown, add=["smiling"]) == [13, 13, 13]


def test_every_network_that_has_a_say_is_part_of_what_a_result_was_made_from() -> None:
    models = Models.installed()
    assert [len(wish(**settings).cards(models)) for settings in ({}, {"max_drift": 1})] == [3, 5]


def test_list_and_sheet_have_the_seventeen(plain: Path, tmp_path: Path) -> None:
    lines = invoke("--list", "--model", "tiny-editor").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(RESIDUAL)
    brown = drawn(tmp_path / "brown.png", 150)
    target = tmp_path / "sheet.png"
    execute(job(brown, output=str(target)), replace(wish(), sheet=Sheet.attributes))
    shown = pixels(target)
    assert len(shown) == 3 * (sheet.TILE + sheet.LABEL)
    became = centre(shown, 1 + RESIDUAL.index("blond-hair")) - centre(shown, 0)
    assert became.tolist() == [32, -32, 0]


def test_strength_is_raised_and_limited_as_with_the_other_engine(plain: Path) -> None:
    target = plain.with_name("r.json")
    settings = {"add": ["bangs"], "auto_strength": True, "max_drift": 9, "receipt": str(target)}
    moved(plain, **settings)
    (fact,) = json.loads(target.read_text())["edits"]
    assert fact["ended"] == "seen by the classifier"
    assert fact["attributes"]["bangs"]["before"] < 0.5 < fact["attributes"]["bangs"]["after"]
    assert 2 < fact["strength"] <= 3
    plain.with_name("edited.png").unlink()
    with pytest.raises(Failure, match=r"even at strength 0\.25 the other attributes moved by"):
        execute(job(plain), wish(add=["bangs"], auto_strength=True, max_drift=1e-6))


def test_an_edit_that_moves_the_identity_is_refused_though_no_attribute_moved(plain: Path) -> None:
    # The judge looks at red alone, and the features are the colours.
    with pytest.raises(Failure, match=r"face 1: identity moved by 0\.\d+, over --max-drift 0\.01"):
        execute(job(plain), wish(add=["black-hair"], max_drift=0.01))
    assert not plain.with_name("face-black-hair.png").exists()
    execute(job(plain), wish(add=["black-hair"], max_drift=5))


def test_a_network_of_neither_engine_is_no_editor(home: Path) -> None:
    card = store.add(home / "judge.onnx", Description(name="other", operation="edit"))
    with pytest.raises(Failure, match="model other is no editor"):
        open_editor(card, cpu())


@pytest.mark.parametrize("size", [64, 128])
def test_what_training_exports_is_run_at_the_size_that_its_file_says(
    home: Path, portrait: Path, size: int
) -> None:
    settings = ResidualSettings(size=size, width=3, critic_width=2)
    task, target = ResidualTask(home, settings), home / "trained.onnx"
    description = Description(name="trained", operation="edit")
    residual_editor(task, target, description, half=True, overwrite=False)
    editor = open_editor(store.add(target, description), cpu())
    assert (editor.name, editor.size) == ("residual", size)
    execute(job(portrait), wish(add=["smiling"], model="trained", strength=50, aligned=False))
    change = pixels(portrait.with_name("photo-smiling.png")) - pixels(portrait)
    assert change[:250].any()
    assert not change[260:].any()


def test_vector_encodes_a_face_once_for_all_its_changes() -> None:
    shipped = open_editor(store.find(store.installed(), "edit-vector"), cpu())
    crops = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    changes = np.eye(40, dtype=np.float32)[:3]
    together, apart = shipped(crops, changes), shipped(np.repeat(crops, 3, 0), changes)
    np.testing.assert_allclose(together, apart, atol=1e-3)
    assert np.abs(together[0] - together[1]).max() > 1


def test_the_evaluation_has_columns_for_every_engine(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One face becomes brown, which the other is and does not stay.
    for name, red in (("1", 120), ("2", 150)):
        drawn(tmp_path / f"{name}.png", red)
    write_editor(home / "vector.onnx", **{"big-lips": (1, 0, 0), "brown-hair": (0.01, 0, 0)})
    write_residual(
        home / "residual.onnx", np.ones((SIZE, SIZE)), **dict.fromkeys(RESIDUAL, (0.5, 0, 0))
    )
    for engine in ("vector", "residual"):
        store.add(home / f"{engine}.onnx", Description(name=f"tiny-{engine}", operation="edit"))
    monkeypatch.setattr(evaluate, "ENGINES", ("tiny-residual", "tiny-vector"))
    header, rows = evaluate.evaluate(tmp_path, None, "cpu")
    assert header[2::2] == ("tiny-residual", "tiny-vector", "real")
    figures = {name: cells for name, *cells in rows}
    assert figures["brown-hair added"][:2] == ["1", "1.00"]
    assert figures["brown-hair removed"][:2] == ["1", "1.00"]
    assert figures["brown-hair added"][3] == "0.00"
    assert figures["big-lips added"][1:3] == ["-", "-"]
    assert figures["big-lips added"][3] == "0.00"
    # Of the seventeen, which both know, the judge sees two.
    assert figures["mean added"][1] == f"{2 / 17:.2f}"
    assert figures["mean removed"][1] == "1.00"
    assert float(figures["similarity after an edit (features, conv5_3)"][1]) < 0.99
    assert float(figures["similarity after an edit (features, conv5_3)"][3]) > 0.99


MOUTH = TEMPLATE[3:].mean(0)


def spot(size: int) -> NDArray[np.float64]:
    """A mask over the mouth."""
    centres = (np.arange(size) + 0.5) / size
    distance = np.hypot(centres - MOUTH[0], centres[:, None] - MOUTH[1])
    return (1 - distance / 0.08).clip(0, 1)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(("scale", "angle"), [(0.5, 0), (1, 30), (1, 90), (1, 200), (4, -20)])
def test_an_edit_finds_its_place_in_small_large_leaning_and_lying_faces(
    tmp_path: Path, home: Path, size: int, scale: float, angle: float
) -> None:
    photo = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 390, 330))
    turned = photo.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
    side = round(330 * scale)
    path = tmp_path / "photo.png"
    turned.resize((side, side), Image.Resampling.LANCZOS).save(path)
    write_residual(home / "spot.onnx", spot(size), smiling=(-1, -1, -1))
    store.add(home / "spot.onnx", Description(name="spot", operation="edit"))
    execute(job(path), wish(add=["smiling"], model="spot", aligned=False))
    change = np.abs(pixels(tmp_path / "photo-smiling.png") - pixels(path)).sum(2)
    rows, columns = np.indices(change.shape) + 0.5
    found = np.array([(columns * change).sum(), (rows * change).sum()]) / change.sum() / scale
    # The middle of the mouth, read off the upright picture, turned about the middle of the crop.
    z = complex(224 - 60, 143) - complex(165, 165)
    z = z * np.exp(-1j * np.radians(angle)) + complex(165, 165)
    np.testing.assert_allclose(found, [z.real, z.imag], atol=5)
    assert not change[np.hypot(columns / scale - z.real, rows / scale - z.imag) > 60].any()


def test_a_face_that_the_edge_cuts_off_is_left_alone(
    portrait: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = faces.boxed(20, 20, 60, 80), faces.boxed(470, 300, 60, 80)
    monkeypatch.setattr(faces, "find", lambda rgb: [whole, cut])
    target = portrait.with_name("photo-smiling.png")
    execute(job(portrait, json=True), wish(add=["smiling"], aligned=False))
    change = pixels(target) - pixels(portrait)
    assert change[:200].any()
    assert not change[250:].any()
    out, err = capfd.readouterr()
    assert "face 2 is cut off by the edge: left alone" in err
    assert json.loads(out)["cut_off"] == [2]
    with pytest.raises(Failure, match=r"is cut off by the edge.*--face x,y,width,height"):
        execute(job(portrait, overwrite=True), wish(add=["smiling"], aligned=False, face="2"))


def textured(size: int) -> NDArray[np.uint8]:
    """Coarse waves, which a network sees, and fine ones, which it cannot."""
    y, x = np.mgrid[0:size, 0:size]
    waves = 25 * np.sin(x * 0.52) * np.sin(y * 0.5) + 50 * np.sin(x * 0.26) * np.sin(y * 0.22)
    return np.repeat((128 + waves).round().astype(np.uint8)[..., None], 3, 2)


def fine(pixels: NDArray[np.uint8]) -> float:
    """How strong the fine waves are in the middle of a picture."""
    y, x = np.mgrid[100:380, 100:380]
    wave = np.sin(x * 0.52) * np.sin(y * 0.5)
    return float((pixels[100:380, 100:380, 0] * wave).mean())


def laid(photo: NDArray[np.uint8], difference: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The photo, a face as a whole, with what a network adds to it, [S, S, 3]."""
    size, side = len(difference), len(photo)
    face = faces.whole(side, side)
    crop = faces.align(Picture(photo), face, size)
    larger, cover = enlarged(difference.astype(np.float32), crop, 4)
    return faces.paste(Picture(photo), face, larger, cover).pixels


def test_a_tint_lets_texture_show_through_and_what_is_opaque_does_not() -> None:
    photo = textured(480)
    crop = faces.align(Picture(photo), faces.whole(480, 480), 64).astype(float)
    tinted = laid(photo, np.full((64, 64, 3), 30.0))
    assert fine(tinted) == pytest.approx(fine(photo), rel=0.02)
    covered = laid(photo, 60 - crop)
    assert fine(covered) < 0.25 * fine(photo)
    assert np.abs(covered[100:-100, 100:-100].astype(int) - 60).mean() < 8
    halved = laid(photo, (60 - crop) / 2)
    assert 0.4 < fine(halved) / fine(photo) < 0.65


def test_what_changes_a_part_of_the_face_stays_there() -> None:
    places = reach(np.eye(len(RESIDUAL), dtype=np.float32), 128)
    glasses, brows, mouth = (
        places[RESIDUAL.index(slug)]
        for slug in ("eyeglasses", "bushy-eyebrows", "mouth-slightly-open")
    )
    eye, chin, mouth_corner = (66, 50), (112, 64), (94, 52)
    assert glasses[eye] == 1
    assert mouth[mouth_corner] == 1
    assert brows[56, 50] == 1
    assert [each[chin] for each in (glasses, brows)] == [0, 0]
    assert [each[mouth_corner] for each in (glasses, brows)] == [0, 0]
    assert mouth[eye] == 0
    assert not reach(np.zeros((1, len(RESIDUAL))), 128).any()


def test_a_hue_keeps_to_the_hair() -> None:
    crop = np.full((128, 128, 3), 200, np.uint8)
    crop[:, :64] = 60, 50, 40
    blond = np.zeros((128, 128, 3), np.float32)
    # It goes a few pixels beyond the hair, onto a wall of another colour.
    blond[:, :68] = 60, 40, 0
    kept = agreement(blond, crop) * blond
    assert np.abs(kept[:, :64] - blond[:, :64]).max() < 3
    assert np.abs(kept[:, 64:]).max() < 0.7 * 60
    assert np.abs(kept[:, 64:68]).mean() < 0.6 * blond[:, 64:68].mean()
    assert not agreement(0 * blond, crop).any()


def test_a_hue_keeps_off_an_even_dark_in_which_hair_cannot_be_told_from_the_wall() -> None:
    head = np.full((128, 128, 3), 12, np.uint8)
    head[48:, 40:88] = 200, 150, 120
    strands = np.random.default_rng(0).integers(0, 60, (20, 48, 3), np.uint8)
    textured = head.copy()
    textured[28:48, 40:88] = strands
    before_a_wall = head.copy()
    before_a_wall[:48, [*range(20), *range(108, 128)]] = 200
    blond = np.zeros((128, 128, 3), np.float32)
    blond[24:48, 40:88] = 60, 40, 10
    places = slice(30, 42), slice(46, 82)
    dark, fine, lit = (agreement(blond, c)[places].mean() for c in (head, textured, before_a_wall))
    assert dark < 0.2
    assert fine > 2 * dark
    assert lit > 2 * dark


def test_what_is_a_hue_is_made_by_itself_unless_the_hair_goes(home: Path) -> None:
    card = store.add(home / "editor.onnx", Description(name="tiny-two", operation="edit"))
    editor = open_editor(card, cpu())
    change = np.zeros((2, len(SLUGS)), np.float32)
    change[:, [SLUGS.index(slug) for slug in ("blond-hair", "black-hair", "smiling")]] = 1, -1, 1
    change[1, SLUGS.index("bald")] = 1
    hues = editor.hues(change)
    assert {SLUGS[i] for i in np.flatnonzero(hues[0])} == {"blond-hair", "black-hair"}
    assert not hues[1].any()


def test_edges_are_sharpened_and_never_ring() -> None:
    photo = np.full((480, 480, 3), 100, np.uint8)
    difference = np.zeros((64, 64, 3))
    difference[:, 32:] = 80
    row = laid(photo, difference)[240, :, 0].astype(int)
    bicubic = Image.fromarray(difference[..., 0].astype(np.float32)).resize(
        (480, 480), Image.Resampling.BICUBIC
    )
    plain = np.asarray(bicubic)[240]
    assert np.diff(row).max() > 1.3 * np.diff(plain).max()
    assert row.min() == 100
    assert row.max() == 180
    assert (np.diff(row) >= 0).all()
