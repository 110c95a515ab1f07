"""The fast way to stylise: a random network through the exporter, pictures, and its training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from imgan.batch.job import Job
from imgan.batch.run import Batch, Listener
from imgan.errors import Failure, Misuse
from imgan.files import digest
from imgan.images import Picture, Source, open_picture
from imgan.images.tensors import Bytes
from imgan.images.upsampling import LUMA, keep_color
from imgan.models import store
from imgan.models.cards import Description, ModelCard
from imgan.models.sessions import OutOfMemory
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.references import Reference
from imgan.training import perceptual
from imgan.training.loop import CHECKPOINT, fit
from imgan_exporters import families
from imgan_stylize import FastSettings, Stylize, Transfer, fast
from imgan_stylize import evaluate as evaluation
from imgan_stylize.net import CHANNELS, LAYERS, Decoder, statistics
from imgan_stylize.train import StylizeTask, recolour

SLOPE = Models.installed().find("stylize-slope")

TINY = FastSettings(
    steps=6, batch_size=2, ema_decay=0.5, crop=24, checkpoint_every=3, sample_every=3
)


@pytest.fixture(scope="module", autouse=True)
def features() -> Iterator[None]:
    """Random features in the place of the bundled ones."""

    def load() -> perceptual.Features:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return perceptual.Features.half().requires_grad_(False).eval()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual, "load", load)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for index in range(3):
        Image.fromarray(_picture(40, 52, index)).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def task(photos: Path) -> StylizeTask:
    """Its decoder has lively last layers: new ones paint all grey."""
    task = _task(photos)
    for decoder in (task.networks["decoder"], task.averages["decoder"].module):
        torch.manual_seed(0)
        for last in (decoder.full_size[-1], decoder.colours):
            nn.init.normal_(last.weight, std=0.02)
    return task


@pytest.fixture(scope="module")
def network(task: StylizeTask) -> nn.Module:
    return task.product()


@pytest.fixture(scope="module")
def card(task: StylizeTask, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """The same network, exported as `imgan export` does it."""
    folder = tmp_path_factory.mktemp("model")
    facts = {"name": "tiny", "operation": "stylize"}
    file = folder / "weights" / "tiny.onnx"
    file.parent.mkdir()
    families.stylizer(task, file, Description(**facts), half=False, overwrite=False)
    size = file.stat().st_size
    return ModelCard(**facts, file=file.name, sha256=digest(file), size=size, folder=folder)


def _picture(height: int, width: int, seed: int = 0) -> Bytes:
    """Soft patches of colour under fine grain, away from black and white."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 196, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return (smooth + rng.integers(-9, 10, (height, width, 1))).clip(0, 255).astype(np.uint8)


def _tensor(picture: Bytes) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def _start(card: ModelCard, styles: list[Bytes], size: int = 64, **changed: Any) -> Any:
    if "weights" in changed:
        changed["style_weight"] = changed.pop("weights")
    references = [Reference(Picture(style)) for style in styles]
    operation = Stylize(style=references, model=card.name, **{"refine": 0, **changed})
    return fast.open_fast(operation, Runtime("cpu", Models((card,))), size)


def _painted(card: ModelCard, picture: Bytes, styles: list[Bytes], **changed: Any) -> Bytes:
    result = _start(card, styles, **changed)(Picture(picture)).picture
    assert result.pixels.dtype == np.uint8
    pixels: Bytes = result.pixels.astype(np.uint8)
    return pixels


