"""CycleGAN and pix2pix on tiny pictures: networks, losses, data, resume, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from imgan.errors import Failure, Misuse
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.models.store import embedded_description
from imgan.plugins import registry
from imgan.recipes import Settings
from imgan.training.augment import _holed, _shifted, augmented
from imgan.training.loop import CHECKPOINT, fit, linear, start_from
from imgan.training.ports import export
from imgan.training.run import Record
from imgan.training.task import Task
from imgan.training.weights import read_sources, read_weights
from imgan_translate import CycleGANSettings, Network, Pix2PixSettings, Preprocess
from imgan_translate.net import Patch, ResNet, UNet, begin
from imgan_translate.training.color_transfer import color_transfer
from imgan_translate.training.cyclegan import Codes, CycleGANTask, Pool, contrast, lsgan_loss
from imgan_translate.training.pix2pix import Pix2PixTask, read_pairs

SMALL: dict[str, Any] = {
    "steps": 4, "crop": 32, "load": 36, "width": 4, "blocks": 2, "discriminator_width": 4,
    "ema_decay": 0.5, "checkpoint_every": 2, "sample_every": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trainA is greenish, trainB is bluish."""
    folder = tmp_path_factory.mktemp("domains")
    rng = np.random.default_rng(0)
    for side, tint in (("A", (0, 90, 0)), ("B", (0, 0, 90))):
        (folder / f"train{side}").mkdir()
        for index in range(3):
            grain = rng.integers(0, 160, (40, 48, 3)) + tint
            Image.fromarray(grain.astype(np.uint8)).save(folder / f"train{side}" / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second picture is the first one's negative."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for side in ("one", "two"):
        (folder / side).mkdir()
    for index in range(3):
        picture = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "one" / f"{index}.png")
        Image.fromarray(255 - picture).save(folder / "two" / f"{index}.png")
    return folder


def _cyclegan(domains: Path, **changed: Any) -> CycleGANTask:
    torch.manual_seed(0)
    return CycleGANTask(domains, CycleGANSettings(**SMALL | {"pool": 2} | changed))


def _pix2pix(folder: Path, **changed: Any) -> Pix2PixTask:
    torch.manual_seed(0)
    return Pix2PixTask(folder, Pix2PixSettings(**SMALL | {"load": 32} | changed))


def _weights(run: Path) -> dict[str, Tensor]:
    networks = torch.load(run / CHECKPOINT, weights_only=True)["networks"]
    return {f"{n}/{k}": t for n, state in networks.items() for k, t in state.items()}


def test_the_generators_are_the_published_ones() -> None:
    assert sum(p.numel() for p in ResNet().parameters()) == 11_378_179  # as its authors print
    assert sum(p.numel() for p in UNet().parameters()) == 54_413_955
    assert sum(p.numel() for p in Patch().parameters()) == 2_764_737


def test_a_patch_is_seventy_pixels() -> None:
    discriminator = Patch(3, 2).double()
    picture = torch.zeros(1, 3, 128, 128, dtype=torch.double, requires_grad=True)
    # Instance normalisation sees the whole picture; a patch is what the convolutions see.
    plain = nn.Sequential(*(m for m in discriminator.model if not isinstance(m, nn.InstanceNorm2d)))
    plain(picture)[0, 0, 7, 7].backward()
    assert picture.grad is not None
    rows = picture.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


@pytest.mark.parametrize("resize", [False, True])
@pytest.mark.parametrize("separable", [False, True])
def test_lighter_generators_give_pictures_of_the_same_size(resize: bool, separable: bool) -> None:
    network = ResNet(4, 1, resize, separable)
    assert network(torch.zeros(1, 3, 36, 44)).shape == (1, 3, 36, 44)


def test_a_residual_generator_begins_near_the_picture() -> None:
    torch.manual_seed(0)
    network, picture = ResNet(16, 1, residual=True), torch.rand(1, 3, 32, 32) * 2 - 1
    begin(network)
    assert 0 < (network(picture) - picture).abs().mean() < 0.05


