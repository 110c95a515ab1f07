"""What is measured of an edit, what it is refused for, and what its file says of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from test_edit import add_finder, save, write_classifier, write_editor
from typer.testing import CliRunner, Result

from imgan import cli, faces
from imgan.batch import plan
from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.files import digest
from imgan.images import Picture, Source, open_picture, save_picture
from imgan.images.xmp import with_source_type
from imgan.metrics import perceptual
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.store import Models
from imgan.operations import COMPOSITE, TRAINED, Runtime
from imgan.plugins import registry
from imgan_edit import Edit, attribute_classifier, receipt
from imgan_edit.attributes import SLUGS
from imgan_edit.patch import Patch

BANGS, SMILING, MALE = SLUGS.index("bangs"), SLUGS.index("smiling"), SLUGS.index("male")
GREY = 100
CHANNELS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")


def cpu() -> Runtime:
    return Runtime("cpu", Models.installed())


@pytest.fixture(autouse=True)
def networks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bangs are red, smiling is green: a quarter of -1..1 at strength 1. Male is red too, a little.

    The classifier sees an attribute where the face's mean of its colour is above 0. The features
    are the colours themselves, at every depth.
    """
    write_editor(home / "editor.onnx", bangs=(0.25, 0, 0), smiling=(0, 0.25, 0))
    write_classifier(home / "classifier.onnx", bangs=(8, 0, 0), smiling=(0, 8, 0), male=(4, 0, 0))
    any_size = ["n", 3, "h", "w"]
    save(
        home / "features.onnx",
        [helper.make_node("Identity", ["input"], [name]) for name in CHANNELS],
        {"input": any_size},
        dict.fromkeys(CHANNELS, any_size),
    )
    store.add(home / "editor.onnx", Description(name="tiny-editor", operation="edit"))
    store.add(home / "classifier.onnx", Description(name="tiny-classifier", operation="evaluate"))
    store.add(home / "features.onnx", Description(name="tiny-features", operation="features"))
    monkeypatch.setattr(attribute_classifier, "CLASSIFIER", "tiny-classifier")
    monkeypatch.setattr(perceptual, "MODEL", "tiny-features")
    add_finder(home, monkeypatch)


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A grey picture that is taken for a face."""
    return drawn(tmp_path / "face.png")


def drawn(path: Path, **options: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (96, 72), (GREY, GREY, GREY)).save(path, **options)  # type: ignore[arg-type]
    return path


def edit(path: Path, job: dict[str, object] | None = None, **settings: object) -> None:
    shared = {name: settings.pop(name) for name in ("receipt", "no_provenance") if name in settings}
    asked = {"add": ["bangs"], "aligned": True, "model": "tiny-editor", **settings}
    job = {"quiet": True, **shared, **(job or {})}
    execute(Job(inputs=[str(path)], device="cpu", **job), Edit(**asked))  # type: ignore[arg-type]


def invoke(*arguments: str, stdin: bytes | None = None) -> Result:
    app = cli.build(registry())
    common = ["--add", "bangs", "--aligned", "--model", "tiny-editor", "--device", "cpu"]
    return CliRunner().invoke(app, ["edit", *arguments, *common], input=stdin)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_a_receipt_says_what_was_asked_and_what_it_did(face: Path, tmp_path: Path) -> None:
    edit(face, receipt=str(tmp_path / "r.json"), strength=1.5)
    facts = read(tmp_path / "r.json")
    assert facts["input"] == str(face)
    assert facts["output"] == str(tmp_path / "face-bangs.png")
    assert facts["seconds"] > 0
    assert (facts["model"], facts["classifier"]) == ("tiny-editor", "tiny-classifier")
    assert facts["model_sha256"] == store.find(store.installed(), "tiny-editor").sha256
    (fact,) = facts["edits"]
    assert fact["box"] == [12, 0, 72, 72]
    assert fact["strength"] == 1.5
    assert list(fact["attributes"])[:2] == ["bangs", "male"]
    assert len(fact["attributes"]) == 1 + receipt.MOVED
    before, after = (open_picture(Path(facts[end])) for end in ("input", "output"))
    whole = faces.whole(96, 72)
    warden = attribute_classifier.AttributeClassifier.open(cpu())
    old, new = warden.sees(before, whole), warden.sees(after, whole)
    assert fact["attributes"]["bangs"] == {
        "asked": True,
        "before": round(float(old[BANGS]), 4),
        "after": round(float(new[BANGS]), 4),
    }
    assert not fact["attributes"]["male"]["asked"]
    assert fact["drift"] == pytest.approx(abs(new[MALE] - old[MALE]) / 39, abs=1e-5)
    assert 0 < fact["perceptual_distance"] < 2
    assert 0.5 < fact["similarity_features_conv5_3"] < 1
    apart = 1 - fact["similarity_features_conv5_3"]
    assert fact["identity_drift"] == pytest.approx(apart / receipt.STRANGERS, abs=1e-3)


def test_the_json_line_holds_the_receipt(
    face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(face, {"json": True}, receipt=str(tmp_path / "r.json"))
    line = json.loads(capsys.readouterr().out)
    facts = read(tmp_path / "r.json")
    assert {**line, "seconds": 0} == {**facts, "seconds": 0, "status": "done"}


def test_nothing_outside_the_mask_changes_and_that_is_measured() -> None:
    pixels = np.full((80, 60, 3), GREY, np.uint8)
    before, whole = Picture(pixels), faces.boxed(10, 10, 30, 40)
    mask = np.zeros((8, 8), np.float32)
    mask[3:5, 3:5] = 1
    patch = Patch(whole, 50 * np.stack([mask] * 3, 2), 0 * mask, mask)
    after = patch.on(before)
    assert (after.pixels != before.pixels).any()
    assert receipt.change_outside(before, after, [patch]) == 0
    spoilt = after.pixels.copy()
    spoilt[79, 59, 1] -= 7
    assert receipt.change_outside(before, Picture(spoilt), [patch]) == 7
    # Without the mask, all that the edit did is outside.
    assert receipt.change_outside(before, after, []) == 50


def test_a_face_cut_out_of_its_photo_is_aligned_as_in_the_photo() -> None:
    rng = np.random.default_rng(0)
    photo = Picture(rng.integers(0, 256, (90, 120, 3), np.uint8))
    tilted = faces.Face(
        (0, 0, 50, 50), faces.boxed(-5, 20, 50, 50).points @ [[0.9, 0.4], [-0.4, 0.9]]
    )
    part, seat = faces.cut(photo, tilted)
    assert part.pixels.size < photo.pixels.size
    apart = faces.align(part, seat, 32).astype(int) - faces.align(photo, tilted, 32)
    assert np.abs(apart).max() <= 1


def test_classifier_and_features_are_opened_only_when_they_are_asked_for(
    face: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        attribute_classifier.AttributeClassifier,
        "open",
        lambda runtime: opened.append("classifier"),
    )
    monkeypatch.setattr(receipt.EditMetrics, "open", lambda runtime: opened.append("metrics"))
    edit(face)
    assert opened == []


def test_receipts_of_a_folder_lie_beside_its_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        drawn(tmp_path / "in" / name)
    edit(tmp_path / "in", receipt="each")
    out = tmp_path / "in-bangs"
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "a.png.json", "b.png", "b.png.json"]
    assert read(out / "b.png.json")["output"] == str(out / "b.png")


@pytest.mark.parametrize(
    ("word", "says"), [("r.json", "2 pictures: --receipt each"), ("receipts", "ends in .json")]
)
def test_one_receipt_for_many_pictures_is_misuse(tmp_path: Path, word: str, says: str) -> None:
    for name in ("a.png", "b.png"):
        drawn(tmp_path / "in" / name)
    with pytest.raises(Misuse, match=says):
        edit(tmp_path / "in", receipt=word)
    assert not (tmp_path / "in-bangs").exists()


def test_standard_output_has_no_place_beside_it() -> None:
    with pytest.raises(Misuse, match="standard output has no place"):
        plan.with_receipts(plan.Plan((plan.Task(None, None),), 0), plan.EACH)


def test_a_picture_on_standard_output_can_have_a_receipt(face: Path, tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    result = invoke("-", "--receipt", str(target), stdin=face.read_bytes())
    assert result.exit_code == 0, result.output
    assert Image.open(io.BytesIO(result.stdout_bytes)).size == (96, 72)
    assert read(target)["output"] == "-"


def test_a_receipt_that_is_there_stays_and_nothing_is_edited(face: Path, tmp_path: Path) -> None:
    there = tmp_path / "r.json"
    there.write_text("mine")
    with pytest.raises(Failure, match=r"r\.json exists; --overwrite"):
        edit(face, receipt=str(there))
    assert there.read_text() == "mine"
    assert not (tmp_path / "face-bangs.png").exists()
    edit(face, {"overwrite": True}, receipt=str(there))
    assert read(there)["edits"]


def test_without_its_picture_there_is_no_receipt(face: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where a folder is needed")
    with pytest.raises(Failure):
        edit(face, {"output": str(tmp_path / "out" / "x.png")}, receipt=str(tmp_path / "r.json"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face.png", "out"]


def test_a_receipt_that_cannot_be_written_leaves_no_picture(face: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Failure, match=r"taken/r\.json"):
        edit(face, receipt=str(tmp_path / "taken" / "r.json"))
    assert not (tmp_path / "face-bangs.png").exists()


def test_a_finished_picture_is_passed_over_only_with_its_receipt(
    face: Path, tmp_path: Path
) -> None:
    edit(face, receipt="each")
    there = tmp_path / "face-bangs.png.json"
    edit(face, receipt="each")
    there.unlink()
    with pytest.raises(Failure, match=r"exists without .*\.json"):
        edit(face, receipt="each")


@pytest.fixture
def identity_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a face changes, it stays the person."""
    monkeypatch.setattr(receipt, "STRANGERS", 1e9)


