"""What is drawn without a network: palettes, strokes, prints, and `--to` that finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from imgan.errors import Misuse
from imgan.images import Picture
from imgan.images.oklab import to_oklab
from imgan.images.tensors import Bytes
from imgan.models.store import Models
from imgan.operations import COMPOSITE, Meter, Runtime
from imgan_translate import Translate
from imgan_translate.drawn.canvas import Canvas
from imgan_translate.drawn.fields import simplified, softened, without_texture
from imgan_translate.drawn.painters import MONET, VAN_GOGH, locally_even
from imgan_translate.drawn.palettes import Repaint
from imgan_translate.drawn.ridges import ridges
from imgan_translate.drawn.strokes import Layer, Strokes, Touch, plan, retouch
from imgan_translate.drawn.targets import TARGETS
from imgan_translate.drawn.winter import Winter
from imgan_translate.run import drawn, list_domains


def _photo(longer: int) -> Bytes:
    image = Image.fromarray(skimage.data.astronaut()[:384])
    return np.asarray(image.resize((longer, round(longer * 0.75)), Image.Resampling.LANCZOS))


def _lab(picture: Bytes) -> np.ndarray:
    return to_oklab(picture / np.float32(255))


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "winter"])
def test_every_target_keeps_the_scene_and_changes_the_surface(name: str) -> None:
    photo = _photo(240)
    made = TARGETS[name].draw(photo, Meter())
    assert made.shape == photo.shape
    assert made.dtype == np.uint8
    coarse = [softened(_lab(picture), 8)[..., 0] for picture in (photo, made)]
    assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.9
    assert np.abs(made.astype(int) - photo).mean() > 8


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (300, 7)])
def test_no_picture_is_too_small(name: str, shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    draw = Winter(snowfall=0.5) if name == "winter" else TARGETS[name].draw
    assert draw(photo, Meter()).shape == photo.shape


@pytest.mark.parametrize("name", ["monet", "sketch"])
def test_it_looks_the_same_at_every_size_and_each_time(name: str) -> None:
    def draw(photo: Bytes) -> Bytes:
        return TARGETS[name].draw(photo, Meter())

    small, large = _photo(360), _photo(720)
    made, half = draw(small), Image.fromarray(draw(large)).resize((360, 270), Image.Resampling.BOX)
    apart = softened(_lab(np.asarray(half)) - _lab(made), 4)
    assert np.abs(apart[..., 0]).mean() < 0.025
    assert np.array_equal(made, draw(small))


def test_a_palette_lends_its_light_and_colours() -> None:
    rng = np.random.default_rng(0)
    dark = np.concatenate(
        [rng.normal(0.3, 0.05, (40, 50, 1)), rng.normal(0, 0.02, (40, 50, 2))], 2
    ).astype(np.float32)
    pale = dark + np.array([0.3, 0, 0], np.float32)
    whole = Repaint(light=1, colour=1, gain=(0.1, 10), darker=1, lighter=1)
    repainted = whole(pale, MONET.palette)
    assert abs(np.median(repainted[..., 0]) - MONET.palette.lightness[4]) < 0.03
    aa, _, bb = MONET.palette.covariance
    wanted = aa + bb + np.square(MONET.palette.mean).sum()
    assert np.square(repainted[..., 1:]).sum(2).mean() == pytest.approx(wanted, rel=0.3)
    # Noise in grey stays grey: no gain is above the limit.
    limited = Repaint(light=1, colour=1, gain=(1, 1.2))(dark, VAN_GOGH.palette)
    before, after = (lab[..., 1:].std((0, 1)) for lab in (dark, limited))
    assert (after < 1.21 * before).all()
    # And a night stays a night.
    assert (limited[..., 0] - dark[..., 0]).max() < 0.125


def test_shadows_have_a_colour() -> None:
    greys = np.zeros((40, 50, 3), np.float32)
    greys[..., 0] = np.linspace(0.1, 0.9, 50)
    plain, shaded = (Repaint(shade=shade)(greys, MONET.palette) for shade in ((0, 0), (0, -0.05)))
    change = (shaded - plain)[..., 2]
    assert change[:, 0].max() < -0.02
    assert np.abs(change[:, -15:]).max() < 1e-6


def test_strokes_follow_an_edge_and_stay_on_their_side() -> None:
    lab = np.zeros((80, 120, 3), np.float32)
    lab[..., 0] = np.where(np.arange(120) < 60, 0.3, 0.8)
    touch = Touch((Layer(60, 3, 3),), light=0, hue=0, streak=0, wander=0)
    (strokes,) = plan(lab, touch, np.random.default_rng(0))
    near = np.abs(strokes.x - 60) < 4
    assert near.sum() > 20
    assert (np.abs(strokes.sine[near]) > 0.95).all()
    away = np.abs(strokes.x - 60) > 2
    on_side = np.where(strokes.x < 60, 0.3, 0.8)
    assert np.abs(strokes.colour[..., 0] - on_side)[away].max() < 0.08
    # What would reach over the edge with its side is narrower.
    narrow = strokes.half[near & away].mean()
    assert narrow < 0.8 * strokes.half[np.abs(strokes.x - 60) > 20].mean()


def test_fine_strokes_are_where_coarse_ones_fail() -> None:
    lab = np.full((90, 120, 3), [0.5, 0, 0], np.float32)
    lab[30:60:6, 30:60, 0] = lab[31:60:6, 30:60, 0] = 0.9
    touch = Touch((Layer(80, 3, 2), Layer(20, 3, 2, 0.05)))
    _, fine = plan(lab, touch, np.random.default_rng(0))
    assert len(fine) > 20
    assert ((fine.x > 20) & (fine.x < 70)).all()
    assert ((fine.y > 20) & (fine.y < 70)).all()


def test_lines_are_drawn_and_specks_are_not() -> None:
    lab = np.full((200, 300, 3), [0.7, 0, 0], np.float32)
    lab[20:180, 60:63, 0] = 0.2
    rng = np.random.default_rng(0)
    for y, x in rng.integers([20, 150], [180, 280], (60, 2)):
        lab[y : y + 2, x : x + 2, 0] = 0.2
    lines = ridges(lab)
    assert (lines.x < 65).mean() > 0.9
    assert (np.abs(lines.sine) > 0.95).mean() > 0.9
    dark = lines.colour[:, 0] < 0.45
    assert dark.sum() > 50
    assert (np.abs(lines.x[dark] - 61) < 1.5).all()
    assert np.ptp(lines.y[dark]) > 130


def test_no_stroke_turns_along_the_border() -> None:
    lab = np.full((200, 300, 3), [0.4, 0, 0], np.float32)
    lab[:, ::40, 0] = lab[:, 1::40, 0] = lab[:, 2::40, 0] = 0.8
    (strokes,) = plan(lab, Touch((Layer(8, 3, 3),), wander=0), np.random.default_rng(0))
    border = (strokes.y < 6) | (strokes.y > 193)
    apart = np.abs(np.abs(strokes.sine[border]).mean() - np.abs(strokes.sine[~border]).mean())
    assert apart < 0.1
    # And what is painted goes over it.
    assert strokes.y.min() < 2


def test_small_things_that_stand_alone_are_drawn_and_texture_is_dabbed() -> None:
    rng = np.random.default_rng(0)
    lab = np.full((300, 450, 3), [0.6, 0, 0], np.float32)
    lab[:, 200:, 0] += 0.2 * np.kron(rng.choice([-1, 1], (100, 84)), np.ones((3, 3)))[:, :250]
    lab[140:148, 80:84, 0] = 0.2
    layers = (Layer(40, 3, 2), Layer(4, 3, 4, 0.05, apart=1.2))
    _, fine = plan(lab, Touch(layers), rng)
    alone = (np.abs(fine.x - 82) < 6) & (np.abs(fine.y - 144) < 8)
    assert alone.sum() / (4 * 8) > 3 * (fine.x > 215).sum() / (300 * 235)


def test_what_is_soft_stays_soft() -> None:
    across = np.arange(300, dtype=np.float32)
    lab = np.zeros((200, 300, 3), np.float32)
    lab[..., 0] = 0.5 + 0.3 / (1 + np.exp(-(across - 150) / 12))
    lab[..., 0][:, 260:] = 0.2
    (strokes,) = plan(lab, Touch((Layer(30, 2, 3),), light=0), np.random.default_rng(0))
    near = np.abs(strokes.x - 150) < 3
    assert strokes.colour[near, 0].std() > 0.02
    assert np.quantile(np.abs(strokes.colour[strokes.x > 264, 0] - 0.2), 0.9) < 0.01


def test_faces_are_met_more_closely() -> None:
    lab = np.full((200, 300, 3), [0.6, 0, 0], np.float32)
    lab[::8, :, 0] = lab[1::8, :, 0] = 0.5
    care = np.zeros((200, 300), np.float32)
    care[:, 150:] = 1
    touch = Touch((Layer(40, 3, 2), Layer(6, 3, 2, 0.04, apart=1)))
    _, fine = plan(lab, touch, np.random.default_rng(0), care)
    assert (fine.x > 150).mean() > 0.9


def test_faint_contrast_is_raised_and_the_rest_is_left() -> None:
    lab = np.zeros((200, 300, 3), np.float32)
    waves = np.sin(np.arange(300) / 2)
    lab[..., 0] = 0.5 + np.where(np.arange(300) < 150, 0.03, 0.2) * waves
    evened = locally_even(lab)[..., 0]
    left, right = (evened[:, part].std() / lab[:, part, 0].std()
                   for part in (np.s_[20:130], np.s_[170:280]))  # fmt: skip
    assert left > 1.3
    assert right < 1.1


def test_what_is_flat_and_what_is_texture_get_the_painters_own_direction() -> None:
    rng = np.random.default_rng(0)
    lab = np.full((200, 300, 3), [0.7, 0, 0], np.float32)
    lab[:, 150:, 0] += 0.2 * rng.standard_normal((200, 150))
    (strokes,) = plan(lab, Touch((Layer(40, 3, 4),)), rng)
    for half in (strokes.x < 140, strokes.x > 160):
        assert (np.abs(strokes.sine[half]) < 0.5).mean() > 0.75


def test_simplifying_loses_specks_and_keeps_edges() -> None:
    lab = np.full((60, 80, 3), [0.3, 0, 0], np.float32)
    lab[:, 40:, 0] = 0.8
    lab[20:22, 20:22, 0] = 0.8
    simple = simplified(lab, 2.5)
    assert simple[15:28, 12:28, 0].max() < 0.4
    assert simple[30, 37, 0] < 0.35
    assert simple[30, 43, 0] > 0.75


def _stroke(**changed: float) -> Strokes:
    facts = {"x": 50.0, "y": 40.0, "cosine": 1.0, "sine": 0.0, "curvature": 0.0}
    facts |= {"back": -20.0, "ahead": 20.0, "half": 5.0, **changed}
    numbers = {name: np.array([value], np.float32) for name, value in facts.items()}
    red = np.array([[0.63, 0.22, 0.13]], np.float32)
    return Strokes(**numbers, colour=red, streak=np.zeros_like(red))


@pytest.mark.parametrize("scale", [1, 3])
def test_a_stroke_lies_where_it_was_planned(scale: int) -> None:
    ground = np.full((80, 100, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    canvas = Canvas.on(ground, 80 * scale, 100 * scale, rng)
    canvas.lay(_stroke(), 100)
    painted = canvas.finished(0.3)
    red = painted[..., 1] < 128
    y, x = (axis / scale for axis in np.nonzero(red))
    assert abs(x.mean() - 50) < 1.5
    assert abs(y.mean() - 40) < 1.5
    assert np.ptp(x) == pytest.approx(40, abs=8)
    assert np.ptp(y) == pytest.approx(9, abs=2)
    assert (painted[:20] == 255).all()


def test_a_curved_stroke_bends_to_the_left_of_its_tangent() -> None:
    ground = np.full((80, 100, 3), 255, np.uint8)
    rng = np.random.default_rng(0)
    canvas = Canvas.on(ground, 80, 100, rng)
    canvas.lay(_stroke(curvature=0.04), 100)
    painted = canvas.finished(0.3)
    y, x = np.nonzero(painted[..., 1] < 128)
    assert y[np.abs(x - 50) < 3].mean() == pytest.approx(40, abs=1.5)
    assert y[np.abs(x - 50) > 16].mean() > 45


def test_retouching_leaves_the_strokes_on_what_is_plain() -> None:
    plain = np.full((120, 480, 3), (150, 170, 200), np.uint8)
    for painter in (MONET, VAN_GOGH):
        made = _lab(painter(plain, Meter()))
        assert made[..., 0].std() > 0.015
        assert np.abs(softened(made - _lab(plain), 20)[..., 1:]).max() < 0.03


def test_what_varies_little_is_evened_and_edges_stay() -> None:
    rng = np.random.default_rng(0)
    plane = 0.5 + rng.normal(0, 0.02, (80, 100)).astype(np.float32)
    plane[:, 50:] += 0.4
    even = without_texture(plane, 6, 0.07**2)
    assert even[:, 10:40].std() < 0.3 * plane[:, 10:40].std()
    assert (even[:, 51] - even[:, 48]).mean() > 0.35


def test_a_painting_is_retouched_only_where_it_is_not_like_its_picture() -> None:
    lab = np.full((300, 400, 3), [0.6, 0, 0], np.float32)
    painted = lab.copy()
    # A letter that the brush has lost, and a speck of its own.
    lab[100:140, 200:203, 0] = 0.2
    painted[200:204, 80:84, 0] = 0.1
    care = np.zeros(lab.shape[:2], np.float32)
    rng = np.random.default_rng(0)
    strokes = retouch(lab, painted, Layer(2.2, 2.6, 2.4, 0.05), MONET.touch, rng, care)
    letter = (np.abs(strokes.x - 201) < 8) & (np.abs(strokes.y - 120) < 28)
    speck = np.hypot(strokes.x - 82, strokes.y - 202) < 8
    assert letter.sum() > 20
    assert speck.sum() > 4
    assert (letter | speck).all()
    assert strokes.colour[letter, 0].min() < 0.3
    assert strokes.colour[speck, 0].min() > 0.5


def test_what_is_vivid_keeps_its_colour_and_a_wall_its_own() -> None:
    lab = np.zeros((60, 80, 3), np.float32)
    lab[:30] = red = (0.6, 0.2, 0.1)
    lab[30:] = wall = (0.75, 0.01, 0.03)
    for painter in (MONET, VAN_GOGH):
        repainted = painter.repaint(lab, painter.palette)
        hue, own = (np.arctan2(b, a) for _, a, b in (repainted[5, 5], red))
        assert abs(hue - own) < 0.1
        assert np.hypot(*repainted[5, 5, 1:]) > 0.17
        assert np.abs(repainted[50, 5, 1:] - wall[1:]).max() < 0.025


def test_what_is_plain_follows_the_form_that_it_lies_in() -> None:
    lab = np.zeros((300, 300, 3), np.float32)
    lab[..., 0] = 0.6
    lab[:, :120] = lab[:, 180:] = (0.3, 0, 0)
    layers = (Layer(10, 3, 2),)
    upright = [
        np.abs(strokes.sine[np.abs(strokes.x - 150) < 12]).mean()
        for form in (0, 0.6)
        for strokes in plan(lab, Touch(layers, calm=0.05, form=form), np.random.default_rng(0))
    ]
    assert upright[1] > upright[0] + 0.1


def test_to_finds_what_is_drawn_unless_a_network_is_asked_for() -> None:
    asked = Translate(to="monet", experimental=True)
    assert drawn(asked) is TARGETS["monet"]
    assert drawn(replace(asked, source="photo")) is TARGETS["monet"]
    assert drawn(replace(asked, source="sketch")) is None
    assert drawn(replace(asked, model="anything")) is None
    assert drawn(Translate(to="winter-wheat")) is None
    for option, operation in {
        "--size": replace(asked, size=512),
        "--face": replace(asked, face=1),
        "--keep-structure": replace(asked, keep_structure=True),
    }.items():
        with pytest.raises(Misuse, match=f"{option}: monet is drawn"):
            drawn(operation)


def test_what_is_drawn_needs_no_network_and_states_none(here: Path) -> None:
    operation = Translate(to="cezanne", experimental=True)
    assert list(operation.cards(Models())) == []
    assert operation.states == ""
    assert Translate(to="monet", model="some-network").states == COMPOSITE
    photo = _photo(60)
    half, whole, none = (
        replace(operation, strength=strength).open(Runtime("cpu", Models()))(Picture(photo))
        for strength in (0.5, 1, 0)
    )
    assert np.array_equal(none.picture.pixels, photo)
    mean = (photo.astype(int) + whole.picture.pixels) / 2
    assert np.abs(half.picture.pixels - mean).max() <= 1


def test_the_list_names_what_is_drawn() -> None:
    listing = list_domains(Models())
    assert {record["to"] for record in listing.records} == set(TARGETS)
    assert [row[2] for row in listing.rows] == ["drawn"] * len(TARGETS)
