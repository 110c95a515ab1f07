"""What plugins offer beside commands: things to train, to export and to measure. Never imports torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Annotated, Any

from typer import Option

from imgan.errors import Failure


@dataclass(frozen=True)
class Settings:
    """The settings that every recipe has; a recipe adds its own by subclassing.

    Each field is one option of `imgan train NAME`: `sample_every` is `--sample-every`.
    """

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 10_000
    batch: Annotated[int, Option(help="Pictures a step, over all processes.")] = 16
    rate: Annotated[float, Option(help="Learning rate at the start.")] = 2e-4
    average: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.999
    seed: Annotated[int, Option(help="Same seed, same weights (float32, on the CPU).")] = 0
    precision: Annotated[str, Option(help="float32, bfloat16 or float16 (autocast).")] = "float32"
    save_every: Annotated[int, Option(help="Steps between checkpoints.")] = 500
    sample_every: Annotated[int, Option(help="Steps between sample sheets.")] = 500


@dataclass(frozen=True)
class Recipe:
    """One entry of `imgan train`.

    `entry` names an `imgan.training.task.Task` as "package.module:Class", called with the data
    folder and the settings; a string keeps torch out of start-up. `data` says in one sentence what
    `--data` expects.
    """

    name: str
    summary: str
    entry: str
    settings: type[Settings]
    data: str


@dataclass(frozen=True)
class Exporter:
    """Writes the runs of one recipe (`name`) as ONNX; `entry` is "package.module:function"."""

    name: str
    entry: str


@dataclass(frozen=True)
class Evaluation:
    """One entry of `imgan evaluate`: figures of shipped weights on a folder of pictures.

    `entry` names a function (data, model, device) -> (header, rows).
    """

    name: str
    summary: str
    entry: str


def resolve(entry: str) -> Any:
    """The object that "package.module:attribute" names, its imports done now.

    Raises Failure naming the extra to install when a package of the extra `train` is missing.
    """
    module, _, attribute = entry.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as missing:
        if missing.name not in {"torch", "torchvision", "onnx", "onnxscript"}:
            raise
        raise Failure(
            f'this needs {missing.name}, which is not installed: pip install "imgan[train]"'
        ) from None
