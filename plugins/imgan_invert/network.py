"""Generators in PyTorch, for gradients: from the same file that onnxruntime runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imgan.errors import Failure
from imgan.images.tensors import Bytes, decode
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.training.weights import read_weights
from imgan_generate import net, stylegan
from imgan_invert.latent import Latent

CANDIDATES = 512
"""Random z, of which the one is taken whose style is nearest to the mean."""


class Network(ABC):
    """A generator and the spaces in which its pictures can be looked for.

    Codes are [1, n, d]: z [1, 1, Z], w [1, 1, W], or w+ [1, L, W].
    """

    module: Any
    spaces: tuple[str, ...]
    maps: Sequence[int] = ()
    """Numbers of each noise map."""

    @property
    def noise(self) -> int:
        """Numbers of noise."""
        return sum(self.maps)

    @abstractmethod
    def mean(self, space: str) -> Tensor:
        """A code of an average picture."""

    @abstractmethod
    def random(self, space: str, draw: torch.Generator) -> Tensor:
        """The code of a random picture."""

    @abstractmethod
    def full(self, space: str, code: Tensor) -> Tensor:
        """A code as it is kept: w+ where there are styles, else z."""

    @abstractmethod
    def picture(self, full: Tensor, noise: Tensor) -> Tensor:
        """[1, 3, S, S] in -1..1."""


class Styled(Network):
    """StyleGAN2's generator: z, w and w+."""

    spaces = ("z", "w", "w+")

    def __init__(self, module: stylegan.Generator) -> None:
        self.module = module
        self.maps = module.synthesis.noise
        self.layers = module.synthesis.styles

    def mean(self, space: str) -> Tensor:
        average = self.module.mapping.w_avg
        if space == "z":
            z = torch.randn(CANDIDATES, self.module.z, generator=torch.Generator().manual_seed(0))
            far = (self.module.mapping(z.to(average)) - average).square().sum(1)
            return z[far.argmin()][None, None].to(average)
        return self._shaped(space, average[None, None])

    def random(self, space: str, draw: torch.Generator) -> Tensor:
        z = torch.randn(1, self.module.z, generator=draw).to(self.module.mapping.w_avg)
        return z[:, None] if space == "z" else self._shaped(space, self.module.mapping(z)[:, None])

    def full(self, space: str, code: Tensor) -> Tensor:
        w: Tensor = self.module.mapping(code[:, 0])[:, None] if space == "z" else code
        return w.expand(-1, self.layers, -1)

    def picture(self, full: Tensor, noise: Tensor) -> Tensor:
        picture: Tensor = self.module.synthesis(full, noise)
        return picture

    def _shaped(self, space: str, w: Tensor) -> Tensor:
        return w.repeat(1, self.layers, 1) if space == "w+" else w


class Vanilla(Network):
    """DCGAN's generator: z alone."""

    spaces = ("z",)

    def __init__(self, module: net.Generator) -> None:
        self.module = module

    def mean(self, space: str) -> Tensor:
        return torch.zeros(1, 1, net.LATENT)

    def random(self, space: str, draw: torch.Generator) -> Tensor:
        return torch.randn(1, 1, net.LATENT, generator=draw)

    def full(self, space: str, code: Tensor) -> Tensor:
        return code

    def picture(self, full: Tensor, noise: Tensor) -> Tensor:
        picture: Tensor = self.module(full[:, 0])
        return picture


def open_network(card: ModelCard, device: str = "cpu") -> Network:
    """The generator of a card as a PyTorch module, in evaluation mode, frozen.

    The ONNX file that onnxruntime runs keeps every parameter under its own name, so that one file
    serves both. Raises Failure for a network that is none of ours.
    """
    state = _state(store.path(card))
    builders: list[Callable[[Mapping[str, Tensor]], Network]] = [
        lambda state: Styled(stylegan.build(state)),
        lambda state: Vanilla(net.Generator(state["layers.9.weight"].shape[1])),
    ]
    for build in builders:
        try:
            network = build(state)
            network.module.load_state_dict(state)
        except (LookupError, RuntimeError):
            continue
        network.module.requires_grad_(False).eval().to(device)
        return network
    raise Failure(f"model {card.name}: gradients need a StyleGAN2 or DCGAN of `imgan train`")


@cache
def _state(path: Path) -> dict[str, Tensor]:
    weights = read_weights(path, "generator")["generator"]
    return {name: tensor.float() for name, tensor in weights.items()}


def render_tuned(latent: Latent) -> Bytes:
    """The picture of a latent whose generator was tuned for it, [S, S, 3]."""
    network = open_network(latent.card())
    state = dict(network.module.state_dict())
    for name, change in latent.tuned.items():
        if name not in state or state[name].shape != change.shape:
            raise Failure("the latent was tuned for another generator")
        state[name] = state[name] + torch.from_numpy(change.astype(np.float32))
    network.module.load_state_dict(state)
    with torch.no_grad():
        code, noise = torch.from_numpy(latent.code)[None], torch.from_numpy(latent.noise)[None]
        return decode(network.picture(code, noise).numpy())[0]
