"""Weights to start from: another run's, a safetensors file's, or an ONNX file's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.models.store import sha256
from imgan.training.loop import CHECKPOINT, by_network
from imgan.training.task import Task

Weights = dict[str, Tensor]

_SEVERAL = "networks"
"""An empty tensor in a file of several networks, whose names stand before those of parameters."""


def sources(words: str) -> list[tuple[str, Path]]:
    """What `--init-from` names: a path, or `NETWORK=PATH,NETWORK=PATH`, as pairs of a network, ""
    where none is named, and a path."""
    if Path(words).exists():
        return [("", Path(words))]
    parts = (word.rpartition("=") for word in words.split(","))
    return [(network, Path(path)) for network, _, path in parts]


def read_sources(words: str, shipped: str) -> dict[str, Weights]:
    """`read_weights` of all `sources`: of a run only the network that it is named for, if it is.

    Raises what `read_weights` raises.
    """
    weights: dict[str, Weights] = {}
    for network, source in sources(words):
        read = read_weights(source, network or shipped)
        weights |= {network: read.get(network, {})} if network else read
    return weights


def read_weights(source: Path, shipped: str) -> dict[str, Weights]:
    """Parameters and buffers by network, for `loop.start_from`.

    A run gives all its networks, averaged where an average is kept, and so does a file that
    `write_networks` wrote. Another file gives the network `shipped`, or what it holds under that
    name when it holds more. `imgan export` keeps the names.

    Raises Misuse when the source is missing or of no known kind, Failure when it cannot be read.
    """
    if source.is_dir():
        return _of_run(source)
    readers = {".safetensors": _of_safetensors, ".onnx": _of_onnx}
    if source.suffix.lower() not in readers or not source.exists():
        missing = "" if source.exists() else "there is no such file; "
        raise Misuse(f"{source}: {missing}name a run, a .safetensors file or an .onnx file")
    try:
        weights = readers[source.suffix.lower()](source)
    except ModuleNotFoundError as missing:
        raise Failure(f'{source}: pip install "imgan[train]" brings {missing.name}') from None
    except Exception as error:  # what the two libraries raise on damaged files has no common base
        raise Failure(f"{source} cannot be read: {str(error).splitlines()[0]}") from None
    if _SEVERAL in weights:
        del weights[_SEVERAL]
        networks: dict[str, Weights] = {}
        for key, tensor in weights.items():
            network, _, name = key.partition(".")
            networks.setdefault(network, {})[name] = tensor
        return networks
    prefix = f"{shipped}."
    part = {k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)}
    return {shipped: part or weights}


def write_networks(task: Task[Any], target: Path, half: bool, overwrite: bool) -> None:
    """Write every network of a task, averaged where an average is kept, to a safetensors file that
    `--init-from` takes; `half` stores matrices and kernels in half precision.

    Raises Failure when the file cannot be written, or a weight is too large for half precision.
    """
    from safetensors.torch import save

    tensors = {_SEVERAL: torch.zeros(0)}
    for network in task.networks:
        for name, tensor in task.trained(network).state_dict().items():
            key = f"{network}.{name}"
            tensors[key] = tensor.detach().cpu().contiguous()
            if half and tensor.is_floating_point() and tensor.ndim > 1:
                tensors[key] = tensors[key].half()
                if not torch.isfinite(tensors[key]).all():
                    raise Failure(f"{key} has values too large for half precision")
    try:
        with whole_file(target, overwrite) as file:
            file.write(save(tensors))
    except Failure as failure:
        raise Failure(f"{target} {failure}") from None
    except OSError as error:
        raise Failure(f"{target}: {error.strerror or error}") from None


@torch.no_grad()
def blend(task: Task[Any], source: Path, share: float, name: str) -> None:
    """Give a product of a task this share, 0..1, of the weights of another run or file:
    theta = (1 - share) theta + share other. What a network knew before a run and what it learned
    in it, mixed, is often better than either (Wortsman et al. 2022, Robust fine-tuning).

    Raises Misuse for weights of another network, and what `read_weights` raises.
    """
    if name not in task.networks and name != task.shipped:
        raise Misuse(f"--blend: {name} is made of other networks, and has no weights to blend")
    others = by_network(task, read_weights(source, name))
    # A product that is no network of the task is made of those that are averaged.
    for network in [name] if name in task.networks else task.averages:
        theirs = others.get(network, {})
        for key, tensor in task.trained(network).state_dict().items():
            if not tensor.is_floating_point():
                continue
            if key not in theirs or theirs[key].shape != tensor.shape:
                raise Misuse(f"--blend {source}: its weights are not those of {name}")
            tensor.lerp_(theirs[key].to(tensor), share)


def frozen(
    word: str, source: str, recipe: str, name: str, build: Callable[[Weights], nn.Module]
) -> nn.Module:
    """The network `name` of a run of `recipe` or of a file, in evaluation mode, not to be trained.

    `word` is the option that names the source, and `build` makes a network that such weights fit.
    Raises Misuse when there is no source or it is something else, Failure when it cannot be read.
    """
    if not source:
        raise Misuse(f"{word} is missing: name a run of `imgan train {recipe}`, or its .onnx file")
    weights = read_weights(Path(source), name).get(name, {})
    try:
        network = build(weights)
        network.load_state_dict(weights)
    except (LookupError, RuntimeError):
        raise Misuse(f"{word} {source}: name a run of `imgan train {recipe}`") from None
    return network.requires_grad_(False).eval()


def _of_run(run: Path) -> dict[str, Weights]:
    checkpoint = run / CHECKPOINT
    if not checkpoint.exists():
        raise Misuse(f"{run}: there is no {CHECKPOINT} in it")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    networks: dict[str, Weights] = state["networks"]
    for name, averaged in state["averages"].items():
        # AveragedModel keeps a counter beside the module.
        prefix = "module."
        networks[name] = {
            k.removeprefix(prefix): w for k, w in averaged.items() if k.startswith(prefix)
        }
    return networks


def _of_safetensors(file: Path) -> Weights:
    from safetensors.torch import load_file

    weights: Weights = load_file(file)
    return weights


def _of_onnx(file: Path) -> Weights:
    import onnx
    from onnx.numpy_helper import to_array

    found = {tensor.name: to_array(tensor) for tensor in onnx.load(file).graph.initializer}
    for name in [name for name in found if f"{name}.scale" in found]:
        # A kernel of 4 bits (`imgan export --int4`): rows of whole numbers, a scale each.
        rows = found[name].astype(np.float32) * found.pop(f"{name}.scale").astype(np.float32)
        found[name] = rows.reshape(found.pop(f"{name}.shape"))
    return {name: torch.from_numpy(values.copy()) for name, values in found.items()}


def file_trait(trait: str, source: str) -> dict[str, float | str]:
    """A trait that names a file by its SHA-256, for the cards of networks that belong to it; none
    where the source is a run."""
    file = Path(source)
    return {trait: sha256(file)} if file.is_file() else {}