@pytest.mark.usefixtures("identity_aside")
def test_a_drift_beyond_the_limit_is_refused_with_its_figure(face: Path, tmp_path: Path) -> None:
    edit(face, {"output": str(tmp_path / "a.png")}, receipt=str(tmp_path / "r.json"))
    moved = read(tmp_path / "r.json")["edits"][0]["drift"]
    with pytest.raises(Failure, match=rf"face 1: .* by {moved:.3f}, over --max-drift 0\.001"):
        edit(face, max_drift=0.001)
    assert not (tmp_path / "face-bangs.png").exists()
    edit(face, max_drift=moved + 1e-5)
    assert (tmp_path / "face-bangs.png").exists()


def test_the_drift_is_that_of_the_attributes_not_asked_for() -> None:
    before, after = np.zeros(40, np.float32), np.zeros(40, np.float32)
    after[[0, 1, 2]] = 0.9, 0.3, -0.6
    assert attribute_classifier.drift(before, after, [0]) == pytest.approx(0.9 / 39)
    assert attribute_classifier.drift(before, after, [0, 2]) == pytest.approx(0.3 / 38)


def auto(path: Path, **settings: Any) -> dict:
    target = path.with_name("r.json")
    edit(path, receipt=str(target), auto_strength=True, **settings)
    return read(target)["edits"][0]


