"""The network and the trainer of the engine `residual`, tiny, on made-up faces."""

from __future__ import annotations

import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

from imgan.errors import Failure, Misuse
from imgan.images.upsampling import LUMA
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.recipes import resolve
from imgan.training import perceptual
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes
from imgan.training.discriminator import Critic
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.optim import Descent
from imgan.training.run import Record, restore, train
from imgan.training.weights import read_weights
from imgan_edit import GuideSettings, ResidualSettings
from imgan_edit.attributes import COLOURING, NAMES, RESIDUAL, SLUGS, follows
from imgan_edit.critic import LAYERS, doubt, hinge, look
from imgan_edit.disturb import covered, disturbed
from imgan_edit.guide import GuideTask, load_guide
from imgan_edit.own_faces import write_faces
from imgan_edit.residual import BLACK, CODE, DULL, GLOW, Editor, apply, smoothed, tinted
from imgan_edit.train_residual import (
    EDITED,
    ResidualTask,
    Wishes,
    attribute_losses,
    changeable,
    flipped,
    kinds,
    within_reach,
)

TRAINED = 24
TINY = ResidualSettings(
    steps=4,
    batch_size=4,
    ema_decay=0.5,
    width=3,
    critic_width=2,
    checkpoint_every=2,
    sample_every=4,
)


@pytest.fixture(scope="module")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in CelebA's layout: noise, and each attribute in half of the faces."""
    folder = tmp_path_factory.mktemp("celeba")
    rng = np.random.default_rng(0)
    lines = [str(TRAINED + HELD_OUT), " ".join(NAMES)]
    for number in range(TRAINED + HELD_OUT):
        name = f"{number:06d}.png"
        Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)).save(folder / name)
        lines.append(f"{name} {' '.join(map(str, rng.choice((-1, 1), len(NAMES))))}")
    (folder / ATTRIBUTES_FILE).write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module", autouse=True)