def test_a_unet_drops_nothing_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    network = UNet(2, 7)
    picture = torch.rand(1, 3, 128, 128)
    assert not torch.equal(network(picture), network(picture))
    network.eval()
    assert torch.equal(network(picture), network(picture))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"cycle": 0.0, "contrastive": 1.0, "augment": True},
        {"identity": 0.0, "residual": True, "projected": True},
    ],
)
def test_a_cut_cyclegan_ends_as_an_uncut_one(
    domains: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    fit(_cyclegan(domains, **changed), tmp_path / "whole")
    fit(_cyclegan(domains, **changed), tmp_path / "cut", until=2)
    fit(_cyclegan(domains, **changed), tmp_path / "cut")
    whole, cut = _weights(tmp_path / "whole"), _weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert whole["forward pool/pictures"].any(), "the pool belongs to the checkpoint"
    assert (tmp_path / "whole" / "samples" / "0000004.png").exists()


@pytest.mark.parametrize("projected", [False, True])
def test_both_generators_and_both_discriminators_learn(
    domains: Path, tmp_path: Path, projected: bool
) -> None:
    task = _cyclegan(domains, projected=projected)
    before = {n: [p.clone() for p in net.parameters()] for n, net in task.networks.items()}
    fit(task, tmp_path, until=1)
    for name, parameters in before.items():
        moved = [
            not torch.equal(a, b)
            for a, b in zip(parameters, task.networks[name].parameters(), strict=True)
        ]
        # A bias before an instance normalisation has no effect and gets none.
        assert sum(moved) >= len(moved) // 2, name


def test_a_projected_discriminator_looks_through_the_features(domains: Path) -> None:
    task = _cyclegan(domains, projected=True)
    discriminator = task.networks["forward projected discriminator"]
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    layers = task._logits(discriminator, picture)
    assert [logits.shape[2:] for logits in layers] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    seen = task.features(picture / 2 + 0.5, ["conv4_2"])["conv4_2"]
    assert torch.equal(discriminator.heads["conv4_2"](seen), layers[-1])
    assert lsgan_loss([torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)], 1) == 0.5


def test_a_discriminator_of_the_other_kind_is_left_behind(domains: Path, tmp_path: Path) -> None:
    fit(_cyclegan(domains), tmp_path, until=1)
    task = _cyclegan(domains, projected=True)
    assert start_from(task, read_weights(tmp_path, "forward")) == []


