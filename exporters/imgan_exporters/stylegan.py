"""StyleGAN2 generators of other projects: official pickles, and rosinality's checkpoints.

https://github.com/NVlabs/stylegan2-ada-pytorch and https://github.com/NVlabs/stylegan3 save modules
(.pkl); https://github.com/rosinality/stylegan2-pytorch saves tables of tensors (.pt).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from imgan.errors import Failure
from imgan.models.cards import Description, name_of
from imgan_exporters.checkpoints import foreign, read_table
from imgan_exporters.onnx import Parity, write
from imgan_exporters.unpickling import read_pickle
from imgan_generate.ports import style_form
from imgan_generate.stylegan import Generator, build

State = dict[str, Tensor]

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
"""The filter between resolutions that our network has."""

DRAWS = 10_000
"""Random z whose mean style is taken where a file has none."""

PAPER = "Karras et al. 2020, arXiv:1912.04958"


def convert_pickle(file: Path, target: Path) -> Parity:
    """Write the generator of an official pickle as ONNX, the averaged one if there is one.

    Raises Failure for a pickle that is damaged or calls for more than weights need, and for
    generators that our network can't express: StyleGAN3's, conditional ones, other channels;
    UnsupportedFile for another pickle.
    """
    modules = read_pickle(file)
    name = next((name for name in ("G_ema", "G") if name in modules), None)
    if name is None:
        raise Failure(f"{file} holds {', '.join(modules)}, and no generator (G_ema or G)")
    state = modules[name]
    if any(re.match(r"synthesis\.L\d+_", key) for key in state):
        raise Failure(
            f"{file} is a StyleGAN3: its alias-free layers (filtered activations, Fourier input) "
            "can't be expressed by the StyleGAN2 network here"
        )
    if any(key.startswith("mapping.embed.") for key in state):
        raise Failure(f"{file} is conditional: it wants a class beside z, and none can be given")
    for key in [key for key in state if key.endswith("resample_filter")]:
        _require_filter(file, state[key])
    return _write(file, target, state)


def convert_checkpoint(file: Path, target: Path) -> Parity:
    """Write the averaged generator of rosinality's checkpoint as ONNX.

    Raises UnsupportedFile for another table, and Failure for a generator that our network can't
    express.
    """
    table = read_table(file)
    weights = table.get("g_ema", table)
    if not isinstance(weights, Mapping) or "input.input" not in weights:
        raise foreign(table)
    tensors = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    theirs = {str(key): tensor.float() for key, tensor in tensors.items()}
    for key in (key for key in theirs if key.endswith("blur.kernel")):
        _require_filter(file, theirs[key])
    state = _renamed(file, theirs)
    average = table.get("latent_avg")
    if isinstance(average, Tensor):
        state["mapping.w_avg"] = average.float().flatten()
    return _write(file, target, state)


def _require_filter(file: Path, kernel: Tensor) -> None:
    wanted = TAPS.outer(TAPS)
    given = kernel / kernel.sum()
    if given.shape != wanted.shape or not torch.allclose(given, wanted / wanted.sum(), atol=1e-4):
        raise Failure(f"{file} is resampled by another filter than 1, 3, 3, 1")


def _renamed(file: Path, theirs: State) -> State:
    """rosinality's tensors under the official names. Raises Failure when one is missing."""
    state: State = {}

    def layer(ours: str, prefix: str, rgb: bool = False) -> None:
        weight = theirs[f"{prefix}.conv.weight"][0]
        # It scales all kernels; that cancels in the demodulation, but for its epsilon.
        scale = 1.0 if rgb else weight[0].numel() ** -0.5
        state[f"{ours}.weight"] = weight * scale
        for part in ("weight", "bias"):
            state[f"{ours}.affine.{part}"] = theirs[f"{prefix}.conv.modulation.{part}"]
        bias = f"{prefix}.bias" if rgb else f"{prefix}.activate.bias"
        state[f"{ours}.bias"] = theirs[bias].flatten()
        if not rgb:
            state[f"{ours}.noise_strength"] = theirs[f"{prefix}.noise.weight"].squeeze()

    try:
        depth = sum(re.fullmatch(r"style\.\d+\.weight", key) is not None for key in theirs)
        for i in range(depth):
            for part in ("weight", "bias"):
                state[f"mapping.fc{i}.{part}"] = theirs[f"style.{i + 1}.{part}"]
        state["synthesis.b4.const"] = theirs["input.input"][0]
        layer("synthesis.b4.conv1", "conv1")
        layer("synthesis.b4.torgb", "to_rgb1", rgb=True)
        blocks = sum(re.fullmatch(r"to_rgbs\.\d+\.bias", key) is not None for key in theirs)
        for i in range(blocks):
            block = f"synthesis.b{8 << i}"
            layer(f"{block}.conv0", f"convs.{2 * i}")
            layer(f"{block}.conv1", f"convs.{2 * i + 1}")
            layer(f"{block}.torgb", f"to_rgbs.{i}", rgb=True)
    except IndexError:
        raise Failure(
            f"{file} is nearly rosinality's StyleGAN2: a tensor has too few axes"
        ) from None
    except KeyError as missing:
        raise Failure(f"{file} is nearly rosinality's StyleGAN2: it lacks {missing}") from None
    return state


def _write(file: Path, target: Path, state: State) -> Parity:
    """Write a generator by its tensors under the official names. Raises Failure when they are not
    exactly our network's."""
    try:
        generator = build(state)
        own = generator.state_dict()
        average = state.get("mapping.w_avg")
        kept = {key: state[key] for key in own if key in state}
        for key in own:
            if key.endswith("resample_filter"):
                kept[key] = own[key]
        kept["mapping.w_avg"] = own["mapping.w_avg"] if average is None else average
        generator.load_state_dict(kept)
    except (LookupError, RuntimeError, ValueError) as error:
        odd = str(error).strip().splitlines()[-1].strip()[:160]
        raise Failure(f"{file} is no StyleGAN2 with skips to RGB: {odd}") from None
    generator.eval()
    if average is None:
        generator.mapping.w_avg.copy_(_mean(generator))
    card = Description(
        name=name_of(file),
        operation="generate",
        paper=PAPER,
        input="numbers from N(0, 1) and how far to truncate; or styles, and noise from N(0, 1)",
    )
    return write(generator, style_form(generator), target, card)


@torch.no_grad()
def _mean(generator: Generator) -> Tensor:
    z = torch.randn(DRAWS, generator.z, generator=torch.Generator().manual_seed(0))
    mean: Tensor = generator.mapping(z).mean(0)
    return mean