def test_the_strength_rises_until_the_classifier_sees_the_attribute(face: Path) -> None:
    fact = auto(face, max_drift=1.0)
    # The face is 27 levels under the middle; a step adds 8 to the red of what the mask covers.
    assert fact["ended"] == "seen by the classifier"
    assert 1 < fact["strength"] < 3
    assert fact["attributes"]["bangs"]["before"] < 0.5 < fact["attributes"]["bangs"]["after"]
    face.with_name("face-bangs.png").unlink()
    face.with_name("r.json").unlink()
    edit(face, strength=fact["strength"] - 0.25, receipt=str(face.with_name("r.json")))
    weaker = read(face.with_name("r.json"))["edits"][0]
    assert weaker["attributes"]["bangs"]["after"] < 0.5


@pytest.mark.usefixtures("identity_aside")
def test_the_strength_ends_before_the_others_move_too_far(face: Path) -> None:
    fact = auto(face, max_drift=0.004)
    assert 0 < fact["strength"] < 1.5
    assert fact["drift"] <= 0.004
    assert fact["ended"].startswith("at the next step the other attributes moved by 0.00")
    assert fact["attributes"]["bangs"]["after"] < 0.5


def test_a_limit_under_the_first_step_writes_nothing(face: Path) -> None:
    with pytest.raises(Failure, match=r"even at strength 0\.25 .* limit of 0\.0001"):
        auto(face, max_drift=0.0001)
    assert not face.with_name("face-bangs.png").exists()


def test_an_attribute_that_never_shows_ends_at_the_last_step(face: Path) -> None:
    fact = auto(face, add=["smiling=0.1"])
    assert (fact["strength"], fact["ended"]) == (3, "not seen at the last step")


def stated(xmp: bytes) -> list[str]:
    """Every DigitalSourceType in a packet, as an XML parser sees it."""
    name = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    nodes = list(ElementTree.fromstring(xmp.rstrip(b"\0")).iter())
    return [n.attrib[name] for n in nodes if name in n.attrib] + [
        n.tag for n in nodes if n.tag == name
    ]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "heic", "avif"])