def test_a_palette_is_the_nearest_affine_map_of_colours() -> None:
    torch.manual_seed(0)
    there = torch.rand(4, 3, 16, 16) @ torch.diag(torch.linspace(0.2, 1, 16))
    root = torch.tensor([[1.0, 0.2, 0.1], [0.2, 0.7, 0.0], [0.1, 0.0, 1.2]])
    shift = torch.tensor([0.1, -0.2, 0.3])
    wanted = torch.einsum("oc,nchw->nohw", root, there) + shift[:, None, None]
    # A symmetric positive map moves colours least: of all that give these moments it is the one.
    palette = color_transfer([(there[:2], wanted[:2]), (there[2:], wanted[2:])])
    assert torch.allclose(palette.weight[..., 0, 0], root, atol=1e-3)
    assert palette.bias is not None
    assert torch.allclose(palette.bias, shift, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_an_export_ends_with_the_palette_of_its_target(
    domains: Path, tmp_path: Path, way: str
) -> None:
    task = _cyclegan(domains, palette=True, residual=True)
    target = tmp_path / "graded.onnx"
    card = Description(name="graded", operation="translate")
    export(registry().recipes["cyclegan"], task, target, card, network=way)
    session = open_session(target, "cpu")
    source, wanted = task.batch(0) if way == "forward" else reversed(task.batch(0))
    made = session.run(source.numpy())
    plain = task.networks[way].model
    means = [torch.as_tensor(picture).mean((0, 2, 3)) for picture in (made, wanted, source)]
    assert (means[0] - means[1]).abs().max() < 0.1 < (means[2] - means[1]).abs().max()
    # Who goes on from it begins without its palette.
    again = _cyclegan(domains, residual=True)
    assert start_from(again, read_sources(f"{way}={target}", "forward")) == []
    assert torch.equal(again.networks[way].model[1].weight, plain[1].weight)


def test_each_network_may_start_from_a_file_of_its_own(domains: Path, tmp_path: Path) -> None:
    fit(_cyclegan(domains), tmp_path / "run", until=1)
    learned = read_weights(tmp_path / "run", "forward")
    words = f"forward={tmp_path / 'run'},backward={tmp_path / 'run'}"
    task = _cyclegan(domains, seed=1)
    assert start_from(task, read_sources(words, "forward")) == []
    for name in ("forward", "backward"):
        state = task.networks[name].state_dict()
        assert all(torch.equal(learned[name][key], state[key]) for key in learned[name])
    discriminator = task.networks["forward discriminator"].state_dict()
    assert not torch.equal(
        discriminator["model.0.weight"], learned["forward discriminator"]["model.0.weight"]
    )
    asked = Record.of(registry().recipes["cyclegan"], domains, task.settings, words)
    assert asked.command.endswith("--init-from forward=run,backward=run")
    with pytest.raises(Misuse, match="there is no such file; name a run"):
        read_sources(f"forward={tmp_path / 'gone.onnx'}", "forward")


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_robust_classifier_sees_the_target_in_what_is_made(domains: Path, way: str) -> None:
    class Brightness(nn.Module):
        """To it what is bright is of B."""

        def forward(self, pictures: Tensor) -> Tensor:
            assert pictures.shape[2:] == (64, 64)
            return 8 * (pictures.mean((1, 2, 3))[:, None] - 0.5)

    task = _cyclegan(domains)
    assert task.robust_classifier is None
    task.robust_classifier = Brightness()
    right = 1.0 if way == "forward" else -1.0
    black = torch.full((1, 3, 32, 32), -1.0)
    terms = [task._terms(way, black, black, tone * torch.ones(1, 3, 32, 32)) for tone in (-1, 1)]
    against, along = sorted(terms, key=lambda term: -term["guidance"])
    assert along["guidance"] < 0.05
    assert against["guidance"] > 3
    assert (terms[1] is along) == (right > 0)


def test_a_run_that_is_no_classifier_is_misuse(domains: Path, tmp_path: Path) -> None:
    fit(_cyclegan(domains, steps=1), tmp_path)
    with pytest.raises(
        Misuse, match=r"^--robust-classifier .*name a run of `imgan train translate-classifier`"
    ):
        fit(_cyclegan(domains, robust_classifier=str(tmp_path)), tmp_path / "taught")


def test_a_larger_pool_begins_anew() -> None:
    small, large = Pool(2, 4), Pool(2, 8)
    small.swap(torch.rand(2, 3, 4, 4))
    large.swap(torch.rand(1, 3, 8, 8))
    held = large.pictures.clone()
    large.load_state_dict(small.state_dict())
    assert torch.equal(large.pictures, held)
    assert large.filled == 1
    large.load_state_dict(Pool(2, 8).state_dict())
    assert large.filled == 0


def test_the_pool_gives_back_what_it_was_given() -> None:
    torch.manual_seed(0)
    pool = Pool(3, 4)
    given = torch.linspace(-1, 1, 12)[:, None, None, None].expand(12, 3, 4, 4)
    shown = torch.cat([pool.swap(picture[None]) for picture in given])
    assert torch.equal(shown[:3], given[:3]), "until it is full everything passes"
    earlier = [i for i in range(12) if not torch.equal(shown[i], given[i])]
    assert earlier
    for i in earlier:
        assert (given[:i] - shown[i]).flatten(1).abs().amax(1).min() < 0.01


def test_the_contrastive_loss_is_small_where_places_agree() -> None:
    torch.manual_seed(0)
    generator = ResNet(4, 1)
    codes = Codes(generator)
    for head in codes.heads:  # beyond N(0, 0.02), under which all codes are alike
        nn.init.normal_(head[0].weight)
        nn.init.normal_(head[2].weight)
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    same = contrast(generator, codes, picture, picture)
    other = contrast(generator, codes, picture, picture.flip(3))
    assert same < other


def test_augmentation_treats_every_picture_alone_and_lets_gradients_through() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 32, 32).mul(2).sub(1).repeat(2, 1, 1, 1).requires_grad_()
    result = augmented(picture)
    assert result.shape == picture.shape
    assert not torch.equal(result[0], result[1])
    result.sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0


def test_augmentation_shifts_and_makes_a_hole() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(1.0, 1 + 32 * 32).view(1, 1, 32, 32).repeat(4, 3, 1, 1)
    for picture in _shifted(ramp):
        there = picture[0] > 0
        steps = picture[0].diff(dim=1)[there[:, 1:] & there[:, :-1]]
        assert (steps == 1).all()
        assert 28 * 28 <= there.sum() <= 32 * 32
    for picture in _holed(ramp):
        gone = (picture[0] == 0).nonzero()
        assert 8 * 8 <= len(gone) <= 16 * 16
        assert len(gone) == (gone.amax(0) - gone.amin(0) + 1).prod()


def test_the_rate_is_constant_and_then_falls_along_a_line() -> None:
    settings = Settings(steps=100, lr=1.0)
    assert [linear(settings, step) for step in (0, 50, 75, 99)] == pytest.approx([1, 1, 0.5, 0.02])