@torch.no_grad()
def _truth(
    network: Any, picture: Bytes, styles: list[Bytes], shares: list[float], strength: float = 1.0
) -> Bytes:
    """What PyTorch makes of it, by the published equations: activations are mixed, not styles."""
    seen = network.encoder(_tensor(fast.padded(picture)), LAYERS)
    looks = [network.encoder(_tensor(fast.padded(style)), LAYERS) for style in styles]
    mixed = {}
    for layer in LAYERS:
        own_mean, own_deviation = statistics(seen[layer])
        normal = (seen[layer] - own_mean) / own_deviation
        styled = torch.zeros_like(normal)
        for look, share in zip(looks, shares, strict=True):
            mean, deviation = statistics(look[layer])
            styled += share * (normal * deviation + mean)
        mixed[layer] = (1 - strength) * seen[layer] + strength * styled
    result = network.decoder(mixed)
    pixels: Bytes = (result[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return _inside(pixels)


def _inside(pixels: Bytes) -> Bytes:
    return pixels[fast.MARGIN : -fast.MARGIN, fast.MARGIN : -fast.MARGIN]


def _apart(one: Bytes, other: Bytes) -> int:
    return int(np.abs(one.astype(int) - other).max())


def test_the_exported_network_does_what_the_paper_says(card: ModelCard, network: nn.Module) -> None:
    photo, styles = _picture(48, 64), [_picture(40, 40, 1), 255 - _picture(32, 64, 2)]
    one = _painted(card, photo, styles[:1])
    assert _apart(one, _truth(network, photo, styles[:1], [1])) <= 1
    both = _painted(card, photo, styles, weights=[3, 1], strength=0.4)
    assert _apart(both, _truth(network, photo, styles, [0.75, 0.25], 0.4)) <= 1
    assert _apart(one, both) > 10


def test_without_strength_the_photo_is_rebuilt_whatever_the_style(
    card: ModelCard, network: Any
) -> None:
    photo, styles = _picture(48, 64), [_picture(40, 40, 1), _picture(40, 40, 2)]
    rebuilt = [_painted(card, photo, [style], strength=0) for style in styles]
    assert _apart(*rebuilt) == 0
    with torch.no_grad():
        plain = network.decoder(network.encoder(_tensor(fast.padded(photo)), LAYERS))
    wanted = _inside(plain[0].clamp(0, 1).permute(1, 2, 0).numpy())
    assert np.abs(rebuilt[0] / 255 - wanted).max() < 0.005


def test_the_margin_mirrors_the_picture() -> None:
    picture = _picture(13, 30)
    padded = fast.padded(picture)
    assert all(side % 16 == 0 for side in padded.shape[:2])
    margin = fast.MARGIN
    assert np.array_equal(padded[margin : margin + 13, margin : margin + 30], picture)
    assert np.array_equal(padded[margin : margin + 13, margin - 1], picture[:, 0])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 23), (64, 64), (130, 61)])
def test_any_size_goes_in_and_comes_out(card: ModelCard, size: tuple[int, int]) -> None:
    painted = _painted(card, _picture(*size), [_picture(9, 300, 1)])
    assert painted.shape == (*size, 3)


def test_a_large_photo_has_no_seams_and_keeps_its_grain(card: ModelCard) -> None:
    """At full size it is the enlarged small one, plus what the small one lacks of the photo."""
    photo, style = _picture(1100, 1300), _picture(40, 40, 1)
    assert photo.shape[0] * photo.shape[1] > 2**20, "one band would show no seam"
    painted = _painted(card, photo, [style], size=96)
    small = np.asarray(Image.fromarray(photo).resize((96, 81), Image.Resampling.LANCZOS))
    before, after = (
        np.asarray(Image.fromarray(a).resize((1300, 1100), Image.Resampling.BICUBIC))
        for a in (small, _painted(card, small, [style], size=96))
    )
    detail = (photo.astype(np.float64) - before) @ LUMA
    wanted = (after + detail[..., None]).clip(0, 255)
    assert np.abs(painted - wanted).max() <= 1


def test_the_colours_stay_and_the_brightness_is_the_styles(card: ModelCard) -> None:
    photo, style = _picture(48, 56), [_picture(40, 40, 1)]
    painted, kept = (_painted(card, photo, style, keep_color=keep) for keep in (False, True))
    assert _apart(kept, painted) > 5
    inside = ((kept > 0) & (kept < 255)).all(axis=2)
    assert inside.mean() > 0.5
    chroma = [np.diff(a.astype(int), axis=2)[inside] for a in (kept, photo)]
    assert np.abs(chroma[0] - chroma[1]).max() <= 1
    assert np.abs((kept.astype(float) - painted) @ LUMA)[inside].max() < 1


def test_white_brightness_leaves_the_range_at_its_end() -> None:
    photo = np.full((2, 2, 3), (200, 100, 100), np.uint8)
    white = np.full((2, 2, 3), 255, np.uint8)
    assert keep_color(photo, white)[0, 0].tolist() == [255, 225, 225]


