"""The one training loop: batches, steps, samples, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from imgan.errors import Failure, Misuse
from imgan.recipes import Settings
from imgan.training.descent import Descent
from imgan.training.task import Task

CHECKPOINT = "checkpoint.pt"
Report = Callable[[int, dict[str, float]], None]


def fit(
    task: Task[Any], run: Path, *, until: int | None = None, report: Report | None = None
) -> None:
    """Train `task` in the folder `run`, from its checkpoint if it has one.

    `until` stops this call after that step although the run is longer; `report` is called with the
    step and its figures (losses, `images_per_second`) after every step. Checkpoints, samples and
    `log.jsonl` are written by the first process only.

    Raises Failure when a loss stops being finite; the last good checkpoint stays.
    """
    settings = task.settings
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for network in [*task.networks.values(), *task.averages.values()]:
        network.to(device, memory_format=torch.channels_last)
    descent = Descent(settings.precision, device)
    first = load(task, run / CHECKPOINT, descent) if (run / CHECKPOINT).exists() else 0
    last = min(settings.steps, until or settings.steps)
    board = _tensorboard(run) if descent.rank == 0 else None

    with ThreadPoolExecutor(1) as loader:
        upcoming = loader.submit(task.batch, first)
        for step in range(first, last):
            started = time.perf_counter()
            batch = upcoming.result()
            if step + 1 < last:
                upcoming = loader.submit(task.batch, step + 1)
            seed_step(settings.seed, step, descent.rank)
            for network in task.networks.values():
                network.train()
            share = tuple(_share(t, descent).to(device) for t in batch)
            try:
                losses = task.step(step, share, descent)
            except Failure as failure:
                kept = f"the checkpoint before it is {run / CHECKPOINT}"
                raise Failure(
                    f"step {step + 1}: {failure}; {kept}; try a lower --rate"
                ) from None
            for name, averaged in task.averages.items():
                averaged.update_parameters(task.networks[name])

            done = step + 1
            if descent.rank == 0:
                seconds = time.perf_counter() - started
                figures = {name: float(loss) for name, loss in losses.items()}
                figures["images_per_second"] = settings.batch / seconds
                if report:
                    report(done, figures)
                if done % settings.sample_every == 0 or done == last:
                    _save_sample(task, run / "samples" / f"{done:07d}.png")
                    _log(run, done, figures, board)
                if done % settings.save_every == 0 or done == last:
                    save(task, run / CHECKPOINT, done, descent)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch for one step of one process: what makes resuming exact without saved generators."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))


def cosine(settings: Settings, step: int) -> float:
    """The learning rate at a step: half a cosine from `settings.rate` to zero."""
    return settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group: schedules are functions of the step, not objects."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _share(tensor: Tensor, descent: Descent) -> Tensor:
    share = tensor[descent.rank :: descent.world]
    return share.contiguous(memory_format=torch.channels_last) if share.ndim == 4 else share


def save(task: Task[Any], path: Path, step: int, descent: Descent) -> None:
    """Write a checkpoint, whole or not at all. Raises Failure if a weight is not finite."""
    networks = {name: network.state_dict() for name, network in task.networks.items()}
    if not all(torch.isfinite(t).all() for state in networks.values() for t in state.values()):
        raise Failure(f"step {step}: weights are not finite; the last good checkpoint is {path}")
    state = {
        "step": step,
        "networks": networks,
        "averages": {name: network.state_dict() for name, network in task.averages.items()},
        "optimizers": {name: o.state_dict() for name, o in task.optimizers.items()},
        "scaler": descent.scaler.state_dict(),
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(task: Task[Any], path: Path, descent: Descent | None = None) -> int:
    """Bring `task` to the state of a checkpoint and return its step."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, network in task.networks.items():
        network.load_state_dict(state["networks"][name])
    for name, averaged in task.averages.items():
        averaged.load_state_dict(state["averages"][name])
    if descent is not None:
        for name, optimizer in task.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        descent.scaler.load_state_dict(state["scaler"])
    return int(state["step"])


def start_from(task: Task[Any], weights: dict[str, dict[str, Tensor]]) -> list[str]:
    """Start networks from the weights of others (`--init-from`), by parameter name.

    A network may have parameters that the weights lack (a deeper network, grown from a shallow one):
    their names are returned. Raises Misuse when a shape differs or a parameter has no place.
    """
    missing: list[str] = []
    for name, state in weights.items():
        if name not in task.networks:
            continue
        try:
            result = task.networks[name].load_state_dict(state, strict=False)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise Misuse(f"--init-from does not fit the network {name}: {reason}") from None
        if result.unexpected_keys:
            stray = ", ".join(result.unexpected_keys[:3])
            raise Misuse(f"--init-from has parameters that the network {name} lacks: {stray}")
        missing += [f"{name}.{key}" for key in result.missing_keys]
        if name in task.averages:
            averaged: nn.Module = task.averages[name].module
            averaged.load_state_dict(task.networks[name].state_dict())
    return missing


def _save_sample(task: Task[Any], path: Path) -> None:
    with torch.no_grad():
        picture = task.sample().clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (picture.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(path)


def _log(run: Path, step: int, figures: dict[str, float], board: Any) -> None:
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, **figures}) + "\n")
    if board is not None:
        for name, value in figures.items():
            board.add_scalar(name, value, step)


def _tensorboard(run: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run))
