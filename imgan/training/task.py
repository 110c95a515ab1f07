"""What a recipe gives the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from imgan.errors import Misuse
from imgan.recipes import Settings

if TYPE_CHECKING:
    from imgan.training.optim import Optim

S = TypeVar("S", bound=Settings)


class Task(ABC, Generic[S]):
    """Networks, their optimisers, the data and one step: everything that `loop.fit` needs.

    A task holds no hidden state: the batch of step k is a function of (seed, k), and the loop seeds
    torch with (seed, k, rank) before each step. So a checkpoint of weights and optimisers is enough
    to resume exactly, and no generator is ever saved.
    """

    shipped: ClassVar[str]
    """What `imgan export` writes: a network, or what `product` makes of several."""

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.averages: dict[str, AveragedModel] = {}

    def average(self, name: str) -> None:
        """Keep an exponential moving average of a network's weights and buffers (EMA).

        After n updates the decay is at most (1 + n) / (10 + n): at the full decay a short run would
        ship its first, random weights.
        """

        def update(averaged: Any, current: Any, count: Any) -> None:
            decay = min(self.settings.ema_decay, (1 + int(count)) / (10 + int(count)))
            get_ema_multi_avg_fn(decay)(averaged, current, count)

        self.averages[name] = AveragedModel(
            self.networks[name], multi_avg_fn=update, use_buffers=True
        )

    def trained(self, name: str) -> nn.Module:
        """The network as it is shipped: its average if one is kept, in evaluation mode."""
        averaged = self.averages.get(name)
        network = self.networks[name] if averaged is None else averaged.module
        return network.eval()

    @property
    def products(self) -> Collection[str]:
        """What a run can be exported as: the networks that are averaged."""
        return self.averages

    def chosen(self, name: str | None) -> str:
        """One of `products`: what ships when `name` is None. Raises Misuse for what is none."""
        if name is not None and name not in self.products:
            known = " or ".join(self.products)
            raise Misuse(f"--network {name}: this run can be exported as {known}")
        return name or self.shipped

    def product(self, name: str | None = None) -> nn.Module:
        """What `imgan export` writes: a network in evaluation mode, on the CPU.

        Raises Misuse as `chosen` does.
        """
        return self.trained(self.chosen(name)).cpu()

    def prepare(self, device: torch.device) -> None:
        """Load what the steps look through, such as features or a teacher, onto the device.

        The loop calls it once, before the first batch: so what is missing is told as such and not
        as a step that failed, nothing here draws a step's random numbers, and an export needs none.
        """

    @abstractmethod
    def batch(self, step: int) -> tuple[Tensor, ...]:
        """The batch of all processes for one step, on the CPU, the same on every call."""

    @abstractmethod
    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        """Update the networks once and return the losses, detached scalars by name."""

    @abstractmethod
    def sample(self) -> Tensor:
        """A picture of the present state: [3, H, W], float in 0..1."""
