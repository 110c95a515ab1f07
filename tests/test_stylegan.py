"""StyleGAN2: the network, its training, growth, and what is exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from imgan.errors import Failure, Misuse
from imgan.images.tensors import decode
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan.plugins import registry
from imgan.training.loop import CHECKPOINT, fit, start_from
from imgan.training.ports import export
from imgan.training.weights import read_sources, read_weights, write_networks
from imgan_generate import StyleGANSettings
from imgan_generate.style import StyleGenerator, draw
from imgan_generate.stylegan import Discriminator, Generator, StyledConv, build
from imgan_generate.training.stylegan import StyleGANTask

TINY = StyleGANSettings(
    steps=3,
    batch_size=4,
    ema_decay=0.5,
    size=16,
    channel_base=64,
    discriminator_base=64,
    channel_max=8,
    penalty_every=2,
    held_out=2,
    feature_weight=0.0,
    checkpoint_every=2,
    sample_every=3,
)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight coarse pictures of 20x20."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for index in range(8):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((20, 20), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def _task(data: Path, settings: StyleGANSettings = TINY) -> StyleGANTask:
    torch.manual_seed(settings.seed)
    return StyleGANTask(data, settings)


def _weights(run: Path) -> dict[str, Tensor]:
    state: dict[str, Any] = torch.load(run / CHECKPOINT, weights_only=True)
    parts = {**state["networks"], "average": state["averages"]["generator"]}
    return {f"{part}.{key}": t for part, tensors in parts.items() for key, t in tensors.items()}


@torch.no_grad()
def test_scaling_before_and_after_is_the_modulated_kernel() -> None:
    """The published form: kernels of their own for each picture, by a grouped convolution."""
    torch.manual_seed(0)
    for up in (False, True):
        conv = StyledConv(5, 4, 6, up=up)
        torch.nn.init.normal_(conv.bias)
        torch.nn.init.constant_(conv.noise_strength, 0.3)
        x, w = torch.randn(2, 4, 8, 8), torch.randn(2, 5)
        side = 16 if up else 8
        noise = torch.randn(2, side**2)
        kernels = conv.weight[None] * conv.affine(w)[:, None, :, None, None]
        kernels /= (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        if up:
            whole = [
                conv_transpose2d(one[None], kernel.transpose(0, 1), stride=2)
                for one, kernel in zip(x, kernels, strict=True)
            ]
            blur = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 16
            y = conv2d(pad(torch.cat(whole), (1, 1, 1, 1)).flatten(0, 1)[:, None], blur[None, None])
            y = y.view(2, 6, side, side)
        else:
            y = conv2d(x.view(1, 8, 8, 8), kernels.flatten(0, 1), padding=1, groups=2)
            y = y.view(2, 6, side, side)
        y = y + 0.3 * noise.view(2, 1, side, side) + conv.bias[:, None, None]
        wanted = torch.nn.functional.leaky_relu(y, 0.2) * 2**0.5
        assert torch.allclose(conv(x, w, noise), wanted, atol=1e-5)


def test_truncation_goes_from_the_mean_to_the_style_itself() -> None:
    mapping = Generator((8, 8), z=6, w=6, layers=2).mapping
    mapping.w_avg.fill_(3.0)
    w = torch.randn(4, 6)
    assert torch.equal(mapping.truncate(w, 0.0), torch.full((4, 6), 3.0))
    assert torch.allclose(mapping.truncate(w, 1.0), w)
    assert torch.allclose(mapping.truncate(w, 0.5), (w + 3) / 2)


def test_styles_of_coarse_layers_leave_nothing_of_the_picture_alone_and_noise_is_used() -> None:
    torch.manual_seed(0)
    generator = Generator((8, 8, 4), z=6, w=6, layers=2)
    synthesis = generator.synthesis
    assert synthesis.styles == 6
    w, noise = torch.randn(1, 6, 6), torch.randn(1, sum(synthesis.noise))
    picture = synthesis(w, noise)
    assert picture.shape == (1, 3, 16, 16)
    for layer in range(6):
        changed = w.clone()
        changed[:, layer] += 1
        assert not torch.allclose(synthesis(changed, noise), picture)
    assert torch.allclose(synthesis(w, -noise), picture)  # strengths are 0 in the beginning
    for name, parameter in synthesis.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.ones_(parameter)
    assert not torch.allclose(synthesis(w, -noise), synthesis(w, noise))


def test_a_generator_is_built_from_its_parameters_alone() -> None:
    generator = Generator((8, 6, 4), z=5, w=7, layers=3)
    twin = build(generator.state_dict())
    twin.load_state_dict(generator.state_dict())
    with pytest.raises(KeyError):
        build(Discriminator((8, 8)).state_dict())


BESIDE = {"augment": False, "feature_weight": 1.0, "reconstruction_weight": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"feature_weight": 1.0}, {**BESIDE, "pixel_weight": 0.0}])
def test_a_run_cut_in_two_gives_the_same_weights(
    squares: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    settings = replace(TINY, **changes)
    for run in ("uncut", "cut"):
        (tmp_path / run).mkdir()
    fit(_task(squares, settings), tmp_path / "uncut")
    fit(_task(squares, settings), tmp_path / "cut", until=2)
    fit(_task(squares, settings), tmp_path / "cut")
    uncut, cut = _weights(tmp_path / "uncut"), _weights(tmp_path / "cut")
    assert uncut.keys() == cut.keys()
    assert all(torch.equal(uncut[key], cut[key]) for key in uncut)


def test_the_last_pictures_are_held_out(squares: Path) -> None:
    task = _task(squares)
    assert len(task.pixels) == 6
    with pytest.raises(Failure, match="8 pictures are held out"):
        _task(squares, replace(TINY, held_out=8)).batch(0)
    with pytest.raises(Misuse, match="--size 24"):
        replace(TINY, size=24)


def test_an_encoder_learns_beside_and_its_pictures_are_of_one_style(
    squares: Path, tmp_path: Path
) -> None:
    task = _task(squares, replace(TINY, **BESIDE))
    before = {key: tensor.clone() for key, tensor in task.networks["encoder"].state_dict().items()}
    fit(task, tmp_path, until=1)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert {"reconstruction", "divergence", "features"} <= json.loads(line).keys()
    after = task.networks["encoder"].state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before if "weight" in key)
    generator = task.networks["generator"].eval()
    z = torch.randn(4, generator.z)
    whole = generator.mapping(z)[:, None].expand(-1, generator.synthesis.styles, -1)
    with torch.no_grad():
        made = [task._generated(z, 2)[:2] for _ in range(4)]
    noiseless = generator.synthesis(whole, torch.zeros(4, sum(generator.synthesis.noise)))[:2]
    assert all(torch.allclose(one, noiseless, atol=0.05) for one in made)
    with pytest.raises(Misuse, match="--augment"):
        replace(TINY, reconstruction_weight=1.0)


def test_a_run_goes_on_from_one_small_file(squares: Path, tmp_path: Path) -> None:
    task = _task(squares, replace(TINY, feature_weight=1.0))
    write_networks(task, tmp_path / "state.safetensors", half=True, overwrite=False)
    other = _task(squares, replace(TINY, feature_weight=1.0, seed=1))
    assert not start_from(other, read_sources(str(tmp_path / "state.safetensors"), other.shipped))
    for name, network in task.networks.items():
        twin = other.networks[name].state_dict()
        for key, tensor in network.state_dict().items():
            assert torch.allclose(tensor.float(), twin[key].float(), rtol=1e-3, atol=1e-6)
    with pytest.raises(Failure, match="exists"):
        write_networks(task, tmp_path / "state.safetensors", half=True, overwrite=False)


def test_a_run_grows_to_twice_the_size(squares: Path, tmp_path: Path) -> None:
    for run in ("small", "large"):
        (tmp_path / run).mkdir()
    small = _task(squares)
    fit(small, tmp_path / "small", until=2)
    large = _task(squares, replace(TINY, size=32))
    fresh = start_from(large, read_sources(str(tmp_path / "small"), large.shipped))
    assert fresh
    assert all(".b32." in name for name in fresh)
    was, now = small.trained("generator"), large.trained("generator")
    assert torch.equal(was.synthesis.b16.conv1.weight, now.synthesis.b16.conv1.weight)
    fit(large, tmp_path / "large", until=1)


@pytest.fixture(scope="module")
def exported(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generator]:
    """A tiny generator that learnt for a step, as a file, and its twin."""
    run = tmp_path_factory.mktemp("run")
    task = _task(squares)
    fit(task, run, until=1)
    target = run / "tiny.onnx"
    card = Description(name="tiny-style", operation="generate")
    parity = export(registry().recipes["stylegan"], task, target, card, half=True)
    assert parity.worst < 0.01
    return target, task.product()


@pytest.mark.slow
def test_the_file_has_both_parts_and_the_parameters(exported: tuple[Path, Generator]) -> None:
    file, twin = exported
    style = StyleGenerator(open_session(file, "cpu"))
    assert (style.z, style.w, style.layers, style.side) == (128, 128, 6, 16)
    shapes = style.session.shapes
    # One name for both would let onnxruntime use a buffer of the one for the other.
    assert shapes["z"][0] != shapes["w"][0] == shapes["noise"][0]
    z, noise = draw(style, 3, seed=1)
    with torch.no_grad():
        w = twin.mapping(torch.from_numpy(z))
        truncated = twin.mapping.truncate(w, 0.7)
        wanted = twin.synthesis(truncated[:, None].expand(-1, 6, -1), torch.from_numpy(noise))
    assert np.allclose(style.styles(z), w, atol=0.02)
    assert np.allclose(style.mean(), twin.mapping.w_avg, atol=1e-5)
    pictures = style.pictures(style.wide(style.styles(z, 0.7)), noise)
    assert np.abs(pictures - decode(wanted.numpy()).astype(int)).max() <= 3
    weights = read_weights(file, "generator")["generator"]
    again = build(weights)
    again.load_state_dict(weights)


def test_styles_come_nearer_to_their_mean(exported: tuple[Path, Generator]) -> None:
    style = StyleGenerator(open_session(exported[0], "cpu"))
    z, _ = draw(style, 4, seed=2)
    far = [np.abs(style.styles(z, psi) - style.mean()).mean() for psi in (0.0, 0.5, 1.0)]
    assert far[0] < 1e-6
    assert far[1] == pytest.approx(far[2] / 2, rel=1e-3)


def test_learning_rates_fall_in_the_second_half(squares: Path, tmp_path: Path) -> None:
    settings = replace(TINY, **BESIDE, steps=4)
    task = _task(squares, settings)
    start = {name: [g["lr"] for g in o.param_groups] for name, o in task.optimizers.items()}
    fit(task, tmp_path)
    for name, optimizer in task.optimizers.items():
        ends = [group["lr"] for group in optimizer.param_groups]
        assert ends == pytest.approx([rate / 2 for rate in start[name]])


def test_features_look_at_the_size_that_is_asked_for(squares: Path) -> None:
    small, large = (_task(squares, replace(TINY, **BESIDE, feature_size=n)) for n in (16, 32))
    (pictures,) = small.batch(0)
    assert small._seen(pictures)["conv3_3"].shape[-1] == 4
    assert large._seen(pictures)["conv3_3"].shape[-1] == 8
    with pytest.raises(Misuse, match="--feature-size 8"):
        replace(TINY, feature_size=8)


def test_an_export_takes_z_to_the_codes_of_the_training_pictures(squares: Path) -> None:
    task = _task(squares, replace(TINY, **BESIDE))
    head = task.networks["encoder"].layers[-1]
    with torch.no_grad():
        head.weight.zero_()
        # Codes as far from N(0, 1) as can be: all the same, and no doubt about them.
        head.bias.copy_(torch.cat([torch.linspace(-3, 3, 128), torch.full((128,), -12.0)]))
    fitted = task.product()
    assert isinstance(fitted, Generator)
    kept = task.trained("generator")
    assert isinstance(kept, Generator)
    with torch.no_grad():
        (code,) = kept.mapping(head.bias[None, :128])
        styles = fitted.mapping(torch.randn(50, 128))
    assert torch.allclose(styles, code.expand_as(styles), atol=0.02)
    assert torch.allclose(fitted.mapping.w_avg, code, atol=0.02)
    assert torch.equal(kept.synthesis.b4.const, fitted.synthesis.b4.const)
