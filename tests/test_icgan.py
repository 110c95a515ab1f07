"""IcGAN: its training, its encoders, and what it generates, on tiny made-up faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from imgan.errors import Failure, Misuse
from imgan.models import store
from imgan.models.cards import Description
from imgan.plugins import registry
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.optim import Optim
from imgan.training.ports import export
from imgan.training.weights import blend, read_sources
from imgan_edit.attributes import NAMES
from imgan_generate import ICGANEncoderSettings, ICGANSettings
from imgan_generate.conditional import Discriminator, Encoders, Generator
from imgan_generate.labels import ATTRIBUTES
from imgan_generate.net import Generator as DCGAN
from imgan_generate.training.icgan import ICGANEncoderTask, ICGANTask

TRAINED = 12
TINY = ICGANSettings(steps=2, batch_size=4, width=4, discriminator_width=4)
OPTIM = Optim("float32", torch.device("cpu"))


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in CelebA's layout: bright faces smile, and have nothing else."""
    folder = tmp_path_factory.mktemp("celeba")
    lines = [str(TRAINED + HELD_OUT), " ".join(NAMES)]
    for number in range(TRAINED + HELD_OUT):
        bright, name = number % 2, f"{number:06d}.jpg"
        Image.new("RGB", (8, 10), (200, 180, 160) if bright else (60, 50, 40)).save(folder / name)
        has = ("1" if bright and attribute == "Smiling" else "-1" for attribute in NAMES)
        lines.append(f"{name} {' '.join(has)}")
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(celeba: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("icgan")
    torch.manual_seed(0)
    fit(ICGANTask(celeba, TINY), folder)
    return folder


def _encoder(celeba: Path, run: Path) -> ICGANEncoderTask:
    settings = ICGANEncoderSettings(steps=2, batch_size=4, width=4, lr=0.01, generator=str(run))
    torch.manual_seed(0)
    return ICGANEncoderTask(celeba, settings)


def _traits(file: Path) -> Mapping[str, float | str]:
    description = store.embedded_description(file)
    assert description is not None
    return description.traits


def test_y_is_of_the_published_attributes(celeba: Path) -> None:
    task = ICGANTask(celeba, TINY)
    assert task.labels.shape == (TRAINED, 18)
    assert (task.labels[:, ATTRIBUTES.index("Smiling")] == [-1, 1] * (TRAINED // 2)).all()
    assert (np.delete(task.labels, ATTRIBUTES.index("Smiling"), 1) == -1).all()
    faces, y, others = task.batch(0)
    # Each face with its own y: the bright ones smile.
    assert ((faces.mean((1, 2, 3)) > 0) == (y[:, ATTRIBUTES.index("Smiling")] > 0)).all()
    assert others.shape == y.shape


def test_y_moves_the_faces_and_what_the_discriminator_says() -> None:
    torch.manual_seed(0)
    z, y = torch.randn(1, 100).expand(2, -1), torch.ones(2, 18)
    y[1, 3] = -1
    faces = Generator(4, 18).eval()(z, y)
    assert faces.shape == (2, 3, 64, 64)
    assert not torch.equal(faces[0], faces[1])
    logits = Discriminator(4, 18).eval()(faces[:1].expand(2, -1, -1, -1), y)
    assert logits[0] != logits[1]


def test_a_dcgan_and_shifts_of_z_are_a_start() -> None:
    torch.manual_seed(0)
    dcgan, started = DCGAN(4).eval(), Generator(4, 18).eval()
    shifts, mean, z, y = torch.randn(18, 100), torch.rand(18), torch.randn(2, 100), torch.ones(18)
    started.start(dcgan.state_dict(), shifts, mean)
    moved = dcgan(z + (y - mean) @ shifts)
    assert torch.allclose(started(z, y.expand(2, -1)), moved, atol=1e-6)
    assert not torch.allclose(moved, dcgan(z), atol=1e-4)


def test_an_editor_is_a_start_and_nothing_else_is(celeba: Path, tmp_path: Path) -> None:
    # In these faces an attribute alone varies, so that its shift is half its vector.
    dcgan = DCGAN(4).eval()
    weights = {f"generator.{name}": value for name, value in dcgan.state_dict().items()}
    weights["vectors"] = torch.randn(40, 100)
    editor = tmp_path / "editor.safetensors"
    save_file(weights, editor)
    task = ICGANTask(celeba, replace(TINY, editor=str(editor)))
    generator = task.networks["generator"].eval()
    z, y = torch.randn(1, 100), torch.from_numpy(task.labels[:2])
    smiling = weights["vectors"][NAMES.index("Smiling")]
    both = generator(z.expand(2, -1), y)
    wanted = dcgan(z + torch.tensor([[-0.5], [0.5]]) * smiling)
    assert torch.allclose(both, wanted, atol=1e-5)
    with pytest.raises(Misuse, match="--width 8"):
        ICGANTask(celeba, replace(TINY, editor=str(editor), width=8))
    save_file({"layers": torch.zeros(1)}, editor)
    with pytest.raises(Misuse, match="imgan train edit"):
        ICGANTask(celeba, replace(TINY, editor=str(editor)))


def test_a_step_trains_both_and_the_discriminator_learns_whose_y_it_is(celeba: Path) -> None:
    torch.manual_seed(0)
    settings = ICGANSettings(steps=20, batch_size=12, width=4, discriminator_width=8, lr=2e-3)
    task = ICGANTask(celeba, settings)
    before = {n: [p.clone() for p in net.parameters()] for n, net in task.networks.items()}
    for step in range(20):
        task.step(step, task.batch(step), OPTIM)
    for name, network in task.networks.items():
        moved = zip(before[name], network.parameters(), strict=True)
        assert all((old != new).any() for old, new in moved), name
    faces = task.faces.take(np.arange(TRAINED))
    y = torch.from_numpy(task.labels)
    discriminator = task.networks["discriminator"]
    with torch.no_grad():
        right, wrong = discriminator(faces, y), discriminator(faces, y.roll(1, 0))
    assert (right > wrong).float().mean() > 0.9


def test_a_generator_that_starts_ahead_waits(celeba: Path) -> None:
    task = ICGANTask(celeba, replace(TINY, head_start=2))
    before = [p.clone() for p in task.networks["generator"].parameters()]
    moved = []
    for step in range(2):
        task.step(step, task.batch(step), OPTIM)
        now = task.networks["generator"].parameters()
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, now, strict=True)))
    assert moved == [False, True]


