"""The latent of a shape, by gradients through the generator. Needs the extra `train`."""

from __future__ import annotations

import numpy as np
import torch

from imgan.making import progress
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.training.weights import read_weights
from imgan_shapes.grids import Grid
from imgan_shapes.latents import LATENT, Latents
from imgan_shapes.net import Generator
from imgan_shapes.traits import ShapeTraits

STARTS = 64
"""Random latents, of which the search goes on from the one whose shape overlaps most."""
RATE = 0.05
STEEPNESS = 12.0
"""Of the sigmoid that makes cells of occupancies, so that the overlap has gradients."""


def open_network(card: ModelCard) -> Generator:
    """The generator of a card as a PyTorch module: the ONNX file keeps all weights by name."""
    state = read_weights(store.path(card), "generator")["generator"]
    width = state["last.weight"].shape[0]
    traits = ShapeTraits.of(card)
    network = Generator(width, traits.size, traits.mirror)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return network.requires_grad_(False).eval()


def search(
    card: ModelCard, target: Grid, threshold: float, truncation: float, steps: int, seed: int
) -> Latents:
    """The latent [200] of the shape that overlaps most with a grid [64, 64, 64], as far as `steps`
    of Adam lead: they raise the soft IoU, and hold the latent at a length that is usual."""
    network = open_network(card)
    wanted = torch.from_numpy(target >= 0.5).float()
    draw = torch.Generator().manual_seed(seed)

    def misses(z: torch.Tensor) -> torch.Tensor:
        """1 - IoU of each latent."""
        cells = torch.sigmoid(STEEPNESS * (network(z * truncation) - threshold))
        both = (cells * wanted).sum((1, 2, 3))
        return 1 - both / (cells.sum((1, 2, 3)) + wanted.sum() - both)

    starts = torch.randn(STARTS, LATENT, generator=draw)
    with torch.no_grad():
        errors = torch.cat([misses(z) for z in starts.split(8)])
    best, least = starts[errors.argmin()], float(errors.min())
    z = best[None].clone().requires_grad_()
    optimizer = torch.optim.Adam([z], RATE)
    with progress(steps) as report:
        for step in range(steps):
            error = misses(z)[0]
            if float(error.detach()) < least:
                best, least = z.detach()[0].clone(), float(error.detach())
            too_long = torch.relu(z.square().mean() - 1)
            optimizer.zero_grad()
            (error + too_long).backward()
            optimizer.step()
            if report:
                report(step + 1, float(error.detach()))
    return np.asarray(best.numpy(), np.float32)
