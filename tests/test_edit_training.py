"""The encoder, the attribute vectors and the classifier of `imgan edit`, on tiny made-up faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from imgan.errors import Failure, Misuse
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT
from imgan.training.faces import Faces
from imgan.training.loop import fit, start_from
from imgan.training.weights import blend, read_sources
from imgan_edit import ClassifierSettings, EncoderSettings
from imgan_edit.attributes import SLUGS
from imgan_edit.training.classifier import ClassifierTask, _erased
from imgan_edit.training.encoder import EncoderTask
from imgan_generate import DCGANSettings
from imgan_generate.training.dcgan import DCGANTask

pytestmark = pytest.mark.slow  # a DCGAN is trained for most of it

TRAINED = 12


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in CelebA's layout: faces that are bright have attribute 0, and no other has."""
    folder = tmp_path_factory.mktemp("celeba")
    lines = [str(TRAINED + HELD_OUT), " ".join(SLUGS)]
    for number in range(TRAINED + HELD_OUT):
        bright = number % 2
        name = f"{number:06d}.jpg"
        Image.new("RGB", (8, 10), (200, 180, 160) if bright else (60, 50, 40)).save(folder / name)
        others = " ".join("1" if (number // 2) % 2 else "-1" for _ in SLUGS[1:])
        lines.append(f"{name} {1 if bright else -1} {others}")
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def generator(celeba: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a tiny DCGAN."""
    run = tmp_path_factory.mktemp("dcgan")
    torch.manual_seed(0)
    fit(
        DCGANTask(celeba, DCGANSettings(steps=1, batch_size=4, width=4, discriminator_width=2)), run
    )
    return run


def test_the_last_faces_are_held_out(celeba: Path) -> None:
    assert len(Faces(celeba, 8)) == TRAINED


def test_a_folder_without_attributes_is_taken_whole(tmp_path: Path) -> None:
    Image.new("RGB", (8, 10)).save(tmp_path / "face.png")
    assert len(Faces(tmp_path, 8)) == 1
    assert Faces(tmp_path, 8).labels is None
    with pytest.raises(Failure, match="500 faces are held out and none is left"):
        Faces(tmp_path, 8, held_out=500)


def test_the_attribute_vectors_are_differences_of_means(celeba: Path, generator: Path) -> None:
    settings = EncoderSettings(steps=2, batch_size=4, width=2, generator=str(generator))
    torch.manual_seed(0)
    task = EncoderTask(celeba, settings)
    editor = task.product()
    faces = Faces(celeba, 64)
    assert faces.labels is not None
    with torch.no_grad():
        codes = task.trained("encoder")(faces.take(np.arange(TRAINED)))
        bright = torch.from_numpy(faces.labels[:, 0]) > 0
        wanted = codes[bright].mean(0) - codes[~bright].mean(0)
        before, unchanged, z = editor(faces.take(np.arange(2)), torch.zeros(2, len(SLUGS)))
        _, moved, _ = editor(faces.take(np.arange(2)), 10 * torch.eye(len(SLUGS))[:1].expand(2, -1))
    assert torch.allclose(editor.vectors[0], wanted, atol=1e-5)
    assert torch.equal(before, unchanged)
    assert torch.allclose(z, codes[:2], atol=1e-5)
    assert not torch.equal(before, moved)


def test_an_encoder_starts_from_and_is_blended_with_an_editor(
    celeba: Path, generator: Path, tmp_path: Path
) -> None:
    settings = EncoderSettings(steps=2, batch_size=4, width=2, generator=str(generator))
    mine, other = EncoderTask(celeba, settings), EncoderTask(celeba, settings)
    file = tmp_path / "editor.safetensors"
    # The names of an exported editor, and what else is in its file.
    save_file({k: t.contiguous() for k, t in other.product().state_dict().items()}, file)
    key, wanted = next(iter(other.trained("encoder").named_parameters()))
    before = mine.trained("encoder").state_dict()[key].clone()
    blend(mine, file, 0.25, mine.chosen(None))
    blended = mine.trained("encoder").state_dict()[key]
    torch.testing.assert_close(blended, before.lerp(wanted.detach(), 0.25))
    assert start_from(mine, read_sources(str(file), mine.shipped)) == []
    assert torch.equal(mine.networks["encoder"].state_dict()[key], wanted)


def test_the_encoder_learns_and_the_generator_stays(
    celeba: Path, generator: Path, tmp_path: Path
) -> None:
    settings = EncoderSettings(steps=2, batch_size=4, width=2, generator=str(generator))
    task = EncoderTask(celeba, settings)
    frozen = [p.clone() for p in task.generator.parameters()]
    before = [p.clone() for p in task.networks["encoder"].parameters()]
    fit(task, tmp_path)
    assert all(map(torch.equal, frozen, task.generator.parameters()))
    after = task.networks["encoder"].parameters()
    assert not any(map(torch.equal, before, after))


def test_an_encoder_without_a_generator_says_what_to_name(celeba: Path) -> None:
    with pytest.raises(Misuse, match="--generator"):
        EncoderTask(celeba, EncoderSettings())


def test_the_classifier_learns_what_is_plain_to_see(celeba: Path, tmp_path: Path) -> None:
    settings = ClassifierSettings(steps=40, batch_size=12, width=4, lr=1e-2, ema_decay=0.5)
    task = ClassifierTask(celeba, settings)
    fit(task, tmp_path)
    faces = Faces(celeba, 64)
    assert faces.labels is not None
    with torch.no_grad():
        logits = task.product()(faces.take(np.arange(TRAINED)))
    assert ((logits[:, 0].numpy() > 0) == (faces.labels[:, 0] > 0)).all()


def test_a_classifier_without_labels_says_what_is_missing(tmp_path: Path) -> None:
    Image.new("RGB", (8, 10)).save(tmp_path / "face.png")
    with pytest.raises(Failure, match=ATTRIBUTES_FILE):
        ClassifierTask(tmp_path, ClassifierSettings()).batch(0)


def test_half_of_the_faces_lose_a_box_to_one_grey() -> None:
    torch.manual_seed(0)
    faces = torch.full((400, 3, 64, 64), 2.0)
    erased = _erased(faces)
    lost = (erased != 2).all(1)
    assert 0.4 < lost.any((1, 2)).float().mean() < 0.6
    for face, box in zip(erased, lost, strict=True):
        if not box.any():
            continue
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows[:, None] & columns)
        assert 8 <= rows.sum() <= 24
        assert 8 <= columns.sum() <= 24
        assert face[:, box].unique().numel() == 1
