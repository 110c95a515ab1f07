"""The one training loop: batches, steps, samples, checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.recipes import Settings
from imgan.terminal import say
from imgan.training.optim import Optim
from imgan.training.task import Task

CHECKPOINT = "checkpoint.pt"
Report = Callable[[int, dict[str, float]], None]


def fit(
    task: Task[Any], run: Path, *, until: int | None = None, report: Report | None = None
) -> None:
    """Train `task` in the folder `run`, from its checkpoint if it has one.

    `until` stops this call after that step although the run is longer; `report` is called with the
    step and its figures (losses, `images_per_second`) after every step. The first process alone
    writes: checkpoints, sample sheets, and the means of the figures since the last sheet, as a line
    of `log.jsonl` and as scalars of TensorBoard when that is installed.

    Raises Failure when a loss stops being finite; the last good checkpoint stays. Raises Misuse
    when the processes cannot share a batch evenly.
    """
    settings = task.settings
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for network in [*task.networks.values(), *task.averages.values()]:
        network.to(device)
        for tensor in [*network.parameters(), *network.buffers()]:
            tensor.data = _channels_last(tensor.data)
    optim = Optim(settings.precision, device)
    if settings.batch_size % optim.world:
        raise Misuse(
            f"--batch-size {settings.batch_size} cannot be shared by {optim.world} processes"
        )
    checkpoint = run / CHECKPOINT
    first = load(task, checkpoint, optim) if checkpoint.exists() else 0
    last = min(settings.steps, until or settings.steps)
    if first >= last:
        return
    task.prepare(device)
    board = _tensorboard(run) if optim.rank == 0 else None
    recent: list[dict[str, float]] = []

    with ThreadPoolExecutor(1) as loader, _interrupts(optim) as interrupted:
        upcoming = loader.submit(task.batch, first)
        for step in range(first, last):
            started = time.perf_counter()
            batch = upcoming.result()
            if step + 1 < last:
                upcoming = loader.submit(task.batch, step + 1)
            seed_step(settings.seed, step, optim.rank)
            for network in task.networks.values():
                network.train()
            share = tuple(_share(t, optim).to(device) for t in batch)
            try:
                losses = task.step(step, share, optim)
            except Failure as failure:
                raise Failure(_stopped(step + 1, failure, checkpoint)) from None
            for name, averaged in task.averages.items():
                averaged.update_parameters(task.networks[name])

            done = step + 1
            if optim.rank == 0:
                figures = {name: float(loss) for name, loss in losses.items()}
                seconds = time.perf_counter() - started
                figures["images_per_second"] = settings.batch_size / seconds
                recent.append(figures)
                if report:
                    report(done, figures)
                if done % settings.sample_every == 0 or done == last:
                    _save_sample(task, run / "samples" / f"{done:07d}.png")
                    means = {name: fmean(f[name] for f in recent) for name in figures}
                    _log(run, done, means, board)
                    recent.clear()
                due = done % settings.checkpoint_every == 0 or done == last
                if due or interrupted.is_set():
                    save(task, checkpoint, done, optim)
            if interrupted.is_set() and done < last:
                raise KeyboardInterrupt


@contextmanager
def _interrupts(optim: Optim) -> Iterator[Event]:
    """An event that Ctrl-C sets, so that the step at hand is finished and kept; a second Ctrl-C
    ends it at once. Several processes would stop at different steps: they are not asked."""
    interrupted = Event()
    heeded = signal.getsignal(signal.SIGINT)
    if (
        optim.world > 1
        or current_thread() is not main_thread()
        or heeded is not signal.default_int_handler
    ):
        yield interrupted
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, heeded)
        say("stopping after this step …")
        interrupted.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, heeded)


def _stopped(step: int, why: Failure | str, checkpoint: Path) -> str:
    kept = (
        f"{checkpoint} is from before it" if checkpoint.exists() else "there is no checkpoint yet"
    )
    return f"step {step}: {why}; {kept}; try a lower --lr with another --out"


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch for one step of one process: so resuming is exact, and no generator is saved."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))


def cosine(settings: Settings, step: int) -> float:
    """The learning rate at a step: half a cosine from `settings.lr` to zero."""
    return settings.lr * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def linear(settings: Settings, step: int) -> float:
    """The learning rate at a step: constant in the first half, then a line to 0."""
    return settings.lr * min(1.0, 2 * (1 - step / settings.steps))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group: schedules are functions of the step, not objects."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _share(tensor: Tensor, optim: Optim) -> Tensor:
    return _channels_last(tensor[optim.rank :: optim.world])


def _channels_last(tensor: Tensor) -> Tensor:
    """Kernels and batches of pictures or grids in the order that convolutions are fastest in."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=formats.get(tensor.ndim, torch.contiguous_format))