def guide(celeba: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a guide, beside the faces."""
    run = celeba.with_name("guide")
    train(
        registry().recipes["edit-guide"], GuideSettings(steps=1, batch_size=2, width=8), celeba, run
    )
    return run


@pytest.fixture(scope="module")
def wishes(celeba: Path) -> Wishes:
    return Wishes(celeba, 64)


def _task(celeba: Path, settings: ResidualSettings = TINY, seed: int = 0) -> ResidualTask:
    torch.manual_seed(seed)
    return ResidualTask(celeba, replace(settings, guide=str(celeba.with_name("guide"))))


def _lively(network: Editor) -> Editor:
    """With heads that are not near zero."""
    with torch.no_grad():
        for head in (network.head, network.details.head):
            head.weight.normal_(std=0.1)
            head.bias.normal_()  # type: ignore[union-attr]
    return network.eval()


def _inputs(size: int, count: int = 2) -> tuple[Tensor, Tensor]:
    return torch.rand(count, 3, size, size) * 2 - 1, torch.rand(count, len(RESIDUAL)) * 2 - 1


def test_the_attributes_are_the_seventeen() -> None:
    assert len(RESIDUAL) == 17
    assert [SLUGS[i] for i in EDITED] == list(RESIDUAL)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 128])
def test_no_change_leaves_the_face_and_strength_scales_the_residual(size: int) -> None:
    torch.manual_seed(0)
    editor = _lively(Editor(size, 3))
    face, change = _inputs(size)
    residual, mask = editor(face, change)
    assert residual.shape == (2, 3, size, size)
    assert mask.shape == (2, 1, size, size)
    assert residual.abs().max() > 0.1
    assert torch.equal(apply(face, *editor(face, 0 * change)), face)
    stronger, same = editor(face, 3 * change)
    assert torch.allclose(stronger, 3 * residual, atol=1e-4)
    assert torch.allclose(same, mask, atol=1e-5)
    assert not torch.allclose(editor(face, -change)[0], -residual, atol=1e-2)


@torch.no_grad()
def test_a_residual_changes_light_and_shade_unless_a_colour_is_to_change() -> None:
    editor = Editor(64, 3)
    editor.head.weight.zero_()
    editor.head.bias.fill_(0)[:4] = 9  # type: ignore[index]
    red, grey = torch.tensor([1.0, 0.0, 0.0]), torch.full((3,), 0.299)
    for wish, kept in (
        ({"mustache": 1.0}, 0),
        ({"blond-hair": 1.0}, 1),
        ({"blond-hair": -0.5, "mustache": 1.0}, 0.5),
        ({"smiling": 1.0}, COLOURING["smiling"]),
    ):
        change = torch.zeros(1, len(RESIDUAL))
        for slug, amount in wish.items():
            change[0, RESIDUAL.index(slug)] = amount
        residual, _ = editor(torch.zeros(1, 3, 64, 64), change)
        expected = 2 * (grey + kept * (red - grey))
        assert torch.allclose(residual[0, :, 30, 30], expected, atol=1e-3), wish


@torch.no_grad()
def test_light_and_shade_take_the_colours_of_the_face_along() -> None:
    face = torch.tensor([0.8, 0.2, -1.0]).view(1, 3, 1, 1)
    residual = torch.rand(1, 3, 1, 1)
    glasses = torch.eye(len(RESIDUAL))[[RESIDUAL.index("eyeglasses")]]
    shade = tinted(residual, face, glasses)
    lit = torch.tensor(LUMA.tolist()).view(3, 1, 1)
    assert torch.allclose((lit * shade).sum(), (lit * residual).sum())
    assert torch.allclose(shade / (face + 1 + DULL), shade[:, :1] / (face[:, :1] + 1 + DULL))


@torch.no_grad()
def test_where_skin_alone_changes_what_is_dark_stays_dark() -> None:
    hair, skin = (torch.full((1, 3, 1, 1), shade) for shade in (-0.9, 0.4))
    lit = torch.full((1, 3, 1, 1), 0.25)
    young, glasses = torch.eye(len(RESIDUAL))[[RESIDUAL.index("young")]], torch.zeros(1, 17)
    glasses[0, RESIDUAL.index("eyeglasses")] = -1
    # The residual is doubled by the editor, and then of -1..1.
    assert torch.allclose(2 * tinted(lit, hair, young), torch.tensor(GLOW * (0.1 + BLACK)))
    for residual, face, change in ((lit, skin, young), (-lit, hair, young), (lit, hair, glasses)):
        assert torch.allclose(tinted(residual, face, change), residual)


@torch.no_grad()
def test_colours_are_coarse_and_light_is_fine() -> None:
    lines = torch.zeros(1, 3, 48, 48)
    lines[..., ::2] = torch.tensor([0.9, 0.1, 0.0]).view(3, 1, 1)
    change = torch.eye(len(RESIDUAL))[[RESIDUAL.index("blond-hair")]]
    drawn = tinted(lines, torch.zeros(1, 3, 48, 48), change)[..., 4:-4]
    light = (torch.tensor(LUMA.tolist()).view(3, 1, 1) * drawn).sum(1)
    assert (light.diff().abs() > 0.3).all()
    assert (drawn[:, 0] - drawn[:, 1]).std() < 1e-3


@torch.no_grad()
def test_what_a_pixel_shuffle_draws_has_no_grid() -> None:
    cell = torch.rand(1, 4, 4, 4)
    smooth = smoothed(cell.repeat(1, 1, 3, 3), 4)
    assert smooth.shape == (1, 4, 12, 12)
    inner = smooth[..., 1:-2, 1:-2]
    assert torch.allclose(inner, cell.mean((2, 3), keepdim=True).expand_as(inner))


def test_a_grown_editor_does_to_the_halved_picture_what_the_small_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgan_edit.residual.smoothed", lambda planes, side: planes)
    monkeypatch.setattr("imgan_edit.residual.tinted", lambda residual, face, change: residual)
    torch.manual_seed(0)
    small, large = _lively(Editor(64, 3)), Editor(128, 3).eval()
    large.load_state_dict(small.state_dict())
    face, change = _inputs(128)
    for got, wanted in zip(large(face, change), small(avg_pool2d(face, 2), change), strict=True):
        assert torch.allclose(got, interpolate(wanted, scale_factor=2.0), atol=1e-4)


def test_a_run_at_128_starts_from_one_at_64(celeba: Path, tmp_path: Path) -> None:
    fit(_task(celeba, replace(TINY, steps=1)), tmp_path)
    task = _task(celeba, replace(TINY, size=128), seed=1)
    weights = read_weights(tmp_path, task.shipped)
    assert start_from(task, weights) == []
    averaged = task.averages["editor"].module.get_parameter("head.weight")
    assert torch.equal(averaged, weights["editor"]["head.weight"].repeat(4, 1, 1, 1)[_quads()])
    with pytest.raises(Misuse, match="does not fit the network editor"):
        start_from(_task(celeba, replace(TINY, width=4)), weights)
    with pytest.raises(Misuse, match="does not fit the network editor"):
        start_from(_task(celeba), {"editor": task.networks["editor"].state_dict()})


def _quads() -> list[int]:
    """For each of 4 planes of 4x4 pixels, the pixel of a 2x2 one that it repeats."""
    return [
        4 * plane + 2 * (y // 2) + x // 2 for plane in range(4) for y in range(4) for x in range(4)
    ]


def test_a_cut_run_ends_as_an_uncut_one(celeba: Path, tmp_path: Path) -> None:
    for run in ("whole", "cut"):
        (tmp_path / run).mkdir()
    fit(_task(celeba), tmp_path / "whole")
    fit(_task(celeba), tmp_path / "cut", until=2)
    fit(_task(celeba, seed=1), tmp_path / "cut")
    whole, cut = (
        torch.load(tmp_path / run / CHECKPOINT, weights_only=True) for run in ("whole", "cut")
    )
    for part in ("networks", "averages"):
        for name, state in whole[part].items():
            for key, tensor in state.items():
                assert torch.equal(tensor, cut[part][name][key]), key
    with Image.open(tmp_path / "whole" / "samples" / "0000004.png") as sheet:
        assert sheet.size == (8 * 64, 6 * 64)


def test_both_networks_learn_in_a_step(celeba: Path, tmp_path: Path) -> None:
    # With two channels whole layers may be on one side of the bend, and their biases still.
    task = _task(celeba, replace(TINY, steps=1, critic_width=16))
    before = {name: [p.clone() for p in n.parameters()] for name, n in task.networks.items()}
    fit(task, tmp_path)
    for name, network in task.networks.items():
        after = dict(network.named_parameters())
        still = [key for key, old in zip(after, before[name], strict=True) if old.equal(after[key])]
        # Before the hinges bend, photos and edits move the critic's last biases by as much, up and
        # down; and what makes details learns from the second step on.
        waits = {"details.head": False, "details.": True}
        waits |= {f"heads.{layer}.5.bias": True for layer in LAYERS}
        for key in still:
            assert next((wait for part, wait in waits.items() if key.startswith(part)), False), key
    steps = {
        name: {int(state["step"]) for state in optimizer.state.values()}
        for name, optimizer in task.optimizers.items()
    }
    assert steps == {"editor": {1}, "critic": {1}}


class Places(nn.Module):
    """To it every attribute is the brightness of a part of the face."""

    def forward(self, faces: Tensor) -> Tensor:
        return 4 * _places(faces)


def _places(faces: Tensor) -> Tensor:
    return adaptive_avg_pool2d(faces.mean(1), (8, len(SLUGS) // 8)).flatten(1)


def test_the_edits_of_a_batch_are_learnt(
    celeba: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(TINY, steps=64, lr=4e-3, width=6, adversarial=0.0, cycle=1.0)
    task = _task(celeba, settings)
    task.guides = [Places()]
    # One whose wishes do not come true in the noise by themselves.
    batch = task.batch(7)
    monkeypatch.setattr(task, "batch", lambda step: batch)
    monkeypatch.setattr("imgan_edit.train_residual.COVERED", 0.0)
    missed: list[float] = []
    fit(task, tmp_path, report=lambda step, figures: missed.append(figures["classification"]))
    assert missed[0] > 0.6
    assert missed[-1] < 0.75 * missed[0]


def test_every_guide_has_its_say(celeba: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgan_edit.train_residual.disturbed", lambda faces: faces)
    guide = str(celeba.with_name("guide"))
    task = ResidualTask(celeba, replace(TINY, guide=f"{guide},{guide}"))
    assert len(task.guides) == 2
    two: list[nn.Module] = [Places(), nn.Sequential(Places(), nn.Threshold(100, -4))]
    rng = np.random.default_rng(0)
    faces, _, labels, wanted, _ = task.wishes.draw(rng, 4)
    faces = faces.float() / 127.5 - 1
    before, after = faces, faces.flip(0)
    each = []
    for guides in (two[:1], two[1:], two):
        task.guides = guides
        each.append(torch.stack(task._attributes(before, after, labels, wanted)))
    assert not torch.allclose(each[0], each[1])
    assert torch.allclose((each[0] + each[1]) / 2, each[2])


def test_a_guide_looks_from_elsewhere_and_at_both_faces_alike(celeba: Path) -> None:
    seen: list[Tensor] = []

    class Witness(Places):
        def forward(self, faces: Tensor) -> Tensor:
            seen.append(faces)
            return super().forward(faces)

    task = _task(celeba)
    task.guides = [Witness(), Witness()]
    faces, _, labels, wanted, _ = task.wishes.draw(np.random.default_rng(0), 4)
    before = faces.float() / 127.5 - 1
    task._attributes(before, before.clone(), labels, wanted)
    first, same, second, also = seen
    assert torch.equal(first, same)
    assert torch.equal(second, also)
    assert not torch.allclose(first, before)
    assert not torch.allclose(first, second)


def test_the_critic_counts_what_is_edited() -> None:
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, :16, :16] = 0.5
    logits = torch.zeros(2, 1, 16, 16)
    logits[0, :, :8, :8], logits[0, :, 8:, 8:], logits[1] = 3.0, 7.0, 9.0
    assert doubt([logits], mask) == -3
    assert doubt([logits, logits[:, :, ::4, ::4]], mask) == -6
    # A photo is to be above 1, an edit below -1.
    assert hinge([logits], [-logits], mask) == 0
    assert hinge([-logits], [logits], mask) == 8


def test_the_critic_sees_faces_through_the_features() -> None:
    torch.manual_seed(0)
    faces = _inputs(64)[0]
    seen = look(perceptual.load(), faces)
    assert {name: part.shape[1:] for name, part in seen.items()} == {
        "conv2_2": (64, 32, 32),
        "conv3_2": (128, 16, 16),
        "conv4_1": (256, 8, 8),
    }
    assert [logits.shape for logits in Critic(LAYERS, 4)(seen)] == [
        (2, 1, side, side) for side in (8, 4, 2)
    ]


def test_of_each_kind_the_critic_says_something_of_its_own() -> None:
    torch.manual_seed(0)
    seen = {"conv2_2": torch.rand(1, 64, 32, 32)}
    critic = Critic(("conv2_2",), 4, kinds=3).eval()
    of_all, *of_kinds = (
        critic(seen, kind)[0] for kind in (None, *(torch.tensor([kind]) for kind in range(3)))
    )
    assert {logits.shape for logits in (of_all, *of_kinds)} == {(1, 1, 8, 8)}
    head = critic.heads["conv2_2"]
    says = head(seen["conv2_2"])
    for kind, logits in enumerate(of_kinds):
        assert torch.equal(logits, of_all + says[:, 1 + kind : 2 + kind])
    mixed = critic({"conv2_2": seen["conv2_2"].expand(2, -1, -1, -1)}, torch.tensor([2, 0]))[0]
    assert torch.allclose(mixed, torch.cat([of_kinds[2], of_kinds[0]]), atol=1e-6)


def test_a_face_is_of_the_kind_of_what_it_was_drawn_for(wishes: Wishes) -> None:
    _, _, labels, wanted, drawn = wishes.draw(np.random.default_rng(0), 16)
    was, becomes = kinds(labels, drawn), kinds(wanted, drawn)
    assert torch.equal(was // 2, drawn)
    assert torch.equal(becomes // 2, drawn)
    slugs = [SLUGS.index(RESIDUAL[attribute]) for attribute in drawn]
    assert was.remainder(2).tolist() == [labels[i, slug] for i, slug in enumerate(slugs)]
    assert torch.equal(becomes[:12] % 2, 1 - was[:12] % 2)


def test_wishes_are_the_same_for_a_step_and_differ_between_steps(celeba: Path) -> None:
    first, again = (_task(celeba).batch(3) for _ in range(2))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], _task(celeba).batch(4)[0])


def test_most_wishes_change_one_attribute_and_others_take_those_of_another(
    wishes: Wishes,
) -> None:
    faces, change, labels, wanted, _ = wishes.draw(np.random.default_rng(0), 16)
    assert faces.shape == (16, 3, 64, 64)
    assert faces.dtype == torch.uint8
    assert torch.equal(change, (wanted - labels)[:, EDITED])
    assert ((wanted >= 0) & (wanted <= 1)).all()
    for i in range(12):
        assert any(
            torch.equal(wanted[i], torch.from_numpy(flipped(labels[i].numpy(), attribute)))
            for attribute in EDITED
        )
    towards = labels.roll(1, 0)[13:, EDITED] - labels[13:, EDITED]
    assert torch.equal(change[13:].sign(), towards)
    assert torch.equal(change[12:].abs().amax(1), torch.ones(4))
    assert ((change[12:].abs() > 0) & (change[12:].abs() < 1)).any()


def test_more_faces_are_all_trained_on(celeba: Path, tmp_path: Path, wishes: Wishes) -> None:
    name = "only.png"
    Image.new("RGB", (64, 64), (255, 0, 255)).save(tmp_path / name)
    with pytest.raises(Failure, match=f"no {ATTRIBUTES_FILE}"):
        Wishes(celeba, 64, str(tmp_path))
    listing = f"1\n{' '.join(NAMES)}\n{name} {' '.join(['1'] * len(NAMES))}\n"
    (tmp_path / ATTRIBUTES_FILE).write_text(listing)
    more = Wishes(celeba, 64, str(tmp_path))
    assert len(more.pixels) == len(more.labels) == TRAINED + 1
    assert (more.pixels[-1] == (255, 0, 255)).all()
    assert (more.labels[-1] == 1).all()
    assert (more.pixels[:-1] == wishes.pixels).all()


def test_rare_attributes_are_drawn_as_often_as_others(wishes: Wishes) -> None:
    rare = EDITED[RESIDUAL.index("bald")]
    labels = wishes.labels.copy()
    labels[1:, rare], labels[0, rare] = 0, 1
    few = copy(wishes)
    few.labels = labels
    few._having = [tuple(changeable(labels, a, has) for has in (False, True)) for a in EDITED]
    _, change, *_ = few.draw(np.random.default_rng(0), 400)
    removed = (change[:300, RESIDUAL.index("bald")] == -1).float().mean()
    assert removed > 1 / 34 / 2


def test_a_sex_is_not_given_what_it_never_has() -> None:
    mustache, male, blond = (SLUGS.index(slug) for slug in ("mustache", "male", "blond-hair"))
    labels = np.zeros((400, len(SLUGS)), np.float32)
    labels[200:, male] = 1
    labels[250:350, mustache] = 1
    labels[100:202, blond] = 1
    assert changeable(labels, mustache, False).tolist() == [*range(200, 250), *range(350, 400)]
    assert changeable(labels, mustache, True).tolist() == [*range(250, 350)]
    assert changeable(labels, blond, False).tolist() == [*range(100), *range(202, 400)]
    assert changeable(labels, male, False).tolist() == [*range(200)]
    assert not len(changeable(labels, SLUGS.index("bald"), True))


def test_attributes_are_practised_as_often_as_asked(celeba: Path) -> None:
    wishes = Wishes(celeba, 64, often={"bald": 17.0})
    *_, drawn = wishes.draw(np.random.default_rng(0), 400)
    assert abs((drawn == RESIDUAL.index("bald")).float().mean() - 17 / 33) < 0.1
    assert drawn.unique().numel() == len(RESIDUAL)


def test_only_what_is_trained_is_practised_more_often() -> None:
    with pytest.raises(Misuse, match="--often young,goatee=2: it must be attributes of"):
        ResidualSettings(often="young,goatee=2")
    with pytest.raises(Misuse, match="no attribute is called 'baldd'"):
        ResidualSettings(often="baldd=2")


def test_the_hair_has_one_colour_and_the_bald_have_none() -> None:
    labels = np.zeros(len(SLUGS), np.float32)
    labels[SLUGS.index("black-hair")] = labels[SLUGS.index("bangs")] = 1
    blond = flipped(labels, SLUGS.index("blond-hair"))
    assert {SLUGS[i] for i in np.flatnonzero(blond)} == {"blond-hair", "bangs"}
    bald = flipped(labels, SLUGS.index("bald"))
    assert {SLUGS[i] for i in np.flatnonzero(bald)} == {"bald"}
    assert labels.sum() == 2
    for slug in SLUGS:
        for added in (False, True):
            assert set(follows(slug, added)) <= set(SLUGS) - {slug}


def test_only_what_moves_against_the_wish_costs() -> None:
    own = torch.full((1, 40), 0.3)
    labels = torch.zeros(1, 40)
    wanted = labels.clone()
    wanted[0, 5] = 1
    logits = own.logit()
    logits[0, 5] = 20
    moved, kept = attribute_losses(logits, own, labels, wanted)
    assert moved < 1e-6
    assert abs(kept) < 1e-6
    logits[0, 5], logits[0, 6] = -2, 3
    moved, kept = attribute_losses(logits, own, labels, wanted)
    assert moved > 2
    assert kept > 0.03
    assert attribute_losses(logits, own, labels, labels)[0] == 0


@torch.no_grad()
def test_details_are_none_at_first_and_finer_than_the_grid_when_learnt() -> None:
    torch.manual_seed(0)
    editor = Editor(128, 4).eval()
    face, change = _inputs(128)
    code, at32 = torch.zeros(2, CODE), torch.zeros(2, 4, 32, 32)
    assert not editor.details(face, at32, code).any()
    planes = _lively(editor).details(face, at32, code)
    coarse = interpolate(avg_pool2d(planes, 4), scale_factor=4.0)
    assert planes.shape == (2, 4, 128, 128)
    assert (planes - coarse).abs().mean() > 0.1 * planes.abs().mean()
    assert torch.equal(apply(face, *editor(face, 0 * change)), face)


def test_a_guide_is_needed_and_known(celeba: Path, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"^--guide is missing"):
        fit(ResidualTask(celeba, TINY), tmp_path)
    fit(_task(celeba, replace(TINY, steps=1)), tmp_path)
    with pytest.raises(Misuse, match="name a run of `imgan train edit-guide`"):
        load_guide(str(tmp_path))


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
def test_an_exported_guide_guides_as_its_run_does(
    celeba: Path, tmp_path: Path, pooled: bool, fine: bool
) -> None:
    recipe, guide = registry().recipes["edit-guide"], tmp_path / "guide"
    settings = GuideSettings(steps=1, batch_size=2, width=16, pooled=pooled, fine=fine)
    train(recipe, settings, celeba, guide)
    task = restore(recipe, Record.read(guide), guide)
    target = tmp_path / "guide.onnx"
    entry = registry().exporters["edit-guide"].entry
    card = Description(name="mine", operation="evaluate")
    resolve(entry)(task, target, card, half=False, overwrite=False)
    face = _inputs(64)[0]
    assert torch.equal(load_guide(str(target))(face), load_guide(str(guide))(face))


def test_a_fine_guide_has_twice_as_many_channels_to_halve() -> None:
    assert GuideSettings(width=8).width == 8
    with pytest.raises(Misuse, match="--width 8: it must be a multiple of 16"):
        GuideSettings(width=8, fine=True)


def test_a_guide_learns_each_face_in_a_disguise_that_is_against_it(celeba: Path) -> None:
    torch.manual_seed(0)
    task = GuideTask(celeba, GuideSettings(width=8, perturbation=2.0))
    faces, labels = task.batch(0)
    descent = Descent("float32", torch.device("cpu"))

    def loss(seen: Tensor) -> float:
        with torch.no_grad():
            return task.cross_entropy(task.networks["classifier"](seen), labels).item()

    torch.manual_seed(1)
    plain = disturbed(faces)
    torch.manual_seed(1)
    disguise = task.shown(faces, labels, descent) - plain
    assert loss(plain + disguise) > loss(plain) > loss(plain - disguise)


def test_the_editor_learns_within_what_the_engine_lets_be_seen() -> None:
    # Hair to the left, a wall to the right.
    faces = torch.full((4, 3, 64, 64), 0.5)
    faces[..., :32] = -0.5
    change = torch.zeros(4, len(RESIDUAL))
    for row, slug in enumerate(("smiling", "bangs", "blond-hair")):
        change[row, RESIDUAL.index(slug)] = 1
    # All of it goes a little beyond the edge.
    added = torch.zeros(4, 3, 64, 64)
    added[..., :34] = 0.4
    smile, bangs, blond, nothing = within_reach(faces, change, added)[:, 0]
    assert smile[44, 32] == 1
    assert smile[16].max() == 0, "a smile is below the brows"
    assert bangs[16, 20:44].min() == 1
    assert bangs[0].max() == 0, "nothing reaches the border"
    assert blond[32, 16:28].min() > 0.9
    assert blond[32, 32:34].max() < 0.7, "a colour of hair stays off the wall"
    assert nothing.max() == 0


def test_a_disturbed_face_is_near_the_face() -> None:
    span = torch.linspace(-0.5, 0.5, 64)
    faces = (span + span[:, None]).expand(8, 3, -1, -1).clone()
    torch.manual_seed(0)
    moved = disturbed(faces)
    far = (moved - faces).abs().mean((1, 2, 3))
    assert (far > 0.005).all()
    assert (far < 0.25).all()
    assert len({round(float(value), 6) for value in far}) == 8


def test_some_faces_have_something_before_them() -> None:
    torch.manual_seed(0)
    faces = torch.full((200, 3, 32, 32), 2.0)
    faces[1::2] = -2.0
    seen, cover = covered(faces, 0.25)
    assert cover.shape == (200, 1, 32, 32)
    assert torch.equal(seen[(cover == 0).expand_as(seen)], faces[(cover == 0).expand_as(seen)])
    changed = (seen - faces).abs().amax((1, 2, 3)) > 0.5
    assert 20 < changed.sum() < 80
    hidden = cover[changed].mean((1, 2, 3))
    assert hidden.min() < 0.2 < 0.5 < hidden.max()


def test_an_exported_editor_does_what_the_trained_one_does(celeba: Path, tmp_path: Path) -> None:
    task = _task(celeba, replace(TINY, size=128))
    target = tmp_path / "editor.onnx"
    entry = registry().exporters["edit-residual"].entry
    card = Description(name="mine", operation="edit")
    parity = resolve(entry)(task, target, card, half=False, overwrite=False)
    assert parity.worst < 1e-4
    face, change = _inputs(128, 3)
    outputs = open_session(target, "cpu").run_many({"face": face.numpy(), "change": change.numpy()})
    with torch.no_grad():
        residual, mask = task.product()(face, change)
    assert np.allclose(outputs["residual"], residual, atol=1e-4)
    assert np.allclose(outputs["mask"], mask, atol=1e-4)
    assert start_from(task, read_weights(target, task.shipped)) == []


@pytest.mark.parametrize("wrong", [{"width": 12}, {"width": 0}, {"perturbation": -1.0}])
def test_a_guide_that_cannot_be_built_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match=f"--{next(iter(wrong))}"):
        GuideSettings(**wrong)


def test_paths_of_a_run_are_good_from_any_folder(here: Path) -> None:
    settings = ResidualSettings(guide="guide,../fine", more="faces,lfw")
    assert settings.guide == f"{here / 'guide'},{here.parent / 'fine'}"
    assert settings.more == str(here / "faces,lfw")
    record = Record.of(registry().recipes["edit-residual"], here, settings)
    assert "--guide guide,fine --more" in record.command


def test_other_sizes_are_refused() -> None:
    with pytest.raises(Misuse, match="--size 96: it must be 64 or 128"):
        ResidualSettings(size=96)


def test_data_without_labels_or_without_an_attribute_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (4, 5)).save(tmp_path / "face.png")
    with pytest.raises(Failure, match=ATTRIBUTES_FILE):
        Wishes(tmp_path, 64)
    lines = ["502", " ".join(NAMES)]
    for number in range(HELD_OUT + 2):
        Image.new("RGB", (4, 5)).save(tmp_path / f"{number:06d}.png")
        lines.append(f"{number:06d}.png {' '.join(['-1'] * len(NAMES))}")
    (tmp_path / "face.png").unlink()
    (tmp_path / ATTRIBUTES_FILE).write_text("\n".join(lines))
    with pytest.raises(Failure, match="with and without bald"):
        Wishes(tmp_path, 64)


def test_photos_become_labelled_faces_for_more(guide: Path, tmp_path: Path) -> None:
    run, photos, faces = (tmp_path / name for name in ("run", "photos", "faces"))
    photos.mkdir()
    Image.fromarray(skimage.data.astronaut()).save(photos / "astronaut.jpg")
    Image.fromarray(skimage.data.coffee()).save(photos / "coffee.jpg")
    with pytest.raises(Misuse, match="name a run, a"):
        write_faces(photos, run, faces)
    write_faces(photos, guide, faces)
    assert {path.name for path in faces.iterdir()} == {"000000.png", ATTRIBUTES_FILE}
    with Image.open(faces / "000000.png") as face:
        assert face.size == (128, 128)
    names, table = read_attributes(faces / ATTRIBUTES_FILE)
    assert names == list(NAMES)
    assert table["000000.png"].shape == (40,)
    with pytest.raises(Misuse, match="name another --out"):
        write_faces(photos, guide, faces)


def test_labels_without_torch_name_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from imgan.cli import main; "
        "sys.argv = ['imgan', 'label', '.', '--by', '.', '--out', 'faces']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == (
        'imgan: this needs torch, which is not installed: pip install "imgan[train]"\n'
    )
