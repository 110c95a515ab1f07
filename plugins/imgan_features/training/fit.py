"""The student's first weights, without one gradient: channels chosen, then kernels solved for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from imgan.training.perceptual import Features
from imgan_features.net import Choice

PLACES = 64
"""Places of a crop that enter the equations of a layer."""

RIDGE = 1e-4
"""Added to the normal equations' diagonal, in parts of its mean."""

ROUNDS = 12
"""How often a layer is solved, each time with the targets that the last solution allows."""


@torch.no_grad()
def fit(teacher: Features, student: Features, choice: Choice, crops: list[Tensor]) -> None:
    """Choose the student's channels and solve for its kernels, layer by layer, in place.

    `crops` are batches [N, 3, H, W] of RGB in 0..1. Every layer is fitted to what the layers before
    it give in the student, so that it makes good for their errors. Deterministic.
    """
    places = [_places(batch, index) for index, batch in enumerate(crops)]
    inputs = [student.normalise(batch) for batch in crops]
    for name, wanted in _outputs(teacher, crops, places).items():
        if name.endswith("_1") and name != student.layers[0]:
            inputs = [max_pool2d(x, 2) for x in inputs]
        fired = wanted.relu()
        scale = 1 / fired.mean()
        convolution = student.get_submodule(name)
        assert isinstance(convolution, torch.nn.Conv2d)
        channels = spanning((fired.T @ fired).double(), convolution.out_channels)
        choice.set(name, channels, scale)
        sampled = zip(inputs, places, strict=True)
        patches = torch.cat([_patches(x, at[int(name[4])]) for x, at in sampled])
        solution = solve(patches, wanted[:, channels] * scale)
        kernels = solution[:-1].T.reshape(-1, 9, convolution.in_channels).transpose(1, 2)
        student.get_parameter(f"{name}.weight").copy_(kernels.reshape(convolution.weight.shape))
        student.get_parameter(f"{name}.bias").copy_(solution[-1])
        inputs = [torch.relu(convolution(x)) for x in inputs]
    choice.made.fill_(True)


def spanning(moments: Tensor, count: int) -> Tensor:
    """The channels that best span all, in ascending order: [C, C] second moments to [count].

    Pivoted Cholesky: greedily the channel of which the chosen ones explain the least.
    """
    rest = moments.clone()
    chosen: list[int] = []
    for _ in range(count):
        diagonal = rest.diagonal().clone()
        diagonal[chosen] = -torch.inf
        pivot = int(diagonal.argmax())
        chosen.append(pivot)
        if rest[pivot, pivot] > 0:
            rest -= torch.outer(rest[:, pivot], rest[pivot]) / rest[pivot, pivot]
    return torch.tensor(sorted(chosen))


def solve(patches: Tensor, wanted: Tensor) -> Tensor:
    """The kernels [D, C] with which relu(patches @ kernels) is nearest to relu(wanted).

    `patches` is [M, D], `wanted` [M, C] before its ReLU. Ridge regression; where a channel is to be
    silent and is, whatever it gives is right: that becomes the target of the next round. The matrix
    of the equations stays the same, so a round costs one product.
    """
    normal = patches.T @ patches
    normal.diagonal().add_(RIDGE * normal.diagonal().mean())
    factor = torch.linalg.cholesky(normal.double())
    target = wanted
    for _ in range(ROUNDS):
        solution = torch.cholesky_solve((patches.T @ target).double(), factor).float()
        target = torch.where(wanted > 0, wanted, (patches @ solution).clamp(max=0))
    return solution


def _places(batch: Tensor, index: int) -> dict[int, Tensor]:
    """For each scale [K, 3] picture, row and column of places, drawn without repetition."""
    rng = np.random.default_rng(index)
    count, _, height, width = batch.shape
    drawn = {}
    for scale in range(1, 6):
        rows, columns = height >> (scale - 1), width >> (scale - 1)
        each = min(PLACES, rows * columns)
        flat = [rng.choice(rows * columns, each, replace=False) for _ in range(count)]
        place = np.concatenate(flat)
        picture = np.repeat(np.arange(count), each)
        drawn[scale] = torch.from_numpy(np.stack([picture, place // columns, place % columns], 1))
    return drawn


def _outputs(
    teacher: Features, crops: Iterable[Tensor], places: list[dict[int, Tensor]]
) -> dict[str, Tensor]:
    """What every convolution of the teacher gives at the places before its ReLU, [M, C] each."""
    found: dict[str, list[Tensor]] = {name: [] for name in teacher.layers}
    for batch, at in zip(crops, places, strict=True):
        x = teacher.normalise(batch)
        for name in teacher.layers:
            x = teacher.convolve(name, x)
            picture, row, column = at[int(name[4])].T
            found[name].append(x[picture, :, row, column])
            x = torch.relu(x)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _patches(x: Tensor, places: Tensor) -> Tensor:
    """The 3x3 neighbourhoods of places, [K, 9 C + 1]: offset by offset, and a 1 for the bias."""
    padded = pad(x, (1, 1, 1, 1))
    picture, row, column = places.T
    parts = [padded[picture, :, row + dy, column + dx] for dy in range(3) for dx in range(3)]
    return torch.cat([*parts, torch.ones(len(places), 1)], dim=1)
