"""The engine `vector` of `imgan edit`, and how edits come to a photo's own resolution."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from test_edit import add_finder, job, pixels, save, write_classifier, write_editor

from imgan import faces
from imgan.commands.operation import execute
from imgan.errors import Failure
from imgan.faces import TEMPLATE
from imgan.images import Picture
from imgan.metrics import perceptual
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit import Edit, attribute_classifier, evaluate
from imgan_edit.engines import open_editor
from imgan_edit.patch import enlarged

SIZE = 64
GREY = 100
HAIR = {"blond-hair": (0.25, 0, 0), "black-hair": (0, 0, 0.25)}


def cpu() -> Runtime:
    return Runtime("cpu", Models.installed())


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hair has a colour, a quarter of -1..1; the classifier sees bangs if it is red."""
    write_editor(home / "editor.onnx", smiling=(0.1, 0.1, 0.1), bangs=(0.16, 0.1, 0.1), **HAIR)
    write_classifier(home / "classifier.onnx", bangs=(32, 0, 0))
    layers = perceptual.SCALES
    any_size = ["n", 3, "h", "w"]
    same = [helper.make_node("Identity", ["input"], [layer]) for layer in layers]
    save(home / "features.onnx", same, {"input": any_size}, dict.fromkeys(layers, any_size))
    for name, operation in (
        ("editor", "edit"),
        ("classifier", "evaluate"),
        ("features", "features"),
    ):
        store.add(home / f"{name}.onnx", Description(name=f"tiny-{name}", operation=operation))
    monkeypatch.setattr(attribute_classifier, "CLASSIFIER", "tiny-classifier")
    monkeypatch.setattr(perceptual, "MODEL", "tiny-features")
    add_finder(home, monkeypatch)


def drawn(path: Path, red: int = GREY) -> Path:
    """One colour, which is taken for a face."""
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


def edit(**settings: object) -> Edit:
    return Edit(**{"model": "tiny-editor", "aligned": True, **settings})  # type: ignore[arg-type]


def moved(path: Path, **settings: object) -> list[int]:
    """By how much an edit changes the middle of a picture."""
    target = path.with_name("edited.png")
    receipt = settings.pop("receipt", None)
    execute(job(path, output=str(target), overwrite=True, receipt=receipt), edit(**settings))
    return (pixels(target) - pixels(path))[48, 48].tolist()


@pytest.mark.parametrize("gain", [0.5, 2])
def test_a_card_may_make_edits_stronger(plain: Path, home: Path, gain: float) -> None:
    store.add(
        home / "editor.onnx",
        Description(name="tiny-stronger", operation="edit", traits={"gain": gain}),
    )
    assert moved(plain, add=["blond-hair"], model="tiny-stronger") == [gain * 32, 0, 0]


def test_no_strength_leaves_the_photo_to_the_bit(portrait: Path) -> None:
    execute(job(portrait), edit(add=["blond-hair"], strength=0, aligned=False))
    assert np.array_equal(pixels(portrait.with_name("photo-blond-hair.png")), pixels(portrait))


def test_every_network_that_has_a_say_is_part_of_what_a_result_was_made_from() -> None:
    models = Models.installed()
    assert [len(edit(**settings).cards(models)) for settings in ({}, {"max_drift": 1})] == [3, 5]


def test_strength_is_raised_until_the_classifier_sees_it_or_the_face_moves(
    plain: Path,
) -> None:
    target = plain.with_name("r.json")
    settings = {"add": ["bangs"], "auto_strength": True, "max_drift": 9, "receipt": str(target)}
    moved(plain, **settings)
    (fact,) = json.loads(target.read_text())["edits"]
    assert fact["ended"] == "seen by the classifier"
    assert fact["attributes"]["bangs"]["before"] < 0.5 < fact["attributes"]["bangs"]["after"]
    assert 2 < fact["strength"] <= 3
    plain.with_name("edited.png").unlink()
    with pytest.raises(Failure, match=r"even at strength 0\.25 .* moved by"):
        execute(job(plain), edit(add=["bangs"], auto_strength=True, max_drift=1e-6))


