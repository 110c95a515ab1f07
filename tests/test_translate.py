"""`imgan translate`: which model, what comes of a photo, faces, and what stays as it was."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn

from imgan import cli
from imgan.errors import Failure, Misuse
from imgan.images import open_picture
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import OutOfMemory, Session
from imgan.models.store import Models
from imgan_exporters.onnx import write
from imgan_translate import Preprocess, Translate
from imgan_translate.ports import translator_form
from imgan_translate.run import Translator, blended, choose, framed, open_translator
from imgan_translate.traits import Direction, TranslatorTraits, Upsampling


class Warmer(nn.Module):
    """More red, less blue; nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.3, 0.0, -0.3]).view(1, 3, 1, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return (picture + self.shift).clamp(-1, 1)


class Ran(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


MODELS = {
    "warmer": {"from": "cold", "to": "warm", "side": 96},
    "hotter": {"from": "mild", "to": "hot", "side": 96},
    "hotter-still": {"from": "warm", "to": "hot", "side": 96, "upsampling": "detail"},
    "coloured": {
        "from": "gray",
        "to": "tint",
        "side": 96,
        "upsampling": "chroma",
        "preprocess": "gray",
    },
    "portrait": {"from": "photo", "to": "portrait", "side": 64, "faces": "aligned"},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, Path]:
    """The network for any size, and for 64 pixels alone."""
    folder = tmp_path_factory.mktemp("files")
    found: dict[int | None, Path] = {None: folder / "any.onnx", 64: folder / "fixed.onnx"}
    for side, file in found.items():
        write(Warmer(), translator_form(side), file, Description(name="x", operation="translate"))
    return found


@pytest.fixture(autouse=True)
def models(files: dict[int | None, Path], home: Path) -> None:
    for name, traits in MODELS.items():
        file = files[64 if name == "portrait" else None]
        store.add(file, Description(name=name, operation="translate", traits=traits))


@pytest.fixture
def photo(here: Path) -> Path:
    Image.fromarray(skimage.data.astronaut()).save("photo.png")
    return here / "photo.png"


def _imgan(*words: str) -> Ran:
    """As a shell would call it."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["imgan", "translate", *words, "--device", "cpu"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def _pixels(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return open_picture(Path(name)).pixels.astype(int)


def test_a_photo_is_translated_beside_itself_at_its_size(photo: Path) -> None:
    assert _imgan("photo.png", "--to", "warm").exit_code == 0
    change = _pixels("photo-warm.png") - _pixels("photo.png")
    assert change.shape == (512, 512, 3)
    middle = (_pixels("photo.png") > 60).all(2) & (_pixels("photo.png") < 190).all(2)
    assert np.abs(np.median(change[middle], axis=0) - (38, 0, -38)).max() < 6


def test_strength_blends(photo: Path) -> None:
    _imgan("photo.png", "--to", "warm", "-o", "whole.png")
    _imgan("photo.png", "--to", "warm", "--strength", "0.5", "-o", "half.png")
    _imgan("photo.png", "--to", "warm", "--strength", "0", "-o", "none.png")
    before, whole = _pixels("photo.png"), _pixels("whole.png")
    assert np.abs(_pixels("half.png") - (before + whole) / 2).max() <= 1
    assert np.array_equal(_pixels("none.png"), before)


def test_colours_leave_the_luminance_and_have_no_border() -> None:
    card = store.find(store.installed(), "coloured")
    gray = np.random.default_rng(0).integers(90, 160, (60, 100, 1)).repeat(3, 2).astype(np.uint8)
    made = open_translator(card, "cpu")(gray).astype(int)
    assert made.shape == gray.shape
    # What the network adds is of one colour, so that is what comes of it everywhere.
    assert np.abs((made - gray)[..., 0] - 31).max() <= 4
    assert np.abs((made - gray) @ (0.299, 0.587, 0.114)).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (64, 64)])
def test_a_photo_stands_in_the_middle_of_its_reflection(height: int, width: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole, (top, left) = framed(photo)
    assert whole.shape[0] == whole.shape[1] >= 1.2 * max(height, width)
    assert np.array_equal(whole[top : top + height, left : left + width], photo)
    assert np.array_equal(whole[top - 1, left : left + width], photo[0])
    assert np.array_equal(whole[top : top + height, left - 1], photo[:, 0])


@pytest.mark.parametrize("gain", [0.5, 2])
def test_a_card_may_make_changes_weaker_or_stronger(gain: float) -> None:
    card = store.find(store.installed(), "warmer")
    gray = np.full((64, 80, 3), 128, np.uint8)
    plain = open_translator(card, "cpu")(gray)[0, 0].astype(int) - 128
    asked = replace(card, traits={**card.traits, "gain": gain})
    change = open_translator(asked, "cpu")(gray)[0, 0].astype(int) - 128
    assert np.abs(change - gain * plain).max() <= 1


def test_a_card_may_have_texture_taken_away_but_not_where_structure_is_kept() -> None:
    card = store.find(store.installed(), "warmer")
    rng = np.random.default_rng(0)
    photo = (128 + rng.integers(-6, 7, (64, 80, 1)) + np.zeros(3)).astype(np.uint8)
    asked = replace(card, traits={**card.traits, "flat_variance": 0.01})
    grains = [
        open_translator(asked, "cpu", request)(photo).std((0, 1)).mean()
        for request in (Translate(), Translate(keep_structure=True))
    ]
    assert grains[0] < 0.4 * grains[1]


def test_texture_drawn_onto_an_even_sky_is_suppressed_where_the_card_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weave = 12 * ((np.indices((64, 96)) // 4).sum(0) % 2)[..., None].astype(np.uint8)
    monkeypatch.setattr(Translator, "paint", lambda self, small: small + weave)
    translator = open_translator(store.find(store.installed(), "warmer"), "cpu")
    sky = np.full((128, 192, 3), 128, np.uint8)
    drawn, suppressed = (
        replace(translator, traits=replace(translator.traits, upsampling=way))(sky).std()
        for way in (Upsampling.detail, Upsampling.suppress_flat_texture)
    )
    assert suppressed < 0.1 * drawn


def test_a_trait_that_is_not_known_here_is_told_in_one_line(here: Path) -> None:
    card = store.find(store.installed(), "warmer")
    for traits, line in (
        (
            {"upsampling": "bicubic"},
            "its trait upsampling is 'bicubic'; known are guided, enlarged,",
        ),
        ({"preprocess": "sepia"}, "its trait preprocess is 'sepia'; known are edges, gray"),
        ({"gain": "much"}, "its trait gain is 'much', and not a number"),
        ({"side": 96.5}, "its trait side is 96.5, and not a whole number"),
    ):
        with pytest.raises(Failure, match=f"model 'warmer': {line}"):
            open_translator(replace(card, traits={**card.traits, **traits}), "cpu")
    store.add(
        store.path(card), Description(name="odd", operation="translate", traits={"faces": "all"})
    )
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save("photo.png")
    ran = _imgan("photo.png", "--model", "odd")
    assert ran.exit_code == 1
    assert ran.stderr.count("\n") == 1
    assert "its trait faces is 'all'; known are aligned" in ran.stderr


def test_cards_that_were_written_with_former_words_mean_what_they_meant() -> None:
    former = {"carry": "settled", "sees": "gray", "smooth": 0.01, "direction": "backward"}
    card = Description(name="old", operation="translate", traits=former)
    assert TranslatorTraits.of(card) == TranslatorTraits(
        upsampling=Upsampling.suppress_flat_texture,
        preprocess=Preprocess.gray,
        flat_variance=0.01,
        direction=Direction.backward,
    )


def test_what_goes_beyond_white_is_white() -> None:
    photo, made = (np.full((2, 2, 3), level, np.uint8) for level in (10, 200))
    assert (blended(photo, made, 2) == 255).all()
    assert (blended(made, photo, 2) == 0).all()


def test_detail_finer_than_the_network_sees_is_the_photos_own(here: Path) -> None:
    stripes = np.full((400, 400, 3), 90, np.uint8)
    stripes[:, ::2] = 160
    Image.fromarray(stripes).save("stripes.png")
    for model in ("warmer", "hotter-still"):
        _imgan("stripes.png", "--model", model, "-o", f"{model}.png")
        columns = _pixels(f"{model}.png")[200].mean(1)
        assert np.abs(np.diff(columns[50:350])).min() > 50, model


def test_keep_structure_takes_the_photos_own_pixels(photo: Path) -> None:
    _imgan("photo.png", "--to", "warm", "-o", "guided.png")
    _imgan("photo.png", "--model", "hotter-still", "--keep-structure", "-o", "kept.png")
    assert np.array_equal(_pixels("kept.png"), _pixels("guided.png"))


def test_colours_come_under_the_photos_own_luminance(photo: Path) -> None:
    assert _imgan("photo.png", "--to", "tint").exit_code == 0
    luma = np.array([0.299, 0.587, 0.114])
    made = _pixels("photo-tint.png")
    clipped = (made == 0).any(2) | (made == 255).any(2)
    wanted = np.asarray(Image.open("photo.png").convert("L"), int)
    assert np.abs(made @ luma - wanted)[~clipped].max() <= 2
    assert np.median(made[..., 0] - made[..., 2]) > 50


def test_a_model_of_faces_gives_the_square_of_the_face(photo: Path) -> None:
    result = _imgan("photo.png", "--to", "portrait", "--json")
    assert result.exit_code == 0, result.stderr
    height, width = _pixels("photo-portrait.png").shape[:2]
    assert height == width
    assert 200 < width < 400
    assert len(json.loads(result.stdout)["face"]) == 4


def test_without_a_face_it_says_so(here: Path) -> None:
    Image.new("RGB", (300, 200), "green").save("meadow.png")
    result = _imgan("meadow.png", "--to", "portrait")
    assert result.exit_code == 3
    assert "no face found" in result.stderr
    assert not (here / "meadow-portrait.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--to"),
        (("--to", "mars"), "hot (from mild), hot (from warm)"),
        (("--to", "hot"), "hotter (from mild), hotter-still (from warm)"),
        (("--to", "hot", "--from", "sun"), "no model leads to hot from sun"),
        (("--model", "warmer", "--to", "hot"), "warmer has to warm"),
        (("--to", "warm", "--face", "1"), "whole pictures"),
        (("--model", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_meant_is_said_in_a_line(
    photo: Path, words: tuple[str, ...], says: str
) -> None:
    result = _imgan("photo.png", *words)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_from_tells_models_of_one_target_apart() -> None:
    chosen = choose(Models.installed(), Translate(to="hot", source="mild"))
    assert chosen.name == "hotter"
    with pytest.raises(Misuse, match="several"):
        choose(Models.installed(), Translate(to="hot"))


def test_the_domains_are_listed() -> None:
    lines = _imgan("--list").stdout.splitlines()
    assert "warm\tcold\twarmer\t\t" in lines
    (line,) = (
        json.loads(w) for w in _imgan("--list", "--json").stdout.splitlines() if "warmer" in w
    )
    ends = {"from": "cold", "to": "warm", "model": "warmer"}
    assert line == {**ends, "kept": 0, "of": 0, "figures": {}}


def test_other_settings_are_not_taken_for_finished_work(photo: Path) -> None:
    assert _imgan("photo.png", "--to", "warm").exit_code == 0
    assert _imgan("photo.png", "--to", "warm").exit_code == 0
    before = Path("photo-warm.png").read_bytes()
    assert _imgan("photo.png", "--to", "warm", "--strength", "0.5").exit_code == 0
    assert Path("photo-warm-strength-0.5.png").read_bytes() != before
    assert Path("photo-warm.png").read_bytes() == before


def test_provenance_is_stated_unless_it_is_left_out(photo: Path) -> None:
    _imgan("photo.png", "--to", "warm", "-o", "stated.png")
    _imgan("photo.png", "--to", "warm", "--no-provenance", "-o", "silent.png")
    assert b"compositeWithTrainedAlgorithmicMedia" in Path("stated.png").read_bytes()
    assert b"compositeWithTrainedAlgorithmicMedia" not in Path("silent.png").read_bytes()


def test_alpha_and_depth_stay(here: Path) -> None:
    rgba = np.full((80, 70, 4), 128, np.uint8)
    rgba[:40, :, 3] = 7
    Image.fromarray(rgba).save("clear.png")
    assert _imgan("clear.png", "--to", "warm").exit_code == 0
    result = open_picture(here / "clear-warm.png")
    assert result.alpha is not None
    assert np.array_equal(result.alpha, rgba[..., 3])


@pytest.mark.parametrize("side", [1, 3, 17])
def test_pictures_smaller_than_any_margin_go_through(side: int) -> None:
    translator = open_translator(store.find(store.installed(), "warmer"), "cpu")
    picture = np.full((side, 2 * side, 3), 120, np.uint8)
    assert translator(picture).shape == picture.shape


def test_a_card_may_ask_for_more_of_the_mirror_image(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def run(self: Session, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        shapes.append(array.shape[2:])
        return array

    monkeypatch.setattr(Session, "run", run)
    card = store.find(store.installed(), "warmer")
    picture = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    for asked in (card, replace(card, traits={**card.traits, "border": 40})):
        made = open_translator(asked, "cpu").paint(picture)
        assert np.abs(made.astype(int) - picture).max() <= 1
    assert shapes == [(96, 112), (144, 160)]


def test_too_little_memory_is_said_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Session, array: object) -> None:
        raise OutOfMemory("warmer")

    translator: Translator = open_translator(store.find(store.installed(), "warmer"), "cpu")
    monkeypatch.setattr(Session, "run", fail)
    with pytest.raises(Exception, match="smaller --size"):
        translator(np.zeros((64, 64, 3), np.uint8))
