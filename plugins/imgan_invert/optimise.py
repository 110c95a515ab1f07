"""From a picture to its latent, by gradients.

Image2StyleGAN (Abdal et al. 2019) looks for w+ by a perceptual and a pixel loss; StyleGAN2's
projector (Karras et al. 2020, appendix D) looks for noise, too, and keeps it noise; Pivotal Tuning
(Roich et al. 2022) then fine-tunes the generator around what was found. Pictures are [1, 3, S, S]
in -1..1, noise [1, P].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from imgan.metrics.perceptual import SCALES
from imgan.training import perceptual
from imgan_invert import Inversion
from imgan_invert.network import Network

Report = Callable[[int, float], None]

NOISE_WEIGHT = 1e3
"""Of how alike neighbours in a noise map are."""

TUNE_LR = 5e-4
HISTORY = 10
"""Updates that L-BFGS remembers."""


@dataclass(frozen=True)
class Losses:
    """How far a picture is from a target, where `mask` [1, 1, S, S] is 1."""

    target: Tensor
    weights: Inversion
    mask: Tensor | None = None
    features: perceptual.Features | None = None

    @cached_property
    def _where(self) -> Tensor:
        return torch.ones_like(self.target[:, :1]) if self.mask is None else self.mask

    @cached_property
    def _seen(self) -> dict[str, Tensor]:
        """What the features see in the target."""
        assert self.features is not None
        with torch.no_grad():
            return self.features(self.target * self._where / 2 + 0.5, SCALES)

    def __call__(self, picture: Tensor) -> Tensor:
        """A scalar: mean absolute and squared differences, and the perceptual distance."""
        mask, share = self._where, self._where.mean()
        difference = (picture - self.target) * mask
        loss = self.weights.l1 * difference.abs().mean() / share
        loss = loss + self.weights.l2 * difference.square().mean() / share
        if self.features is not None and self.weights.perceptual:
            seen = self.features(picture * mask / 2 + 0.5, SCALES)
            distance = perceptual.between(seen, self._seen).mean()
            loss = loss + self.weights.perceptual * distance / share
        return loss


@dataclass
class Found:
    """The best so far."""

    loss: float = math.inf
    code: Tensor = field(default_factory=lambda: torch.zeros(0))
    """As it is kept: w+ or z, [1, n, d]."""
    noise: Tensor = field(default_factory=lambda: torch.zeros(1, 0))
    tuned: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    stopped: bool = False
    """Whether Ctrl-C ended it."""


def invert(
    network: Network,
    losses: Losses,
    settings: Inversion,
    start: Tensor | None = None,
    report: Report | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> Found:
    """Look for the code of a picture, from `start`, a w+ [1, L, W] of an encoder, or from where
    `settings.init` says.

    `report` is called with the number of steps and the loss, `watch` with the picture after each
    step. Ctrl-C ends the search, and what was best until then is given.
    """
    found = Found()
    draw = torch.Generator().manual_seed(settings.seed)
    done = 0
    try:
        for restart in range(settings.restarts):
            code, noise = _start(network, settings, start, draw, fresh=restart > 0)
            for full, maps, loss in _search(network, losses, settings, code, noise, watch):
                if loss < found.loss:
                    found.loss, found.code, found.noise = loss, full, maps
                if report:
                    report(done, found.loss)
                done += 1
        if settings.tune:
            _tune(network, losses, settings, found, report, watch)
    except KeyboardInterrupt:
        found.stopped = True
    return found


def _start(
    network: Network,
    settings: Inversion,
    start: Tensor | None,
    draw: torch.Generator,
    fresh: bool,
) -> tuple[Tensor, Tensor]:
    """A code [1, n, d] and noise; a fresh start, after the first, is random."""
    space = settings.space
    with torch.no_grad():
        if start is not None and not fresh:
            code = start.mean(1, keepdim=True) if space == "w" else start
        elif settings.init == "random" or fresh:
            code = network.random(space, draw)
        else:
            code = network.mean(space)
    return code.clone(), torch.randn(1, network.noise, generator=draw).to(code)


def _search(
    network: Network,
    losses: Losses,
    settings: Inversion,
    code: Tensor,
    noise: Tensor,
    watch: Callable[[Tensor], None] | None,
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """The state before each step and after the last, as it is kept, and its loss."""
    first = code.clone()
    code.requires_grad_()
    variables = [code]
    # Noise is made normal again after each step, which L-BFGS would take for a step of its own.
    if settings.noise and network.noise and settings.optimizer == "adam":
        noise.requires_grad_()
        variables.append(noise)
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "lbfgs":
        optimizer = torch.optim.LBFGS(
            variables, max_iter=1, history_size=HISTORY, line_search_fn="strong_wolfe"
        )
    else:
        optimizer = torch.optim.Adam(variables, settings.lr)

    def look() -> tuple[Tensor, Tensor, Tensor]:
        """The picture of the state, its loss, and what is brought down, with its gradients."""
        optimizer.zero_grad()
        picture = network.picture(network.full(settings.space, code), noise)
        loss = objective = losses(picture) + settings.reg * _length(code - first)
        if noise.requires_grad:
            objective = loss + NOISE_WEIGHT * _alike(network, noise)
        objective.backward()
        return picture.detach(), loss.detach(), objective

    for step in range(settings.steps + 1):
        picture, loss, objective = look()
        with torch.no_grad():
            full = network.full(settings.space, code).clone()
        if watch:
            watch(picture)
        yield full, noise.detach().clone(), float(loss)
        if step == settings.steps:
            return
        # The gradients are there already.
        if isinstance(optimizer, torch.optim.LBFGS):
            seen = [objective]
            optimizer.step(lambda seen=seen: seen.pop() if seen else look()[2])
        else:
            optimizer.param_groups[0]["lr"] = _rate(settings, step)
            optimizer.step()
        if noise.requires_grad:
            with torch.no_grad():
                noise.copy_((noise - noise.mean()) / noise.std())


def _length(offset: Tensor) -> Tensor:
    """The L2 norm, with a gradient at 0."""
    return (offset.square().sum() + 1e-12).sqrt()


def _rate(settings: Inversion, step: int) -> float:
    """The learning rate: up in the first 20th, down by a cosine in the last quarter."""
    share = step / settings.steps
    ramp = min(1.0, (1 - share) / 0.25)
    return settings.lr * (0.5 - 0.5 * math.cos(math.pi * ramp)) * min(1.0, (share + 0.01) / 0.05)


def _alike(network: Network, noise: Tensor) -> Tensor:
    """How alike neighbours are in every map and in its halvings down to 8x8: noise that became a
    picture would be no noise (Karras et al. 2020, appendix D)."""
    loss = noise.new_zeros(())
    for flat in noise.split(list(network.maps), 1):
        side = math.isqrt(flat.shape[1])
        image = flat.view(1, 1, side, side)
        while side >= 8:
            for axis in (2, 3):
                loss = loss + (image * image.roll(1, axis)).mean().square()
            image, side = avg_pool2d(image, 2) * 2, side // 2
    return loss / len(network.maps)


def _tune(
    network: Network,
    losses: Losses,
    settings: Inversion,
    found: Found,
    report: Report | None,
    watch: Callable[[Tensor], None] | None,
) -> None:
    """Fine-tune the generator to make the picture of the pivot that was found."""
    module = network.module
    weights = {
        name: parameter
        for name, parameter in module.named_parameters()
        if not name.startswith("mapping.") and not name.endswith("noise_strength")
    }
    before = {name: parameter.detach().clone() for name, parameter in weights.items()}
    for parameter in weights.values():
        parameter.requires_grad_()
    optimizer = torch.optim.Adam(weights.values(), TUNE_LR)
    for step in range(settings.tune + 1):
        picture = network.picture(found.code, found.noise)
        loss = losses(picture)
        if watch:
            watch(picture.detach())
        if float(loss.detach()) < found.loss:
            found.loss = float(loss.detach())
            found.tuned = {
                name: (weights[name].detach() - old).numpy().astype(np.float16)
                for name, old in before.items()
            }
        if report:
            report(settings.steps * settings.restarts + step, found.loss)
        if step < settings.tune:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.requires_grad_(False).copy_(before[name])
