"""The classifier of domains: trained on tiny pictures, exported, and asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imgan.commands.export import describe
from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.plugins import registry
from imgan.training.loop import CHECKPOINT, fit
from imgan.training.ports import export
from imgan_translate import ClassifierSettings
from imgan_translate.evaluate import evaluate_classifier
from imgan_translate.training.classifier import ClassifierTask, load_robust_classifier

TINY = ClassifierSettings(
    steps=4,
    batch_size=4,
    width=2,
    ema_decay=0.5,
    checkpoint_every=2,
    sample_every=4,
    source="night",
    target="day",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CycleGAN's layout: A is dark, B is bright; one picture of each is not square."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for domain, level in (("A", 0), ("B", 120)):
            (folder / f"{split}{domain}").mkdir()
            for number in range(4):
                coarse = rng.integers(level, level + 100, (5, 5, 3), dtype=np.uint8)
                picture = Image.fromarray(coarse).resize((70 + 30 * (number == 0), 70))
                picture.save(folder / f"{split}{domain}" / f"{number}.png")
    return folder


def test_a_batch_has_crops_of_both_domains_and_is_a_function_of_the_step(data: Path) -> None:
    task = ClassifierTask(data, replace(TINY, batch_size=32))
    crops, labels = task.batch(3)
    assert crops.shape == (32, 3, 64, 64)
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert set(labels.tolist()) == {0, 1}
    assert (crops.mean((1, 2, 3)) > 0.42).float().eq(labels).float().mean() > 0.8
    assert all(map(torch.equal, (crops, labels), ClassifierTask(data, task.settings).batch(3)))
    assert not torch.equal(crops, task.batch(4)[0])


def test_a_run_cut_in_two_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    states = []
    for name, stops in (("uncut", [None]), ("cut", [2, None])):
        (tmp_path / name).mkdir()
        for stop in stops:
            torch.manual_seed(0)
            fit(ClassifierTask(data, TINY), tmp_path / name, until=stop)
        states.append(torch.load(tmp_path / name / CHECKPOINT, weights_only=True)["averages"])
    uncut, cut = (state["classifier"] for state in states)
    assert all(torch.equal(tensor, cut[key]) for key, tensor in uncut.items())
    with Image.open(tmp_path / "cut" / "samples" / "0000004.png") as sheet:
        assert sheet.size == (8 * 64, 8 * 64)


def test_a_robust_classifier_learns_adversarial_examples_and_is_read_again(
    data: Path, tmp_path: Path
) -> None:
    losses: dict[float, list[float]] = {}
    for radius in (0.0, 4.0):
        torch.manual_seed(0)
        seen = losses.setdefault(radius, [])
        task = ClassifierTask(data, replace(TINY, perturbation=radius))
        fit(
            task,
            tmp_path / str(radius),
            until=1,
            report=lambda _, figures, seen=seen: seen.append(figures["cross_entropy"]),
        )
    assert losses[4.0][0] > losses[0.0][0]
    fit(task, tmp_path / "4.0")
    robust = load_robust_classifier(str(tmp_path / "4.0"))
    crops, _ = task.batch(0)
    assert torch.equal(robust(crops), task.trained("classifier")(crops))
    with pytest.raises(Misuse, match="--perturbation -1"):
        replace(TINY, perturbation=-1.0)


@pytest.mark.slow
def test_what_is_plain_to_see_is_learnt_exported_and_found_by_its_domains(
    data: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    task = ClassifierTask(data, replace(TINY, steps=40, batch_size=16, width=4, lr=1e-2))
    fit(task, tmp_path)
    file = tmp_path / "night-or-day.onnx"
    recipe = registry().recipes["translate-classifier"]
    export(recipe, task, file, describe(recipe, "imgan train", "night-or-day", None))
    written = store.embedded_description(file)
    assert written is not None
    assert written.traits == {"from": "night", "to": "day"}
    store.add(file, written)
    _, rows = evaluate_classifier(data, "night-or-day", "cpu")
    assert rows == [("night", "4", "1.000"), ("day", "4", "1.000"), ("mean", "", "1.000")]


def test_a_folder_without_both_domains_is_a_failure(data: Path) -> None:
    with pytest.raises(Failure, match="trainA"):
        ClassifierTask(data / "valA", TINY).batch(0)


def test_domains_are_words() -> None:
    with pytest.raises(Misuse, match="--target Bright day: it must be a word"):
        replace(TINY, target="Bright day")