def test_the_encoders_learn_z_of_generated_faces_and_y_of_real_ones(
    celeba: Path, run: Path
) -> None:
    task = _encoder(celeba, run)
    batch = task.batch(0)
    frozen = [p.clone() for p in task.generator.parameters()]
    losses = []
    for _ in range(30):
        torch.manual_seed(0)  # the same z
        losses.append(task.step(0, batch, OPTIM))
    assert losses[-1]["label"] < 0.5 * losses[0]["label"]
    assert losses[-1]["latent"] < 0.8 * losses[0]["latent"]
    kept = zip(frozen, task.generator.parameters(), strict=True)
    assert all(torch.equal(old, new) for old, new in kept)
    assert task.sample().shape == (3, 3 * 2 * 64, 8 * 64)


def test_encoders_start_from_both_in_one_file_and_are_blended_with_it(
    celeba: Path, run: Path, tmp_path: Path
) -> None:
    task, file = _encoder(celeba, run), tmp_path / "both.safetensors"
    both = task.product().state_dict()
    save_file({k: (t + 1 if t.is_floating_point() else t) for k, t in both.items()}, file)
    key, weight = next((k, t.clone()) for k, t in both.items() if t.is_floating_point())
    blend(task, file, 0.25, task.chosen(None))
    torch.testing.assert_close(task.product().state_dict()[key], weight + 0.25)
    assert start_from(task, read_sources(str(file), task.shipped)) == []
    torch.testing.assert_close(task.product().state_dict()[key], weight + 1)
    with pytest.raises(Misuse, match="exported as encoders"):
        task.product("label")


def test_y_is_not_taught_by_generated_faces(celeba: Path, run: Path) -> None:
    # Nor z by real ones: the two encoders are independent, as in the paper's best variant.
    task = _encoder(celeba, run)
    faces, y, others = task.batch(0)
    before = {name: [p.clone() for p in net.parameters()] for name, net in task.networks.items()}
    torch.manual_seed(1)
    task.step(0, (faces, y, others), OPTIM)
    latent = [p.clone() for p in task.networks["latent"].parameters()]
    for name, network in task.networks.items():
        for parameter, value in zip(network.parameters(), before[name], strict=True):
            parameter.data.copy_(value)
    task = _encoder(celeba, run)
    torch.manual_seed(1)
    task.step(0, (-faces, y, others), OPTIM)
    same = zip(latent, task.networks["latent"].parameters(), strict=True)
    assert all(torch.equal(old, new) for old, new in same)


def test_the_files_name_attributes_and_generator(celeba: Path, run: Path, tmp_path: Path) -> None:
    made, encoders = tmp_path / "icgan.onnx", tmp_path / "edit-icgan.onnx"
    card = Description(name="icgan", operation="generate")
    task = ICGANTask(celeba, TINY)
    assert export(registry().recipes["icgan"], task, made, card).worst < 1e-4
    assert str(_traits(made)["attributes"]).split(",")[3] == "blond-hair"
    card = Description(name="edit-icgan", operation="edit")
    encoder = _encoder(celeba, made)
    assert isinstance(encoder.product(), Encoders)
    parity = export(registry().recipes["icgan-encoder"], encoder, encoders, card)
    assert parity.worst < 1e-4
    assert _traits(encoders)["generator"] == store.sha256(made)


def test_a_run_goes_on_and_draws_its_sheet(run: Path) -> None:
    assert (run / CHECKPOINT).exists()
    with Image.open(run / "samples" / "0000002.png") as sheet:
        assert sheet.size == (8 * 64, 8 * 64)


def test_what_cannot_be_trained_is_said(celeba: Path, tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (8, 10)).save(tmp_path / f"{name}.png")
    with pytest.raises(Failure, match=r"no list_attr_celeba\.txt"):
        ICGANTask(tmp_path, replace(TINY, held_out=1)).batch(0)
    with pytest.raises(Misuse, match="--generator is missing"):
        ICGANEncoderTask(celeba, ICGANEncoderSettings())
    torch.save({}, tmp_path / "other.onnx")
    with pytest.raises(Failure, match="cannot be read"):
        ICGANEncoderTask(celeba, ICGANEncoderSettings(generator=str(tmp_path / "other.onnx")))