@pytest.mark.parametrize(
    "changed", [{}, {"generator": Network.resnet, "augment": True}, {"swap": True}]
)
def test_a_cut_pix2pix_ends_as_an_uncut_one(
    pairs: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    fit(_pix2pix(pairs, **changed), tmp_path / "whole")
    fit(_pix2pix(pairs, **changed), tmp_path / "cut", until=2)
    fit(_pix2pix(pairs, **changed), tmp_path / "cut")
    whole, cut = _weights(tmp_path / "whole"), _weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_pix2pix_learns_a_negative(pairs: Path, tmp_path: Path) -> None:
    task = _pix2pix(
        pairs,
        steps=60,
        generator=Network.resnet,
        width=8,
        blocks=1,
        lr=2e-3,
        sample_every=60,
        checkpoint_every=60,
    )
    fit(task, tmp_path)
    inputs, targets = task.batch(0)
    made = task.networks["generator"](inputs)
    assert (made - targets).abs().mean() < 0.5 * (inputs - targets).abs().mean()


def test_a_run_is_restored_with_its_own_generator(pairs: Path, tmp_path: Path) -> None:
    from imgan.plugins import registry
    from imgan.training.run import restore, train

    recipe = registry().recipes["pix2pix"]
    train(recipe, Pix2PixSettings(**SMALL | {"steps": 1, "load": 32}), pairs, tmp_path)
    # From JSON, where every setting is plain text or a number.
    assert isinstance(restore(recipe, Record.read(tmp_path), tmp_path).product(), UNet)


def test_pairs_are_cut_alike(pairs: Path) -> None:
    inputs, targets = _pix2pix(pairs).batch(0)
    assert torch.allclose(inputs, -targets, atol=0.02)


def test_pairs_can_be_swapped_and_made(pairs: Path) -> None:
    settings = Pix2PixSettings(**SMALL)
    one, two = read_pairs(pairs, settings)[0]
    swapped = read_pairs(pairs, Pix2PixSettings(**SMALL, swap=True))[0]
    assert np.array_equal(swapped[0], two)
    assert np.array_equal(swapped[1], one)
    grey, photo = read_pairs(pairs / "one", Pix2PixSettings(**SMALL, pairs=Preprocess.gray))[0]
    assert np.array_equal(photo, one)
    assert np.ptp(grey, axis=2).max() == 0
    drawn, _ = read_pairs(pairs / "one", Pix2PixSettings(**SMALL, pairs=Preprocess.edges))[0]
    assert drawn.min() == 0


def test_pairs_that_do_not_match_are_named(tmp_path: Path) -> None:
    for side, names in (("one", "ab"), ("two", "a")):
        (tmp_path / side).mkdir()
        for name in names:
            Image.new("RGB", (40, 40)).save(tmp_path / side / f"{name}.png")
    with pytest.raises(Failure, match=r"b\.png has no counterpart in .*two"):
        read_pairs(tmp_path, Pix2PixSettings(**SMALL))


@pytest.mark.parametrize(
    ("kind", "changed", "words"),
    [
        (CycleGANSettings, {"crop": 30}, "--crop"),
        (CycleGANSettings, {"crop": 64, "load": 60}, "--load"),
        (CycleGANSettings, {"cycle": -1.0}, "--cycle"),
        (CycleGANSettings, {"source": "Two words"}, "--source"),
        (Pix2PixSettings, {"crop": 96}, "power of 2"),
        (Pix2PixSettings, {"l1": -1.0}, "--l1"),
    ],
)
def test_settings_that_mean_nothing_are_misuse(
    kind: type[Settings], changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(Misuse, match=words):
        kind(**changed)


@pytest.mark.slow
def test_exports_go_both_ways_and_say_so(domains: Path, tmp_path: Path) -> None:
    task = _cyclegan(domains, source="summer", target="winter", residual=True)
    card = Description(name="way", operation="translate")
    for name, ends in (("forward", ("summer", "winter")), ("backward", ("winter", "summer"))):
        file = tmp_path / f"{name}.onnx"
        export(registry().recipes["cyclegan"], task, file, card, network=name)
        written = embedded_description(file)
        assert written is not None
        assert (written.traits["from"], written.traits["to"]) == ends
        picture = torch.rand(1, 3, 36, 44) * 2 - 1
        with torch.no_grad():
            wanted = task.trained(name)(picture).numpy()
        assert np.abs(open_session(file, "cpu").run(picture.numpy()) - wanted).max() < 1e-4


def test_only_averaged_networks_can_be_shipped(domains: Path) -> None:
    task: Task[Any] = _cyclegan(domains)
    with pytest.raises(Misuse, match="forward or backward"):
        task.product("forward discriminator")


@pytest.mark.slow
def test_a_unet_is_exported_for_its_one_size(pairs: Path, tmp_path: Path) -> None:
    task = _pix2pix(pairs, pairs=Preprocess.gray)
    file = tmp_path / "unet.onnx"
    card = Description(name="colours", operation="translate")
    export(registry().recipes["pix2pix"], task, file, card)
    assert open_session(file, "cpu").shapes["input"][2:] == [32, 32]
    written = embedded_description(file)
    assert written is not None
    assert written.traits["preprocess"] == "gray"
