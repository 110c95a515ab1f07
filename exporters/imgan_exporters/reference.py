"""Generators that the reference code of CycleGAN and pix2pix saved (`latest_net_G_A.pth`).

https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix, `models/networks.py`. What the network is
like is found from the names and the shapes of its tensors.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor, nn

from imgan.errors import Failure
from imgan.models.cards import Description, name_of
from imgan_exporters.checkpoints import foreign, read_table
from imgan_exporters.onnx import Parity, write
from imgan_translate.net import ResNet, UNet
from imgan_translate.ports import translator_form

State = dict[str, Tensor]
Norm = type[nn.Module]

LUMINANCE = (0.299, 0.587, 0.114)
"""Parts of R, G and B in the grey that the reference code shows to networks of one channel."""

SIDE = 256
"""Pixels a side of what residual generators were trained on, unless told otherwise."""


class Found(NamedTuple):
    """A generator, on the meta device."""

    network: nn.Module
    first: str
    """The layer that takes the picture."""
    last: str
    """The layer that gives it."""
    given: int
    """The axis of the last layer's kernel along which its channels lie."""
    side: int | None
    """Pixels a side, None for any."""
    paper: str


def convert(file: Path, target: Path) -> Parity:
    """Write a generator as ONNX, in evaluation mode: statistics as trained, no dropout.

    Raises UnsupportedFile for other networks; Failure for discriminators, for networks that are
    nearly one of these, and as `read_table` and `write` do.
    """
    table = read_table(file)
    if not all(isinstance(tensor, Tensor) for tensor in table.values()):
        raise foreign(table)
    # Counters are of no use, and DataParallel puts a prefix before every name.
    state = {
        key.removeprefix("module."): tensor.float()
        for key, tensor in table.items()
        if not key.endswith(".num_batches_tracked")
    }
    batch = _has_batch_norm(state)
    if not batch:
        # PyTorch before 0.4 kept statistics of instance normalisation, and did not use them.
        state = {key: tensor for key, tensor in state.items() if ".running_" not in key}
    with torch.device("meta"):  # the checkpoint's own tensors are put in place
        found = _find(state, nn.BatchNorm2d if batch else nn.InstanceNorm2d)
    if found is None:
        if _kernel(state, "model.0.weight") == 4:
            raise Failure(f"{file} holds a discriminator; generators are read (..._net_G...)")
        raise foreign(table)
    _load(file, found, state)
    name = name_of(file)
    card = Description(
        name=name,
        operation="translate",
        paper=found.paper,
        input=f"RGB -1..1, {f'{found.side}x{found.side}' if found.side else 'any size'}",
        traits={
            "to": name,
            "side": found.side or SIDE,
            "norm": "batch" if batch else "instance",
        },
    )
    return write(found.network, translator_form(found.side), target, card)


def _has_batch_norm(state: State) -> bool:
    """Whether statistics have a scale beside them, as those of instance normalisation have not."""
    means = (key for key in state if key.endswith(".running_mean"))
    return any(f"{key.removesuffix('running_mean')}weight" in state for key in means)


def _kernel(state: State, key: str) -> int | None:
    """The side of a square kernel, if there is one of that name."""
    shape = state[key].shape if key in state else ()
    return shape[3] if len(shape) == 4 and shape[2] == shape[3] else None


def _find(state: State, norm: Norm) -> Found | None:
    kernels = [key for key, tensor in state.items() if tensor.ndim == 4]
    if _kernel(state, "model.1.weight") == 7:
        blocks = sum(key.endswith(".conv_block.1.weight") for key in kernels)
        dropout = "model.10.conv_block.5.weight" not in state
        return Found(
            ResNet(len(state["model.1.weight"]), blocks, norm=norm, dropout=dropout),
            first="model.1",
            last=f"model.{17 + blocks}",
            given=0,
            side=None,
            paper="Zhu et al. 2017, arXiv:1703.10593",
        )
    if _kernel(state, "model.model.0.weight") == 4:
        depth = (len(kernels) + 1) // 2
        return Found(
            UNet(len(state["model.model.0.weight"]), depth, norm),
            first="model.model.0",
            last="model.model.3",
            given=1,
            side=2**depth,
            paper="Isola et al. 2017, arXiv:1611.07004",
        )
    return None


def _load(file: Path, found: Found, state: State) -> None:
    """Put the tensors in place, those of networks of one channel made over for RGB.

    Such a network then sees the luminance, and gives its result three times. Raises Failure when
    the tensors are not exactly the network's.
    """
    first, weight, bias = f"{found.first}.weight", f"{found.last}.weight", f"{found.last}.bias"
    if state[first].shape[1] == 1:
        state[first] = state[first] * torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    if state.keys() >= {weight, bias} and state[bias].numel() == 1:
        state[weight] = torch.cat([state[weight]] * 3, found.given)
        state[bias] = state[bias].repeat(3)
    try:
        found.network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        odd = shorten(str(error).splitlines()[1], 160, placeholder=" ...")
        if any(key.endswith(".filt") for key in state):
            odd = "it is antialiased, as CUT's"
        raise Failure(
            f"{file} is like a generator of CycleGAN or pix2pix, and not the plain one: {odd}"
        ) from None