def test_sixteen_bits_go_in_and_come_out(card: ModelCard) -> None:
    deep = Picture(_picture(32, 40).astype(np.uint16) * 257, source=Source(depth=16))
    result = _start(card, [_picture(40, 40, 1)], size=24)(deep)
    painted, facts = result.picture, result.facts
    assert painted.pixels.dtype == np.uint16
    assert painted.pixels.max() > 255
    assert facts == {"worked_at": "24x19"}


def test_files_are_stylised(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, style = _picture(48, 56), _picture(40, 40, 1)
    for name in ("a.png", "b.png"):
        Image.fromarray(photo).save(tmp_path / name)
    Image.fromarray(style).save(tmp_path / "style.png")
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    job = Job(names, output=str(tmp_path / "out") + "/", device="cpu")
    monkeypatch.setattr(Models, "installed", lambda: Models((card,)))
    style_file = Reference.of(tmp_path / "style.png")
    operation = Stylize(style=[style_file], model=card.name, refine=0, size=64)
    Batch(job, operation, Listener()).run()
    painted = [open_picture(tmp_path / "out" / name).pixels for name in ("a.png", "b.png")]
    wanted = _painted(card, photo, [style])
    assert all(np.array_equal(pixels, wanted) for pixels in painted)


def test_a_size_that_memory_does_not_hold_is_refused(card: ModelCard) -> None:
    with pytest.raises(Misuse, match=r"--size 4000: .* 16 to 2048 pixels"):
        _start(card, [_picture(20, 20)], size=4000)


def test_a_network_that_does_not_fit_says_what_to_do(
    card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = _start(card, [_picture(20, 20)])

    def run_many(inputs: object) -> None:
        raise OutOfMemory("tiny.onnx")

    monkeypatch.setattr(process.network.painter, "run_many", run_many)
    with pytest.raises(Failure, match="out of memory at 112x112 pixels: take a smaller --size"):
        process(Picture(_picture(60, 70)))


def _task(photos: Path, settings: FastSettings = TINY) -> StylizeTask:
    torch.manual_seed(settings.seed)
    return StylizeTask(photos, settings)


@pytest.mark.parametrize(
    ("rebuild", "names"), [(1.0, {"pixels"}), (0.0, {"pixels", "content", "style"})]
)
def test_a_few_steps_lower_the_loss(tmp_path: Path, rebuild: float, names: set[str]) -> None:
    """Dark pictures: a decoder begins with grey ones."""
    Image.fromarray(_picture(40, 52) // 4).save(tmp_path / "dark.png")
    losses: list[dict[str, float]] = []
    settings = replace(TINY, steps=12, lr=3e-3, rebuild=rebuild, recolour=0.0)
    fit(_task(tmp_path, settings), tmp_path, report=lambda _, figures: losses.append(figures))
    assert {name for name, value in losses[0].items() if value} - {"images_per_second"} == names
    for name in names:
        assert np.mean([f[name] for f in losses[-3:]]) < 0.8 * losses[0][name]


def test_a_run_cut_in_two_gives_the_same_weights(photos: Path, tmp_path: Path) -> None:
    settings = replace(TINY, styles=str(photos), rebuild=0.3)
    fit(_task(photos, settings), tmp_path / "uncut")
    fit(_task(photos, settings), tmp_path / "cut", until=3)
    fit(_task(photos, settings), tmp_path / "cut")
    uncut, cut = (
        torch.load(tmp_path / name / CHECKPOINT, weights_only=True) for name in ("uncut", "cut")
    )
    assert cut["step"] == settings.steps
    for kind in ("networks", "averages"):
        for key, value in uncut[kind]["decoder"].items():
            assert torch.equal(value, cut[kind]["decoder"][key]), key


def test_a_run_keeps_the_encoder_that_its_decoder_was_made_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = _task(photos)
    before = task.networks["encoder"].conv4_1.weight.clone()
    fit(task, tmp_path, until=2)
    other = perceptual.Features.half().requires_grad_(False).eval()
    monkeypatch.setattr(perceptual, "load", lambda: other)
    later = _task(photos)
    fit(later, tmp_path, until=3)
    assert torch.equal(later.product().encoder.conv4_1.weight, before)


def test_the_decoder_costs_less_than_half_of_the_encoder() -> None:
    def work(network: nn.Module, *given: Any) -> int:
        products = 0

        def count(conv: nn.Conv2d, _: Any, output: torch.Tensor) -> None:
            nonlocal products
            products += output.numel() * conv.weight[0].numel()

        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        network(*given)
        return products

    picture = torch.zeros(1, 3, 64, 64)
    encoder = perceptual.Features.half()
    encoding = work(encoder, picture, LAYERS)
    assert work(Decoder(), encoder(picture, LAYERS)) <= 0.4 * encoding


def test_the_torchless_side_knows_how_many_channels_a_style_has() -> None:
    assert fast.CHANNELS == CHANNELS


def test_styles_come_from_their_folder_and_from_the_photos(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), "red").save(tmp_path / "red.png")
    always = replace(TINY, styles=str(tmp_path), photo_styles=0.0, recolour=0.0)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    for chance, share in ((0.0, 1.0), (1.0, 0.0)):
        _, styles = _task(photos, replace(always, photo_styles=chance)).batch(0)
        assert (styles == red).all(dim=1).float().mean() == share
    _, styles = _task(photos, replace(always, recolour=1.0)).batch(0)
    assert not torch.equal(styles[0], styles[1]), "every style has colours of its own"


def test_other_colours_turn_about_grey() -> None:
    picture = _picture(20, 20)
    one, same, other = (recolour(picture, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert _apart(one, other) > 10
    ramp = np.repeat(np.arange(40, 200, 20, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(5):
        grey = recolour(ramp, np.random.default_rng(seed)).astype(int)
        assert np.ptp(grey, axis=2).max() <= 1
        assert (np.diff(grey[0, :, 0]) > 5).all()


def test_the_sample_sheet_shows_photo_style_and_result(photos: Path) -> None:
    task = _task(photos)
    sheet = task.sample()
    assert sheet.shape == (3, 6 * 24, 3 * 24)
    drawn, styles = task.pairs.draw(np.random.default_rng(0), 6)
    assert torch.equal(sheet[:, :24, :24], drawn[0])
    assert torch.equal(sheet[:, -24:, 24:48], styles[-1])


@pytest.mark.parametrize(
    "wrong", [{"crop": 8}, {"photo_styles": 1.5}, {"recolour": -0.1}, {"style_weight": -1.0}]
)
def test_settings_that_mean_nothing_are_misuse(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(Misuse, match=f"--{name.replace('_', '-')} .*it must be"):
        FastSettings(**wrong)


def test_photos_that_are_too_small_are_one_line(photos: Path) -> None:
    with pytest.raises(Failure, match="no picture is 41 px on both sides"):
        _task(photos, replace(TINY, crop=41)).batch(0)


def test_the_table_sets_the_fast_method_beside_the_optimisation(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, count, first in (("valA", 2, 0), ("valB", 3, 2)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            picture = Image.fromarray(_picture(40, 52, first + index))
            picture.save(tmp_path / folder / f"{folder}-{index}.png")
    monkeypatch.setattr(store, "installed", lambda: (card, SLOPE))
    monkeypatch.setattr(evaluation, "SIZE", 32)
    monkeypatch.setattr(evaluation, "STEPS", 3)
    header, rows = evaluation.evaluate(tmp_path, "tiny", "cpu")
    assert [row[:2] for row in rows[:2]] == [
        ("valB-0.png", "valA-0.png"),
        ("valB-1.png", "valA-0.png"),
    ]
    assert len(rows) == 2 * 3 + 1
    figures = np.array([[float(text) for text in row[2:]] for row in rows])
    assert figures.shape[1] == len(header) - 2
    assert np.allclose(figures[:, 2], figures[:, 0] / figures[:, 1], rtol=0.02)
    assert np.allclose(figures[-1, [0, 1, 3, 4]], figures[:-1, [0, 1, 3, 4]].mean(0), rtol=0.02)


def test_a_picture_has_no_loss_against_itself(features: None) -> None:
    judge = evaluation.Judge(perceptual.load(), Transfer())
    photo, style = _picture(48, 48), _picture(48, 48, 1)
    assert judge.losses(photo, photo, photo) == pytest.approx((0, 0), abs=1e-6)
    content, looks = judge.losses(photo, style, style)
    assert content > 0.01
    assert looks > 0.01


def test_the_table_says_which_folders_it_needs(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "installed", lambda: (card, SLOPE))
    with pytest.raises(Failure, match=r"valA is missing: --data holds valB/ .* and valA/"):
        evaluation.evaluate(tmp_path, "tiny", "cpu")
