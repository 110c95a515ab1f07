"""`imgan stylize --method gram`, `texture` and `reconstruct`: tiny features of random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
import typer
from PIL import Image
from torch import Tensor

import imgan_stylize
from imgan.batch.job import Job
from imgan.commands.operation import command as command_of
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.images import Picture, Source, open_picture
from imgan.images.tensors import Bytes
from imgan.models.store import Models
from imgan.operations import Meter, Process, Result, Runtime
from imgan.references import Reference
from imgan.training.perceptual import Features, gram
from imgan_stylize import (
    Grid,
    Init,
    Look,
    Method,
    Optimizer,
    Reconstruct,
    Stylize,
    Texture,
    Transfer,
    optimise,
    run,
)
from imgan_stylize.gram import (
    LARGEST,
    Goal,
    Painter,
    choose,
    content_loss,
    descend,
    look,
    loss,
    out_of_range,
    scales,
    style_loss,
    total_variation,
)
from imgan_stylize.optimise import grey, matched

CPU = torch.device("cpu")
QUICK = Transfer(steps=3, features="vgg19")
GRAM = Look(style=[], method=Method.gram, size=48)


def tiny() -> Features:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Features((4, 6, 8, 8, 8), (2, 2, 3, 3, 3)).requires_grad_(False).eval()


def operation(look: Look, transfer: Transfer) -> Stylize:
    given = {f.name: getattr(part, f.name) for part in (look, transfer) for f in fields(part)}
    given["style"] = [Reference.of(style) for style in look.style]
    return Stylize(**{**given, "mask": None if look.mask is None else Reference.of(look.mask)})


def stylize(job: Job, look: Look, transfer: Transfer) -> None:
    execute(replace(job, quiet=True), operation(look, transfer))


def transferring(painting: Bytes, size: int, meter: Meter | None = None, **changed: Any) -> Process:
    painted = Stylize(
        style=[Reference(Picture(painting))], steps=3, features="vgg19", method=Method.gram
    )
    runtime = Runtime("cpu", Models(), meter or Meter())
    return optimise.open_transfer(replace(painted, **changed), runtime, size)


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the name, the tiny features: these tests are not about weights."""
    monkeypatch.setattr(optimise, "load", lambda name: tiny())


@pytest.fixture(scope="module")
def photo() -> Bytes:
    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((64, 48)))


@pytest.fixture(scope="module")
def painting() -> Bytes:
    return np.asarray(Image.fromarray(skimage.data.coffee()).resize((60, 40)))


@pytest.fixture
def files(here: Path, photo: Bytes, painting: Bytes) -> Path:
    Image.fromarray(photo).save("photo.png")
    Image.fromarray(painting).save("painting.png")
    return here


def painter(**search: object) -> Painter:
    return Painter(tiny(), replace(QUICK, **search), CPU)  # type: ignore[arg-type]


