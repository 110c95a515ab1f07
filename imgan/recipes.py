"""What plugins offer beside commands: to train, export, import, measure. Never imports torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from imgan.errors import Failure, Misuse
from imgan.models.cards import NOT_STATED
from imgan.options import option


class Precision(StrEnum):
    """What a network computes in; the two short ones are autocast, weights stay float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


@dataclass(frozen=True)
class Settings:
    """The settings that every recipe has; a recipe adds its own by subclassing.

    Each field is one option of `imgan train NAME`: `sample_every` is `--sample-every`.
    Raises Misuse when a value cannot mean anything, however it was given.
    """

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 10_000
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 16
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 2e-4
    ema_decay: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.999
    seed: Annotated[int, Option(help="Same seed, same weights (float32, on the CPU).")] = 0
    precision: Annotated[Precision, Option(help="Autocast to it.")] = Precision.float32
    checkpoint_every: Annotated[int, Option(help="Steps between checkpoints.")] = 500
    sample_every: Annotated[int, Option(help="Steps between sample sheets.")] = 500

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool):
                least = 0 if field.name == "seed" else 1
                self.require(value >= least, field.name, f"{least} or more")
        self.require(self.lr > 0, "lr", "above 0")
        self.require(0 <= self.ema_decay < 1, "ema_decay", "0 or more, and below 1")
        self.require(self.precision in set(Precision), "precision", " or ".join(Precision))

    def require(self, holds: bool, name: str, wanted: str) -> None:
        """For `__post_init__`: raise Misuse, in the words of the command line, unless `holds`."""
        if not holds:
            raise Misuse(f"{option(name)} {getattr(self, name)}: it must be {wanted}")

    def absolute(self, *names: str, several: bool = False) -> None:
        """For `__post_init__`: make paths absolute, so that a run goes on from any folder.

        `several`: with commas between them.
        """
        for name in names:
            if value := getattr(self, name):
                paths = value.split(",") if several else [value]
                absolute = ",".join(str(Path(path).resolve()) for path in paths)
                object.__setattr__(self, name, absolute)


@dataclass(frozen=True)
class Recipe:
    """One entry of `imgan train`.

    `entry` names an `imgan.training.task.Task` as "package.module:Class", called with the data
    folder and the settings, and `ports` what its network takes and gives (`imgan.training.ports`):
    strings keep torch out of start-up. `data` says in one sentence what `--data` expects. The rest
    stands in the card of every network that is exported.
    """

    name: str
    summary: str
    entry: str
    settings: type[Settings]
    data: str
    ports: str
    operation: str
    """The command that the networks serve."""
    input: str
    """Their range and size."""
    paper: str = NOT_STATED


@dataclass(frozen=True)
class Exporter:
    """Writes trained networks as files of one kind: `imgan export RUN -o FILE`.

    `entry` names, as "package.module:function", what is called with (network, form, target, card,
    half=, overwrite=), an `imgan.training.ports.Form` and an `imgan.models.cards.Description` among
    them; it writes the file and returns what is to be printed about its parity. `pack`, if there is
    one, names what is called with (source, target, overwrite), writes an exported file anew with
    large kernels in 4 bits, and returns by how much its outputs then differ (`--int4`).
    """

    name: str
    suffix: str
    """Of the files, such as ".onnx"."""
    entry: str
    pack: str = ""


@dataclass(frozen=True)
class Importer:
    """Makes ONNX of files that other programs wrote, for `imgan models add`.

    `entry` names a function (file, target) that writes `target`, with a card in it, and returns
    what is to be printed about its parity. It raises `imgan.errors.UnsupportedFile` for a file that
    is not its affair, and another importer of that suffix is asked; Failure for one that cannot be
    used.
    """

    name: str
    reads: str
    """What it reads, such as "generators of CycleGAN"."""
    suffixes: tuple[str, ...]
    """Of the files, in small letters, such as ".pth"."""
    entry: str


@dataclass(frozen=True)
class Evaluation:
    """One entry of `imgan evaluate`: figures of shipped weights on a folder of pictures.

    `entry` names a function (data, model, device) -> (header, rows), all of them text. `model` is
    the name of a card, or None for the model that the operation uses by default. One that `draws`
    gives a picture, too, for `--picture`: (header, rows, pixels [H, W, 3]).
    """

    name: str
    summary: str
    entry: str
    draws: bool = False


def resolve(entry: str) -> Any:
    """The object that "package.module:attribute" names, its imports done now.

    Raises Failure naming the extra to install when a package of one is missing.
    """
    module, _, attribute = entry.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRAS:
            raise
        extra = _EXTRAS[missing.name]
        raise Failure(
            f'this needs {missing.name}, which is not installed: pip install "imgan[{extra}]"'
        ) from None


_TRAIN = ("torch", "torchvision", "onnx", "onnxscript", "safetensors", "sklearn")
_SHAPES = ("scipy", "skimage", "trimesh")
_EXTRAS: dict[str | None, str] = {
    **dict.fromkeys(_TRAIN, "train"),
    **dict.fromkeys(_SHAPES, "shapes"),
    "spandrel": "import",
}
"""The extra that brings a package."""