def test_an_edit_that_moves_the_identity_is_refused_though_no_attribute_moved(plain: Path) -> None:
    # The classifier looks at red alone, and the features are the colours.
    with pytest.raises(Failure, match=r"face 1: identity moved by 0\.\d+, over --max-drift 0\.01"):
        execute(job(plain), edit(add=["black-hair"], max_drift=0.01))
    assert not plain.with_name("face-black-hair.png").exists()
    execute(job(plain), edit(add=["black-hair"], max_drift=5))


def test_a_network_of_neither_engine_is_no_editor(home: Path) -> None:
    card = store.add(home / "classifier.onnx", Description(name="other", operation="edit"))
    with pytest.raises(Failure, match="model other is no editor"):
        open_editor(card, cpu())


def test_vector_encodes_a_face_once_for_all_its_changes() -> None:
    shipped = open_editor(store.find(store.installed(), "edit-vector"), cpu())
    crops = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    changes = np.eye(40, dtype=np.float32)[:3]
    together, apart = shipped(crops, changes), shipped(np.repeat(crops, 3, 0), changes)
    np.testing.assert_allclose(together, apart, atol=1e-3)
    assert np.abs(together[0] - together[1]).max() > 1


def test_the_evaluation_has_columns_for_every_engine(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.astronaut()[:260, 110:340]).save(tmp_path / "1.png")
    header, rows = evaluate.evaluate(tmp_path, None, "cpu")
    assert header[2::2] == ("regions", "vector", "icgan", "stylegan", "real")
    figures = {name: cells for name, *cells in rows}
    # Nothing draws large lips, and the astronaut's hair covers her forehead already.
    assert figures["big-lips added"][1] == "-"
    assert figures["big-lips added"][3] != "-"
    assert figures["bangs added"][:2] == ["0", "-"]
    assert figures["black-hair added"][0] == "1"
    assert figures["largest change where none is meant"][1::2][:2] == ["0", "0"]
    assert float(figures["seconds an edit"][1]) > 0


MOUTH = TEMPLATE[3:].mean(0)


def spot() -> NDArray[np.float64]:
    """Where in a face the mouth is."""
    centres = (np.arange(SIZE) + 0.5) / SIZE
    distance = np.hypot(centres - MOUTH[0], centres[:, None] - MOUTH[1])
    return (1 - distance / 0.08).clip(0, 1)


@pytest.mark.parametrize(("scale", "angle"), [(0.5, 0), (1, 30), (1, 90), (1, 200), (4, -20)])
def test_an_edit_finds_its_place_in_small_large_leaning_and_lying_faces(
    tmp_path: Path, home: Path, scale: float, angle: float
) -> None:
    photo = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 390, 330))
    turned = photo.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))
    side = round(330 * scale)
    path = tmp_path / "photo.png"
    turned.resize((side, side), Image.Resampling.LANCZOS).save(path)
    write_editor(home / "spot.onnx", spot(), smiling=(-1, -1, -1))
    store.add(home / "spot.onnx", Description(name="spot", operation="edit"))
    execute(job(path), edit(add=["smiling"], model="spot", aligned=False))
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
    execute(job(portrait, json=True), edit(add=["smiling"], aligned=False))
    change = pixels(target) - pixels(portrait)
    assert change[:200].any()
    assert not change[250:].any()
    out, err = capfd.readouterr()
    assert "face 2 is cut off by the edge: left alone" in err
    assert json.loads(out)["cut_off"] == [2]
    with pytest.raises(Failure, match=r"is cut off by the edge.*--face x,y,width,height"):
        execute(job(portrait, overwrite=True), edit(add=["smiling"], aligned=False, face="2"))


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