def tensor(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# The losses


def test_the_losses_are_those_of_the_papers_in_units_of_what_is_wanted() -> None:
    seen, wanted = tensor(0, 1, 4, 5, 6), tensor(1, 1, 4, 5, 6)
    expected = (seen - wanted).square().sum() / wanted.square().sum()
    assert content_loss(seen, wanted) == pytest.approx(float(expected))

    grams = [torch.einsum("cij,dij->cd", a[0], a[0]) / 30 for a in (seen, wanted)]
    expected = (grams[0] - grams[1]).square().sum() / grams[1].square().sum()
    assert style_loss(seen, gram(wanted)) == pytest.approx(float(expected))
    assert style_loss(seen.flip(2, 3), gram(seen)) < 1e-10  # places do not matter

    ramp = torch.arange(4.0).repeat(1, 3, 5, 1) / 10
    assert total_variation(ramp) == pytest.approx(0.01)
    assert out_of_range(torch.tensor([[-1.0, 0.0, 0.5, 1.0]])) == pytest.approx(0.25)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    features, picture, other = tiny(), tensor(0, 1, 3, 32, 32), tensor(1, 1, 3, 32, 32)
    seen, wanted = (look(features, p, {"conv1_1", "conv2_1"}) for p in (picture, other))
    style = {name: gram(a) for name, a in wanted.items()}
    goal = Goal({"conv2_1": wanted["conv2_1"]}, style, content_weight=3.0, tv_weight=0.25)
    expected = (
        3 * content_loss(seen["conv2_1"], wanted["conv2_1"])
        + sum(style_loss(seen[name], style[name]) for name in style) / 2
        + total_variation(picture) / 4
    )
    assert loss(features, picture, goal) == pytest.approx(float(expected))


def test_a_picture_goes_on_beyond_its_borders() -> None:
    """Grey is grey everywhere, and a tile looks alike wherever it is cut."""
    even = look(tiny(), torch.full((1, 3, 32, 32), 0.5), {"conv1_2"})["conv1_2"]
    torch.testing.assert_close(even, even[..., :1, :1].expand_as(even))
    tile = tensor(0, 1, 3, 32, 32)
    turned = tile.roll((16, 16), (2, 3))
    whole, other = (look(tiny(), t, {"conv2_1"}, True)["conv2_1"] for t in (tile, turned))
    assert whole.shape[2:] == (16, 16)
    torch.testing.assert_close(whole.roll((8, 8), (2, 3)), other)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_more_steps_lower_the_loss(optimizer: Optimizer) -> None:
    features = tiny()
    goal = Goal(look(features, tensor(0, 1, 3, 16, 16), {"conv2_1"}))
    objective = partial(loss, features, goal=goal)
    start = tensor(1, 1, 3, 16, 16)
    losses = [float(objective(start))]
    for steps in (5, 15, 40):
        picture, last = descend(start, objective, optimizer, steps)
        assert picture.min() >= 0
        assert picture.max() <= 1
        losses.append(last)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_a_step_is_one_look_and_a_loss_that_is_no_number_is_told() -> None:
    taken: list[int] = []
    descend(
        tensor(0, 1, 3, 16, 16),
        lambda p: (p - 0.3).square().mean(),
        Optimizer.adam,
        7,
        lambda picture, count: taken.append(count),
    )
    assert taken == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(Failure, match="the loss became nan"):
        descend(tensor(0, 1, 3, 16, 16), lambda p: p.mean() * torch.nan, Optimizer.lbfgs, 2)


def test_scales_go_from_coarse_to_fine() -> None:
    assert scales(768, 1024) == [(192, 256), (384, 512), (768, 1024)]
    assert scales(50, 64) == [(50, 64)]
    assert scales(40, 1000)[0] == (20, 500)
    with pytest.raises(Failure, match="16 a side are needed"):
        scales(15, 400)
    with pytest.raises(Failure, match=r"at most 4\.2 million are optimised; ask for a smaller"):
        scales(2 * LARGEST // 1000, 1000)


# Pictures


def test_a_finer_scale_keeps_the_photos_own_detail(
    photo: Bytes, painting: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the coarse scale changed nothing, the fine one begins from the photo itself."""
    begun: list[Tensor] = []

    def stay(picture: Tensor, *_: object) -> tuple[Tensor, float]:
        begun.append(picture)
        return picture, 0.0

    monkeypatch.setattr("imgan_stylize.gram.descend", stay)
    monkeypatch.setattr("imgan_stylize.gram.COARSEST", 32)
    result, _ = painter().stylise(photo, [painting], [1], QUICK)
    assert [tuple(p.shape[2:]) for p in begun] == [(24, 32), (48, 64)]
    assert (result == photo).all()


def test_the_same_seed_gives_the_same_picture(painting: Bytes) -> None:
    def make(seed: int) -> Bytes:
        result, _ = painter(seed=seed).texture(painting, (32, 48), ["conv1_1"], 60, tile=False)
        assert result.shape == (32, 48, 3)
        return result

    assert (make(1) == make(1)).all()
    assert (make(1) != make(2)).any()


def test_strength_0_wants_what_the_photo_has_already(photo: Bytes, painting: Bytes) -> None:
    results = {}
    for strength in (0.0, 0.5, 1.0):
        result, _ = painter(steps=20).stylise(
            photo, [painting], [1], replace(QUICK, tv=0.0), strength
        )
        results[strength] = np.abs(result.astype(int) - photo).mean()
    assert results[0.0] < 0.2
    assert 2 * results[0.0] < results[0.5] < results[1.0]


def test_styles_are_mixed_by_their_shares(photo: Bytes, painting: Bytes) -> None:
    only, _ = painter(steps=12).stylise(photo, [painting], [2], QUICK)
    mixed, _ = painter(steps=12).stylise(photo, [painting, photo], [3, 1], QUICK)
    twice, _ = painter(steps=12).stylise(photo, [painting, painting], [3, 1], QUICK)
    assert np.abs(only.astype(int) - twice).max() <= 1
    assert np.abs(only.astype(int) - mixed).max() > 1


def test_a_tiles_opposite_borders_fit(painting: Bytes) -> None:
    """Across the border neighbours are as alike as anywhere else in a tile, and not without."""
    seams = {}
    for tile in (True, False):
        maker = painter(steps=40, tv=2.0)
        pixels, _ = maker.texture(painting, (48, 48), ["conv1_1", "conv2_1"], 60, tile)
        values = pixels.astype(float)
        inside = np.abs(np.diff(values, axis=1)).mean()
        seams[tile] = np.abs(values[:, 0] - values[:, -1]).mean() / inside
    assert seams[True] < 1.3
    assert seams[True] < seams[False]


def test_a_tile_fits_after_it_has_grown_from_a_coarser_one(
    painting: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Tensor] = []

    def stay(picture: Tensor, *_: object) -> tuple[Tensor, float]:
        begun.append(picture)
        return picture, 0.0

    monkeypatch.setattr("imgan_stylize.gram.descend", stay)
    monkeypatch.setattr("imgan_stylize.gram.OF_NOISE", 32)
    painter().texture(painting, (64, 64), ["conv1_1"], 60, tile=True)
    grown = begun[-1]
    assert grown.shape[2:] == (64, 64)
    # Turned by half, the seam lies in the middle: growing must not have seen it.
    turned = begun[0].roll((16, 16), (2, 3))
    monkeypatch.setattr(Painter, "_noise", lambda self, size, colour: turned)
    painter().texture(painting, (64, 64), ["conv1_1"], 60, tile=True)
    torch.testing.assert_close(begun[-1], grown.roll((32, 32), (2, 3)))


def test_a_shallow_layer_gives_the_photo_back(photo: Bytes) -> None:
    def error(steps: int) -> float:
        made, _ = painter(steps=steps, tv=0).reconstruct(photo, "conv1_1", 64)
        return float(np.square(made.astype(float) - photo).mean())

    assert error(60) < 0.5 * error(1)


def test_colours_stay_where_they_are_asked_to(photo: Bytes, painting: Bytes) -> None:
    result = transferring(painting, 48, steps=15, keep_color=True)(Picture(photo))
    done, facts = result.picture, result.facts
    change = done.pixels.astype(int) - photo
    inside = ((done.pixels > 0) & (done.pixels < 255)).all(axis=2)
    assert np.abs(np.diff(change, axis=2))[inside].max() <= 1
    assert np.abs(change).max() > 3
    assert facts["worked_at"] == "48x36"

    style = matched(painting, grey(photo))
    assert style[..., 0].mean() == pytest.approx(grey(photo)[..., 0].mean(), abs=2)
    assert (style == style[..., :1]).all()


def test_size_depth_alpha_and_profile_are_the_photos(photo: Bytes, painting: Bytes) -> None:
    process = transferring(painting, 32)
    alpha = np.full(photo.shape[:2], 999, np.uint16)
    picture = Picture(photo.astype(np.uint16) * 257, alpha, Source(depth=16))
    done = process(picture).picture
    assert done.pixels.shape == photo.shape
    assert done.pixels.dtype == np.uint16
    assert done.alpha is alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_under_a_black_mask_the_photo_stays_to_the_bit(dtype: type) -> None:
    rng = np.random.default_rng(0)
    largest = np.iinfo(dtype).max
    before, after = (rng.integers(0, largest, (20, 30, 3), dtype, True) for _ in range(2))
    mask = np.zeros((20, 30, 3), np.uint8)
    mask[:, 10:], mask[:, 20:] = 128, 255

    process = run.masked(
        lambda picture: Result(picture.with_pixels(after)), Reference(Picture(mask))
    )
    done = process(Picture(before)).picture
    assert (done.pixels[:, :10] == before[:, :10]).all()
    assert (done.pixels[:, 20:] == after[:, 20:]).all()
    middle = before.astype(float) * 127 / 255 + after.astype(float) * 128 / 255
    assert np.abs(done.pixels - middle)[:, 10:20].max() <= 0.5


def test_a_mask_is_stretched_over_the_photo(files: Path, photo: Bytes) -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:, 6:] = 255
    Image.fromarray(mask).save("mask.png")
    stylize(Job(["photo.png"]), replace(GRAM, style=["painting.png"], mask=Path("mask.png")), QUICK)
    done = open_picture(Path("photo-stylized.png")).pixels
    assert (done[:, :30] == photo[:, :30]).all()
    assert (done[:, 40:] != photo[:, 40:]).any()


# Commands


def test_a_batch_is_resumed_by_what_the_styles_hold(
    files: Path, photo: Bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dir").mkdir()
    Image.fromarray(photo).save("dir/a.png")
    Image.fromarray(photo[:30]).save("dir/b.jpg")
    look = replace(GRAM, style=["painting.png"])

    def states(look: Look = look, transfer: Transfer = QUICK) -> list[str]:
        stylize(Job(["dir"], json=True), look, transfer)
        return [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()]

    assert states() == ["done", "done"]
    Path("painting.png").rename("renamed.png")
    assert states(replace(look, style=["renamed.png"])) == ["already done", "already done"]
    before = {path: path.read_bytes() for path in Path("dir-stylized").iterdir()}
    Image.fromarray(photo).save("renamed.png")
    assert states(replace(look, style=["renamed.png"])) == ["done", "done"]  # under other names
    assert all(path.read_bytes() == content for path, content in before.items())
    Image.fromarray(photo[:40]).save("renamed.png")
    with pytest.raises(Failure, match="2 of 2"):
        states(replace(look, style=["renamed.png"]))


def test_a_texture_has_the_size_that_is_asked_for(files: Path) -> None:
    quick = Texture(steps=2, features="vgg19", size="40x24", tile=True)
    execute(Job(["painting.png"]), quick)
    with Image.open("painting-texture.png") as image:
        assert image.size == (40, 24)
    for size in ("40", "0x3", "axb"):
        with pytest.raises(Misuse, match="give width x height"):
            execute(Job(["painting.png"]), Texture(size=size))
    with pytest.raises(Failure, match=r"5000x5000 pixels: at most 4\.2 million"):
        execute(Job(["painting.png"], "x.png"), replace(quick, size="5000x5000"))


def test_a_layer_is_named_in_the_file_and_all_of_them_are_a_table(files: Path) -> None:
    quick = Reconstruct(steps=1, features="vgg19", layer="conv2_1", size=32)
    execute(Job(["photo.png"]), quick)
    execute(Job(["photo.png"]), replace(quick, grid=True))
    with Image.open("photo-conv2_1.png") as one, Image.open("photo-layers.png") as table:
        assert one.size == (32, 24)
        assert table.width > 4 * 32
        assert table.height > 5 * 24


def test_the_published_tables_are_made(files: Path, photo: Bytes) -> None:
    transfer = replace(QUICK, steps=1, style_layers="conv1_1,conv2_1")
    look = replace(GRAM, style=["painting.png"], size=32)
    stylize(Job(["photo.png"]), replace(look, grid=Grid.layers), transfer)
    with Image.open("photo-layers.png") as table:
        assert 5 * 32 < table.width < 8 * 60
        assert 2 * 24 < table.height < 4 * 32
    look = replace(look, style=["painting.png", "photo.png"], grid=Grid.styles)
    Path("dir").mkdir()
    Image.fromarray(photo).save("dir/a.png")
    stylize(Job(["photo.png", "dir"], "table.png"), look, transfer)
    with Image.open("table.png") as table:
        assert table.width > 3 * 32
    with pytest.raises(Failure, match=r"table\.png exists"):
        stylize(Job(["photo.png"], "table.png"), look, transfer)
    with pytest.raises(Misuse, match="name it with -o FILE"):
        stylize(Job(["photo.png"]), look, transfer)


def test_frames_show_the_process(files: Path) -> None:
    transfer = replace(QUICK, steps=90, optimizer=Optimizer.adam, frames=Path("out.gif"))
    look = replace(GRAM, style=["painting.png"], size=24)
    stylize(Job(["photo.png"]), look, transfer)
    with Image.open("out.gif") as film:
        assert film.size == (24, 18)
        assert 20 < film.n_frames <= 81
    with pytest.raises(Failure, match=r"out\.gif exists"):
        stylize(Job(["photo.png"]), look, transfer)
    with pytest.raises(Misuse, match="name one picture"):
        stylize(Job(["photo.png", "painting.png"]), look, transfer)
    with pytest.raises(Misuse, match=r"end it with \.gif"):
        stylize(Job(["photo.png"]), look, replace(transfer, frames=Path("out.mp4")))


@pytest.mark.parametrize(
    ("look", "transfer", "words"),
    [
        (Look(style=["p"]), Transfer(steps=9), "--steps belongs to --method gram"),
        (Look(style=["p"]), Transfer(init=Init.noise), "--init belongs to --method gram"),
        (Look(style=["p"]), Transfer(frames=Path("a.gif")), "--frames belongs to --method gram"),
        (Look(style=["p"], grid=Grid.layers), Transfer(), "--grid layers belongs to --method gram"),
        (Look(style=["p"], style_weight=[1, 2]), Transfer(), "given 2 times, for 1 styles"),
        (Look(style=["p"], style_weight=[0]), Transfer(), "weights are above 0"),
        (Look(style=["p"], grid=Grid.styles, mask=Path("m")), Transfer(), "leave --mask out"),
        (replace(GRAM, style=["p", "q"], grid=Grid.layers), Transfer(), "shows one --style"),
    ],
)
def test_options_that_contradict_each_other_are_misuse(
    look: Look, transfer: Transfer, words: str
) -> None:
    with pytest.raises(Misuse, match=words):
        stylize(Job(["photo.png"]), look, transfer)


def test_what_is_not_there_is_named(files: Path) -> None:
    look = replace(GRAM, style=["painting.png"])
    with pytest.raises(Misuse, match="no layer is called conv9_1: conv1_1, "):
        stylize(Job(["photo.png"]), look, replace(QUICK, style_layers="conv1_1, conv9_1"))
    with pytest.raises(Misuse, match="--style-layers: name a layer"):
        stylize(Job(["photo.png"]), look, replace(QUICK, style_layers=","))
    with pytest.raises(Failure, match=r"none\.png: cannot be read"):
        stylize(Job(["photo.png"]), replace(look, style=["none.png"]), QUICK)
    Image.new("RGB", (200, 20)).save("thin.png")
    with pytest.raises(Failure, match=r"thin\.png|a style is under 16 pixels"):
        stylize(Job(["photo.png"]), replace(look, style=["thin.png"]), QUICK)
    Image.new("RGB", (40, 8)).save("small.png")
    with pytest.raises(Failure, match=r"small\.png: 40x8 pixels: 16 a side are needed"):
        stylize(Job(["small.png"]), look, QUICK)


def test_devices_are_those_of_torch() -> None:
    assert choose("cpu") == CPU
    assert choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(Misuse, match="known are auto, cpu, cuda and cuda:N"):
        choose("gpu")
    with pytest.raises(Failure, match="--device cuda:99: PyTorch sees"):
        choose("cuda:99")


def test_a_meter_goes_to_1_and_never_back(photo: Bytes, painting: Bytes) -> None:
    shares: list[float] = []
    process = transferring(painting, 48, Meter(shares.append))
    process(Picture(photo))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_commands_have_the_options_of_every_operation() -> None:
    app = typer.Typer()
    for kind in imgan_stylize.register_operations():
        app.command(kind.name)(command_of(kind))
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        names = {name for parameter in command.params for name in parameter.opts}
        assert {"-o", "-r", "--overwrite", "--json", "--steps", "--features"} <= names


def test_a_missing_torch_is_one_line(files: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from imgan.cli import main; "
        "sys.argv = ['imgan', 'stylize', 'photo.png', '--style', 'painting.png', '--method', "
        "'gram', '--features', 'vgg19']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        'imgan: this needs torch, which is not installed: pip install "imgan[train]"\n'
    )
