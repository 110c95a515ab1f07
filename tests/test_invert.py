"""Latents: found, kept, moved, mixed, and looked for by strokes; with a tiny generator."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageSequence

from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure, Misuse
from imgan.film import Film
from imgan.images import open_picture
from imgan.models import store
from imgan.models.cards import Description
from imgan.operations import Operation, Runtime
from imgan.plugins import registry
from imgan.training.loop import fit
from imgan.training.ports import export
from imgan_exporters.onnx import write
from imgan_generate import net
from imgan_generate.ports import GENERATOR, style_form
from imgan_generate.stylegan import Generator
from imgan_invert import (
    EncoderSettings,
    Init,
    Interpolate,
    Inversion,
    Mix,
    Optimizer,
    Scribble,
    Space,
    motion,
    moving,
    run,
)
from imgan_invert import drawing as scribbles
from imgan_invert.encoder import Encoder
from imgan_invert.latent import Latent, render
from imgan_invert.network import open_network
from imgan_invert.optimise import Losses, invert

pytestmark = pytest.mark.slow  # networks are exported for most of it

FAST = Inversion(steps=12, perceptual=0.0, noise=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny style-based generator and a tiny DCGAN as ONNX files."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    styled = Generator((8, 8, 8), z=8, w=8, layers=2)
    with torch.no_grad():
        styled.mapping.w_avg.copy_(styled.eval().mapping(torch.randn(99, 8)).mean(0))
        for name, parameter in styled.synthesis.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
    card = Description(name="tiny", operation="generate")
    write(styled, style_form(styled), folder / "tiny.onnx", card)

    vanilla = net.Generator(1).eval()
    write(vanilla, GENERATOR, folder / "vanilla.onnx", Description(name="v", operation="generate"))
    return {"tiny": folder / "tiny.onnx", "vanilla": folder / "vanilla.onnx"}


@pytest.fixture
def studio(home: Path, files: dict[str, Path]) -> run.Studio:
    store.add(files["tiny"], Description(name="tiny", operation="generate"))
    return run.open_studio("tiny", "cpu")


def _own(studio: run.Studio, seed: int) -> Latent:
    """A latent of the generator itself."""
    rng = np.random.default_rng(seed)
    code = rng.standard_normal((6, 8)).astype(np.float32)
    noise = rng.standard_normal(run.StyleGenerator(studio.session).noise).astype(np.float32)
    facts = {"model": "tiny", "sha256": studio.card.sha256}
    return Latent(code, noise, facts)


@pytest.fixture
def photo(studio: run.Studio, tmp_path: Path) -> Path:
    """A picture that the generator can make, enlarged, with more at its sides."""
    pixels = render(studio.session, _own(studio, 7))
    wide = np.pad(np.kron(pixels, np.ones((4, 4, 1), np.uint8)), ((0, 0), (16, 16), (0, 0)))
    Image.fromarray(wide).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_photo_without_a_face_is_named(studio: run.Studio, photo: Path) -> None:
    of_faces = replace(studio, card=replace(studio.card, traits={"faces": "aligned"}))
    with pytest.raises(Failure, match=r"^photo.png: no face found; name it by --box"):
        run.aligned(open_picture(photo), of_faces, None)


def test_a_latent_is_kept_with_what_made_it(studio: run.Studio, tmp_path: Path) -> None:
    latent = replace(_own(studio, 1), tuned={"synthesis.b4.const": np.ones((8, 4, 4), np.float16)})
    with (tmp_path / "a.npz").open("wb") as file:
        latent.write(file)
    again = Latent.read(tmp_path / "a.npz")
    assert np.array_equal(again.code, latent.code)
    assert np.array_equal(again.noise, latent.noise)
    assert again.facts == latent.facts
    assert np.array_equal(again.tuned["synthesis.b4.const"], np.ones((8, 4, 4)))
    assert again.card().name == "tiny"


def test_no_latent_is_one_line_and_no_code_runs(home: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    np.savez(tmp_path / "evil.npz", code=np.array([Evil()], object), facts="{}")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    for name in ("evil", "other", "pickle", "cut", "missing"):
        with pytest.raises(Failure, match=name):
            Latent.read(tmp_path / f"{name}.npz")
    assert not (tmp_path / "ran").exists()


def test_torch_and_onnxruntime_make_the_same_picture(studio: run.Studio) -> None:
    latent, network = _own(studio, 2), open_network(studio.card)
    with torch.no_grad():
        code, noise = torch.from_numpy(latent.code)[None], torch.from_numpy(latent.noise)[None]
        picture = network.picture(network.full("w+", code), noise)
    theirs = (picture[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(theirs.clip(0, 255) - render(studio.session, latent)).max() < 1


@pytest.mark.parametrize("space", list(Space))
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_a_search_comes_nearer(
    studio: run.Studio, photo: Path, space: Space, optimizer: Optimizer
) -> None:
    target = run.aligned(open_picture(photo), studio, None)
    settings = replace(FAST, space=space, optimizer=optimizer)
    far = run.find(studio, target, replace(settings, steps=0)).facts["losses"]["loss"]
    assert run.find(studio, target, settings).facts["losses"]["loss"] < 0.95 * far


def test_noise_does_not_mislead_l_bfgs(studio: run.Studio, photo: Path) -> None:
    target = run.aligned(open_picture(photo), studio, None)
    settings = replace(FAST, optimizer=Optimizer.lbfgs, steps=8)
    with_noise, without = (
        run.find(studio, target, replace(settings, noise=noise)).facts["losses"]["loss"]
        for noise in (True, False)
    )
    assert with_noise == pytest.approx(without, rel=0.05)


def test_the_same_seed_gives_the_same_latent_and_a_second_time_it_is_read(
    studio: run.Studio, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = run.aligned(open_picture(photo), studio, None)
    settings = replace(FAST, init=Init.random, restarts=2, noise=True)
    first = run.find(studio, target, settings)
    monkeypatch.setattr(store, "cache_folder", lambda: photo.parent / "other")
    again = run.find(studio, target, settings)
    assert np.array_equal(first.code, again.code)
    assert np.array_equal(first.noise, again.noise)
    assert first.facts == again.facts
    other = run.find(studio, target, replace(settings, seed=1))
    assert not np.array_equal(first.code, other.code)
    monkeypatch.setattr(run, "_searched", lambda *_: pytest.fail("it was searched again"))
    run.find(studio, target, settings)


def test_ctrl_c_keeps_the_best(studio: run.Studio, photo: Path) -> None:
    target = torch.from_numpy(run.encode(run.aligned(open_picture(photo), studio, None)[None]))

    def stop(step: int, loss: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    found = invert(open_network(studio.card), Losses(target, FAST), FAST, report=stop)
    assert found.stopped
    assert found.code.shape == (1, 6, 8)
    assert 0 < found.loss < 10


def test_tuning_comes_nearer_than_the_pivot_and_is_kept(
    studio: run.Studio, photo: Path, tmp_path: Path
) -> None:
    target = run.aligned(open_picture(photo), studio, None)
    pivot = run.find(studio, target, FAST)
    tuned = run.find(studio, target, replace(FAST, tune=10))
    assert tuned.facts["losses"]["loss"] < pivot.facts["losses"]["loss"]
    with (tmp_path / "t.npz").open("wb") as file:
        tuned.write(file)
    made = {
        name: np.square(render(studio.session, latent) - target.astype(float)).mean()
        for name, latent in (("pivot", pivot), ("tuned", Latent.read(tmp_path / "t.npz")))
    }
    assert made["tuned"] < made["pivot"]


def test_a_photo_is_inverted_by_the_command(
    studio: run.Studio, photo: Path, tmp_path: Path
) -> None:
    out, pair = tmp_path / "out.npz", tmp_path / "pair.png"
    run.invert_photo(photo, out, FAST, "tiny", "16,0,64", pair, False, "cpu")
    facts = Latent.read(out).facts
    assert facts["model"] == "tiny"
    assert json.loads(json.dumps(facts))["settings"]["steps"] == 12
    assert _pixels(pair).shape == (16, 32, 3)
    with pytest.raises(Failure, match="--overwrite"):
        run.invert_photo(photo, out, FAST, "tiny", None, None, False, "cpu")
    for box in ("1,2", "90,0,64", "a,b,c"):
        with pytest.raises(Misuse, match="--box"):
            run.invert_photo(photo, tmp_path / "b.npz", FAST, "tiny", box, None, False, "cpu")
    with pytest.raises(Misuse, match=r"\.npz"):
        run.invert_photo(photo, tmp_path / "b.png", FAST, "tiny", None, None, False, "cpu")


def test_options_that_contradict_each_other() -> None:
    for wrong in (
        Inversion(l1=0, l2=0, perceptual=0),
        Inversion(space=Space.z, init=Init.encoder),
        Inversion(steps=0, restarts=2),
    ):
        with pytest.raises(Misuse):
            wrong.check()


def test_a_vanilla_generator_has_z_alone(
    home: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    store.add(files["vanilla"], Description(name="vanilla", operation="generate"))
    studio = run.open_studio("vanilla", "cpu")
    target = np.full((64, 64, 3), 90, np.uint8)
    latent = run.find(studio, target, replace(FAST, space=Space.z, steps=2))
    assert latent.code.shape == (1, 100)
    assert render(studio.session, latent).shape == (64, 64, 3)
    with pytest.raises(Misuse, match="z alone"):
        run.find(studio, target, FAST)


def test_the_study_is_a_picture_and_a_table(
    home: Path,
    files: dict[str, Path],
    studio: run.Studio,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "STUDIED", (("l1", 1, 0, 0), ("l2", 0, 1, 0)))
    target = tmp_path / "study.png"
    run.study(photo, target, replace(FAST, steps=2), "tiny", None, False, "cpu")
    lines = (tmp_path / "study.csv").read_text().splitlines()
    assert lines[0] == "model,space,losses,L2,perceptual,seconds"
    assert len(lines) == 7
    assert _pixels(target).shape == (18 + 3 * 96, 40 + 3 * 96, 3)
    store.add(files["vanilla"], Description(name="vanilla", operation="generate"))
    run.study(photo, target, replace(FAST, steps=1), "vanilla,tiny", None, True, "cpu")
    lines = (tmp_path / "study.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1::2]] == [
        ["vanilla", "z"],
        *(["tiny", space] for space in Space),
    ]
    assert len(_pixels(target)) == 18 + 4 * 96


def test_an_encoder_learns_and_answers_without_a_search(
    studio: run.Studio, files: dict[str, Path], photo: Path, tmp_path: Path
) -> None:
    from imgan_invert.training.encoder import EncoderTask

    folder = tmp_path / "data"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(render(studio.session, _own(studio, k))).save(folder / f"{k}.png")
    settings = EncoderSettings(
        steps=2, batch_size=4, width=4, held_out=1, generator=str(files["tiny"]), sample_every=2
    )
    torch.manual_seed(0)
    task = EncoderTask(folder, settings)
    (tmp_path / "run").mkdir()
    fit(task, tmp_path / "run")
    card = Description(name="tiny-encoder", operation="invert")
    export(registry().recipes["stylegan-encoder"], task, tmp_path / "encoder.onnx", card)
    described = store.embedded_description(tmp_path / "encoder.onnx")
    assert described
    store.add(tmp_path / "encoder.onnx", described)
    with_encoder = run.open_studio("tiny", "cpu")
    assert with_encoder.encoder
    latent = run.find(
        with_encoder, run.aligned(open_picture(photo), studio, None), replace(FAST, steps=0)
    )
    assert latent.code.shape == (6, 8)
    assert latent.facts["encoder"] == with_encoder.encoder.sha256
    # The same by the command, where torch cannot be had.
    target = tmp_path / "answer.npz"
    code = (
        "import sys; sys.modules['torch'] = None; from imgan.cli import main; "
        f"sys.argv = ['imgan', 'invert', {str(photo)!r}, '-o', {str(target)!r}, '--model', 'tiny', "
        "'--init', 'encoder', '--steps', '0', '--device', 'cpu']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(Latent.read(target).code, latent.code)


def test_an_encoder_is_small() -> None:
    for side, layers in ((64, 10), (128, 12)):
        numbers = sum(weights.numel() for weights in Encoder(side, layers, 128).parameters())
        assert 2 * numbers < 4e6  # bytes, in half precision


def _write(latent: Latent, path: Path) -> Path:
    with path.open("wb") as file:
        latent.write(file)
    return path


def test_steps_are_even_where_styles_move_in_jumps() -> None:
    def picture(place: float) -> np.ndarray:
        return np.full((16, 16, 3), 250 * place**6, np.float64)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.square(a - b).mean())

    places = np.linspace(0, 1, 12)
    assert moving.ratio([picture(p) for p in places], distance) > 10
    made, ratio = moving.spaced(picture, 12, distance, ease=False)
    assert len(made) == 12
    assert ratio <= moving.RATIO
    assert made[0].max() < 1
    assert made[-1].min() == 250
    eased, _ = moving.spaced(picture, 12, distance, ease=True)
    taken = moving.steps(eased, distance)
    assert taken[0] < np.median(taken) > taken[-1]


def test_an_arc_keeps_lengths() -> None:
    a, b = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 3.0]], np.float32)
    half = moving.between(a, b, 0.5, True, None)
    assert np.linalg.norm(half) == pytest.approx(3)
    assert np.allclose(moving.between(a, b, 0.5, False, None), 1.5)
    assert np.allclose(moving.between(a, a, 0.3, True, None), a)
    assert np.allclose(moving.between(a, b, 1.0, True, np.array([1.0, 1.0])), b, atol=1e-5)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_a_film_goes_there_and_back(studio: run.Studio, tmp_path: Path, suffix: str) -> None:
    video = pytest.importorskip("imageio_ffmpeg") if suffix == ".mp4" else None
    frames = [np.full((16, 16, 3), 40 * k, np.uint8) for k in range(5)]
    target = tmp_path / f"film{suffix}"
    with target.open("wb") as file:
        Film(frames, 10).write(file, suffix)
    if video:
        assert target.read_bytes()[4:8] == b"ftyp"
        assert video.count_frames_and_secs(str(target)) == (8, pytest.approx(0.8))
        return
    shown = _frames(target)
    assert len(shown) == 8
    assert abs(int(shown[4].mean()) - 160) < 12


def _run(operation: Operation, *inputs: Path, output: Path) -> None:
    execute(Job(list(map(str, inputs)), output=str(output), device="cpu"), operation)


def test_two_latents_become_a_film_or_a_sheet(
    studio: run.Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = [_write(_own(studio, k), tmp_path / f"{k}.npz") for k in (1, 2)]
    wanted = Interpolate(frames=5, spherical=True)
    for name, width in (("film.gif", 16), ("sheet.png", 80)):
        _run(wanted, *inputs, output=tmp_path / name)
        assert _pixels(tmp_path / name).shape == (16, width, 3)
    assert len(_frames(tmp_path / "film.gif")) == 8
    said = capsys.readouterr()
    assert "times the median" in said.out + said.err
    made = _pixels(tmp_path / "sheet.png")
    assert np.array_equal(made[:, :16], render(studio.session, _own(studio, 1)))
    assert np.array_equal(made[:, -16:], render(studio.session, _own(studio, 2)))
    runtime = Runtime("cpu", store.Models.installed())
    with pytest.raises(Misuse, match="two photos"):
        motion.latents([open_picture(tmp_path / "sheet.png")], FAST, None, runtime)


def test_pictures_are_put_into_the_photos_own_frame(
    studio: run.Studio, photo: Path, tmp_path: Path
) -> None:
    other = _write(_own(studio, 2), tmp_path / "2.npz")
    wanted = Interpolate(frames=3, steps=1, perceptual=0.0, noise=False, paste=True)
    _run(wanted, other, photo, output=tmp_path / "sheet.png")
    own, made = _pixels(photo).astype(int), _pixels(tmp_path / "sheet.png").astype(int)
    assert made.shape == (64, 3 * 96, 3)
    for frame in np.split(made, 3, axis=1):
        assert np.array_equal(frame[:, :16], own[:, :16])
        assert np.array_equal(frame[:, -16:], own[:, -16:])
    inside = render(studio.session, _own(studio, 2))[4:12, 4:12].mean((0, 1))
    far = [np.abs(shown[16:48, 32:64].mean((0, 1)) - inside).max() for shown in (made, own)]
    assert far[0] < 6 < far[1]
    third = _write(_own(studio, 3), tmp_path / "3.npz")
    with pytest.raises(Failure, match="--paste needs a photo"):
        _run(wanted, other, third, output=tmp_path / "none.png")


def test_layers_come_from_the_other_picture(studio: run.Studio, tmp_path: Path) -> None:
    a, b = _own(studio, 1), _own(studio, 2)
    code = motion.mixed(a, b, motion.styles("2-3", 6)).code
    assert np.array_equal(code[[0, 3, 4, 5]], a.code[[0, 3, 4, 5]])
    assert np.array_equal(code[1:3], b.code[1:3])
    for words in ("0-2", "3-2", "5-7", "x"):
        with pytest.raises(Misuse, match="layers 1-6"):
            motion.styles(words, 6)
    inputs = [_write(_own(studio, k), tmp_path / f"{k}.npz") for k in range(3)]
    _run(Mix(layers="1-6"), *inputs, output=tmp_path / "m.png")
    sheet = _pixels(tmp_path / "m.png")
    assert sheet.shape == (64, 64, 3)
    # All layers of the column's picture, with the row's noise: the diagonal is the picture itself.
    assert np.array_equal(sheet[16:32, 16:32], sheet[:16, 16:32])


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as film:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]


def _drawing(path: Path, transparent: bool) -> Path:
    image = Image.new("RGBA", (40, 30), (255, 255, 255, 0 if transparent else 255))
    ImageDraw.Draw(image).ellipse((10, 8, 28, 24), fill=(200, 60, 20, 255))
    image.save(path)
    return path


@pytest.mark.parametrize("transparent", [True, False])
def test_strokes_are_what_is_drawn(tmp_path: Path, transparent: bool) -> None:
    drawing = open_picture(_drawing(tmp_path / "d.png", transparent))
    pixels, mask = scribbles.strokes(drawing, 16)
    assert mask[8, 8] == 255
    assert mask[0].max() == mask[-1].max() == 0
    assert np.abs(pixels[8, 8] - np.array([200, 60, 20])).max() < 3
    with pytest.raises(Failure, match="nothing is drawn"):
        scribbles.strokes(drawing.with_pixels(np.zeros_like(drawing.pixels), None), 16)


def test_a_scribble_is_followed_where_it_is_drawn(studio: run.Studio, tmp_path: Path) -> None:
    drawing = _drawing(tmp_path / "d.png", True)
    target, mask = scribbles.strokes(open_picture(drawing), 16)
    wanted = Scribble(realism=0.0, seeds=2, steps=15)
    found = scribbles.search(studio, target, mask, wanted)
    losses = [latent.facts["losses"]["loss"] for latent in found]
    assert losses == sorted(losses)

    def far(latent: Latent) -> float:
        return float(np.abs(render(studio.session, latent) - target.astype(float))[mask > 0].mean())

    tied = scribbles.search(studio, target, mask, replace(wanted, realism=1e4))
    assert far(found[0]) < far(tied[0])


def test_scribbles_are_written(studio: run.Studio, tmp_path: Path) -> None:
    drawing = _drawing(tmp_path / "d.png", True)
    wanted = Scribble(seeds=2, steps=3, model="tiny", count=2, frames=tmp_path / "film.gif")
    _run(wanted, drawing, output=tmp_path / "cat.png")
    assert _pixels(tmp_path / "cat.png").shape == (16, 32, 3)
    assert len(_frames(tmp_path / "film.gif")) > 1
    study = replace(wanted, frames=None, study=True)
    _run(study, drawing, output=tmp_path / "study.png")
    assert _pixels(tmp_path / "study.png").shape == (18 + 3 * 96, 40 + 3 * 96, 3)
    for wrong in (replace(wanted, study=True), replace(wanted, count=3)):
        with pytest.raises(Misuse):
            wrong.check()
