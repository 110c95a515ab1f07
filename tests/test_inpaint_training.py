"""The recipe `pggan`: what it learns from, and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imgan.errors import Misuse
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.training.loop import CHECKPOINT, fit
from imgan.training.ports import export
from imgan_inpaint import InpaintSettings
from imgan_inpaint.holes import draw_hole, read_masks
from imgan_inpaint.net import Discriminator, Generator
from imgan_inpaint.training.pggan import PGGANTask

TINY: dict[str, Any] = {
    "steps": 4, "batch_size": 2, "crop": 32, "width": 4, "blocks": 2, "discriminator_width": 4,
    "checkpoint_every": 2, "sample_every": 2,
}  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pictures of one colour each, which any crop of them shows."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("a", (200, 60, 40)), ("b", (30, 90, 210))):
        Image.new("RGB", (48, 40), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """One mask, whose left quarter is the hole."""
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(mask).save(folder / "quarter.png")
    return folder


def test_known_pixels_come_out_as_they_went_in_and_the_hole_is_not_seen() -> None:
    torch.manual_seed(0)
    generator = Generator(4, 2)
    torch.nn.init.normal_(generator.last.weight)
    image, mask = torch.rand(2, 3, 32, 24), torch.zeros(2, 1, 32, 24)
    mask[:, :, 8:20, 4:16] = 1
    filled = generator(image, mask)
    outside = (mask == 0).expand_as(image)
    assert torch.equal(filled[outside], image[outside])
    assert not torch.allclose(filled, image)
    other = torch.where(mask > 0, torch.rand_like(image), image)
    assert torch.allclose(generator(other, mask)[mask.expand_as(image) > 0],
                          filled[mask.expand_as(image) > 0])  # fmt: skip


def test_the_discriminator_judges_the_whole_and_patches_of_any_size() -> None:
    for side in (32, 64):
        whole, patch = Discriminator(4)(torch.rand(2, 3, side, side))
        assert whole.shape == (2, 1)
        assert patch.shape == (2, 1, side // 8, side // 8)


def test_holes_are_as_large_as_asked_for_and_come_from_the_generator_alone(masks: Path) -> None:
    known = read_masks(masks)
    drawn = [draw_hole(np.random.default_rng(seed), 48, masks=known) for seed in range(40)]
    again = [draw_hole(np.random.default_rng(seed), 48, masks=known) for seed in range(40)]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    shares = [hole.mean() for hole in drawn]
    assert min(shares) >= 0.02
    assert max(shares) <= 0.4
    assert max(shares) > 2 * min(shares)
    quarters = [hole for hole in drawn if hole.mean() == 0.25 and hole.any(0).sum() in (12, 48)]
    assert quarters


def test_a_cut_run_ends_as_an_uncut_one(photos: Path, masks: Path, tmp_path: Path) -> None:
    settings = InpaintSettings(**TINY, masks=str(masks))
    fit(_task(photos, settings), tmp_path / "whole")
    fit(_task(photos, settings), tmp_path / "cut", until=2)
    fit(_task(photos, settings), tmp_path / "cut")
    whole, cut = (
        torch.load(tmp_path / run / CHECKPOINT, weights_only=True)["averages"]["generator"]
        for run in ("whole", "cut")
    )
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (tmp_path / "whole" / "samples" / "0000004.png").exists()


def _task(photos: Path, settings: InpaintSettings) -> PGGANTask:
    torch.manual_seed(settings.seed)
    return PGGANTask(photos, settings)


def test_it_learns_to_go_on_with_a_colour(photos: Path, tmp_path: Path) -> None:
    changed = {
        "steps": 30,
        "batch_size": 4,
        "lr": 3e-3,
        "ema_decay": 0.8,
        "sample_every": 30,
        "checkpoint_every": 30,
    }
    task = _task(photos, InpaintSettings(**TINY | changed))
    image, hole = task.batch(0)

    def error() -> float:
        with torch.no_grad():
            filled = task.networks["generator"](image, hole)
        return float((filled - image).abs().sum() / hole.sum() / 3)

    before = error()
    fit(task, tmp_path)
    assert error() < 0.4 * before


def test_deep_features_may_say_what_looks_alike(photos: Path, tmp_path: Path) -> None:
    task = _task(photos, InpaintSettings(**TINY | {"steps": 1, "features": 1.0}))
    fit(task, tmp_path)
    assert '"features"' in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"crop": 40}, "--crop"),
        ({"hole": 0.0}, "--hole"),
        ({"wide": 0.5}, "--wide"),
        ({"patch": -1.0}, "--patch"),
    ],
)
def test_settings_that_mean_nothing_are_misuse(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(Misuse, match=words):
        InpaintSettings(**TINY | changed)


def test_it_is_exported_for_pictures_of_any_size(photos: Path, tmp_path: Path) -> None:
    task = _task(photos, InpaintSettings(**TINY))
    file = tmp_path / "inpaint.onnx"
    recipe = registry().recipes["pggan"]
    export(recipe, task, file, Description(name="holes", operation=recipe.operation))
    image, mask = torch.rand(1, 3, 40, 16), torch.zeros(1, 1, 40, 16)
    mask[:, :, :24] = 1
    with torch.no_grad():
        wanted = task.trained("generator")(image, mask).numpy()
    outputs = open_session(file, "cpu").run_many({"image": image.numpy(), "mask": mask.numpy()})
    (filled,) = outputs.values()
    assert np.abs(filled - wanted).max() < 1e-4