def test_an_edited_picture_says_so(tmp_path: Path, suffix: str) -> None:
    path = drawn(tmp_path / "a.png")
    edit(path, {"format": suffix, "strip_metadata": True})
    assert stated(open_picture(tmp_path / f"a-bangs.{suffix}").source.xmp) == [COMPOSITE]
    edit(path, {"format": suffix, "overwrite": True}, no_provenance=True)
    assert open_picture(tmp_path / f"a-bangs.{suffix}").source.xmp == b""


def test_a_format_without_xmp_says_that_it_cannot_say_so(
    face: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(face, {"format": "bmp"})
    assert "BMP holds no XMP: it does not say how the picture was made" in capfd.readouterr().err
    edit(face, {"format": "bmp", "overwrite": True}, no_provenance=True)
    assert "XMP" not in capfd.readouterr().err


PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF '
    'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<r:Description r:about="uuid:a&amp;b" xmlns:q="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:d="http://purl.org/dc/elements/1.1/" d:format="a > b"{attribute}>{element}'
    "<d:title>Käse</d:title></r:Description></r:RDF></x:xmpmeta>   <?xpacket end='w'?>"
)
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


@pytest.mark.parametrize(
    ("attribute", "element"),
    [
        ("", ""),
        (f' q:DigitalSourceType="{CAPTURE}"', ""),
        ("", f"<q:DigitalSourceType>{CAPTURE}</q:DigitalSourceType>"),
        ("", f'<q:DigitalSourceType r:resource="{CAPTURE}"/>'),
    ],
)
def test_the_statement_joins_the_xmp_and_takes_the_place_of_an_older_one(
    attribute: str, element: str
) -> None:
    said = with_source_type(PACKET.format(attribute=attribute, element=element).encode(), COMPOSITE)
    assert stated(said) == [COMPOSITE]
    start, end = said.index(b"<rdf:Description"), said.index(b"<r:Description")
    # But for the statement, every byte is as it was; it is about what the others are about.
    assert said[:start] + said[end:] == PACKET.format(attribute="", element="").encode()
    assert b'rdf:about="uuid:a&amp;b"' in said[start:end]
    assert stated(with_source_type(said, COMPOSITE)) == [COMPOSITE]


@pytest.mark.parametrize(
    "element",
    [
        f"<q:DigitalSourceType>{TRAINED}</q:DigitalSourceType>",
        f'<q:DigitalSourceType r:resource="{TRAINED}"/>',
    ],
)
def test_what_a_network_made_wholly_stays_that(element: str) -> None:
    packet = PACKET.format(attribute="", element=element).encode()
    assert with_source_type(packet, COMPOSITE) == packet


def test_an_empty_rdf_is_opened_for_the_statement() -> None:
    empty = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'
    assert stated(with_source_type(empty, TRAINED)) == [TRAINED]


@pytest.mark.parametrize("broken", [b"<x:xmpmeta", b"\xff\xfe<\0", b"<a/>", b"text"])
def test_xmp_that_cannot_be_read_stays_with_a_note(tmp_path: Path, broken: bytes) -> None:
    picture = Picture(np.zeros((8, 8, 3), np.uint8), source=Source(xmp=broken, made=COMPOSITE))
    (note,) = save_picture(picture, tmp_path / "a.jpg")
    assert note.startswith("XMP stays as it is and does not say how the picture was made")
    assert broken in (tmp_path / "a.jpg").read_bytes()


def test_xmp_too_large_for_jpeg_leaves_the_statement(tmp_path: Path) -> None:
    packet = PACKET.format(attribute="", element="").encode() + b" " * 70_000
    picture = Picture(np.zeros((8, 8, 3), np.uint8), source=Source(xmp=packet, made=COMPOSITE))
    (note,) = save_picture(picture, tmp_path / "a.jpg")
    assert note.startswith("XMP is over the 64 KiB")
    assert stated(open_picture(tmp_path / "a.jpg").source.xmp) == [COMPOSITE]


def test_a_picture_that_states_nothing_is_another_than_one_that_does(face: Path) -> None:
    edit(face)
    first = digest(face.with_name("face-bangs.png"))
    edit(face)
    with pytest.raises(Failure, match="exists"):
        edit(face, no_provenance=True)
    assert digest(face.with_name("face-bangs.png")) == first