def save(task: Task[Any], path: Path, step: int, optim: Optim) -> None:
    """Write a checkpoint, whole or not at all. Raises Failure if a weight is not finite."""
    networks = {name: network.state_dict() for name, network in task.networks.items()}
    if not all(torch.isfinite(t).all() for state in networks.values() for t in state.values()):
        raise Failure(_stopped(step, "weights are not finite", path))
    state = {
        "step": step,
        "networks": networks,
        "averages": {name: network.state_dict() for name, network in task.averages.items()},
        "optimizers": {name: o.state_dict() for name, o in task.optimizers.items()},
        "scaler": optim.scaler.state_dict(),
    }
    with whole_file(path, overwrite=True) as file:
        torch.save(state, file)


def load(task: Task[Any], path: Path, optim: Optim | None = None) -> int:
    """Bring `task` to the state of a checkpoint and return its step."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, network in task.networks.items():
        network.load_state_dict(state["networks"][name])
    for name, averaged in task.averages.items():
        averaged.load_state_dict(state["averages"][name])
    if optim is not None:
        for name, optimizer in task.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        optim.scaler.load_state_dict(state["scaler"])
    return int(state["step"])


def start_from(task: Task[Any], weights: dict[str, dict[str, Tensor]]) -> list[str]:
    """Start networks from the weights of others (`--init-from`), by parameter name.

    A network may have parameters that the weights lack (a deeper network, grown from a shallow
    one): their names are returned. Raises Misuse when a shape differs, a parameter has no place, or
    there is nothing for any network of the task.
    """
    weights = by_network(task, weights)
    if not any(weights.values()):
        wanted = " or ".join(task.networks)
        raise Misuse(f"--init-from has no weights for {wanted}")
    missing: list[str] = []
    for name, state in weights.items():
        network = task.networks[name]
        try:
            result = network.load_state_dict(state, strict=False)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise Misuse(f"--init-from does not fit the network {name}: {reason}") from None
        if result.unexpected_keys:
            stray = ", ".join(result.unexpected_keys[:3])
            raise Misuse(f"--init-from has parameters that the network {name} lacks: {stray}")
        lacking = {key for key, _ in network.named_parameters()} & set(result.missing_keys)
        missing += [f"{name}.{key}" for key in sorted(lacking)]
        if name in task.averages:
            averaged: nn.Module = task.averages[name].module
            averaged.load_state_dict(network.state_dict())
    return missing


def by_network(
    task: Task[Any], weights: dict[str, dict[str, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """The weights of a task's networks; a file of several together has their names before those of
    the parameters."""
    found = {name: state for name, state in weights.items() if name in task.networks}
    for name in weights.keys() - found.keys():
        for network in task.networks.keys() - found.keys():
            prefix = f"{network}."
            part = {
                k.removeprefix(prefix): w for k, w in weights[name].items() if k.startswith(prefix)
            }
            if part:
                found[network] = part
    return found


def _save_sample(task: Task[Any], path: Path) -> None:
    with torch.no_grad():
        picture = task.sample().nan_to_num().clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (picture.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
    with whole_file(path, overwrite=True) as file:
        Image.fromarray(pixels).save(file, "PNG")


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
