"""`imgan generate`: pictures out of noise."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import TRAINED, Operation, Process, Runtime
from imgan.recipes import Evaluation, Recipe, Settings
from imgan.references import Reference

if TYPE_CHECKING:
    from imgan.models.store import Models

LATENT = 100
"""Numbers of z, of the generators without styles."""

PUBLIC = ("labelled", "net", "ports", "style", "stylegan")
"""Modules that other plugins may import: generators, to be edited and inverted."""

GENERATOR = "generate-dcgan"
"""The card of the shipped generator."""


@dataclass(frozen=True)
class DCGANSettings(Settings):
    """As published; `--width 32 --discriminator-width 32` trains sixteen times as fast."""

    # 7,100 updates of 128 are a hundred passes over 9,000 faces.
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 7_100
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 128
    ema_decay: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.998
    width: Annotated[int, Option(help="Channels of the generator's last hidden layer.")] = 128
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 128
    held_out: Annotated[int, Option(help="Pictures not trained on: the last by name.")] = 500


@dataclass(frozen=True)
class ICGANSettings(DCGANSettings):
    """Small, for a CPU and some thousand faces.

    As published is `--width 64 --discriminator-width 64`.
    """

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 7_100
    lr: Annotated[float, Option(help="Learning rate of the generator.")] = 2e-4
    discriminator_lr: Annotated[float, Option(help="Learning rate of the discriminator.")] = 2e-4
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the generator's last hidden layer.")] = 32
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 32
    editor: Annotated[
        str,
        Option(
            help="Start from the DCGAN and the attribute vectors in an .onnx file of `imgan train "
            "edit`."
        ),
    ] = ""
    head_start: Annotated[
        int,
        Option(
            help="The update from which the generator learns, too: later where it starts ahead."
        ),
    ] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.discriminator_lr > 0, "discriminator_lr", "above 0")
        self.absolute("editor")


@dataclass(frozen=True)
class ICGANEncoderSettings(Settings):
    """Two encoders for one generator."""

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 3_000
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    generator: Annotated[str, Option(help="The generator: its .onnx file, or a run.")] = ""
    width: Annotated[int, Option(help="Channels of the encoders' first layer.")] = 24
    held_out: Annotated[int, Option(help="Pictures not trained on: the last by name.")] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        self.absolute("generator")


@dataclass(frozen=True)
class StyleGANSettings(Settings):
    """For some thousand aligned pictures and a CPU; as published is `--channel-base 32768
    --channel-max 512`."""

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 30_000
    lr: Annotated[float, Option(help="Learning rate of the generator.")] = 1e-2
    discriminator_lr: Annotated[float, Option(help="Learning rate of the discriminator.")] = 4e-4
    size: Annotated[int, Option(help="Pixels a side: a power of 2, 8 or more.")] = 64
    channel_base: Annotated[int, Option(help="Channels of the generator times resolution.")] = 1536
    discriminator_base: Annotated[int, Option(help="The same of the discriminator.")] = 1024
    channel_max: Annotated[int, Option(help="Channels of both, at most.")] = 192
    gamma: Annotated[float, Option(help="Weight of the gradient penalties R1 and R2.")] = 0.5
    penalty_every: Annotated[int, Option(help="Steps from one penalty to the next.")] = 16
    pixel_weight: Annotated[
        float, Option(help="Weight of the discriminator of pixels; 0: there is none.")
    ] = 1.0
    feature_weight: Annotated[
        float, Option(help="Weight of the discriminator of features; 0: there is none.")
    ] = 1.0
    feature_size: Annotated[
        int, Option(help="Pixels a side at which features look: fewer is faster, more is sharper.")
    ] = 32
    reconstruction_weight: Annotated[
        float, Option(help="Weight of the loss of an autoencoder beside; 0: there is none.")
    ] = 0.0
    divergence_weight: Annotated[
        float, Option(help="Weight of a nat by which the autoencoder's z differ from N(0, 1).")
    ] = 2e-3
    augment: Annotated[
        bool, Option(help="Augment what discriminators see: for long runs on few pictures.")
    ] = True
    held_out: Annotated[int, Option(help="Pictures not trained on: the last by name.")] = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        power = self.size >= 8 and self.size & (self.size - 1) == 0
        self.require(power, "size", "a power of 2, 8 or more")
        self.require(self.discriminator_lr > 0, "discriminator_lr", "above 0")
        self.require(self.feature_size >= 16, "feature_size", "16 or more")
        for name in (
            "gamma",
            "pixel_weight",
            "feature_weight",
            "reconstruction_weight",
            "divergence_weight",
        ):
            self.require(getattr(self, name) >= 0, name, "0 or more")
        if self.reconstruction_weight:
            self.require(not self.augment, "augment", "off beside a reconstruction")


@dataclass(frozen=True, kw_only=True)
class Generate(Operation):
    """Sample pictures that nobody took: faces, or what else a generator was trained on.

    imgan generate --grid 8x8 --seed 1 -o faces.png
    """

    name = "generate"
    source_type = TRAINED
    inputs = False

    count: Annotated[int, Option("-n", "--count", min=1, help="How many.")] = 1
    seed: Annotated[
        int | None,
        Option(min=0, help="Same seed, same pixels. Default: a new one, named in the file."),
    ] = None
    truncation: Annotated[
        float | None,
        Option(
            min=0,
            max=2,
            help="How far styles may be from their mean: 0 is the mean picture, 1 all variety. "
            "Default: 0.7, of generators that have styles.",
            show_default=False,
        ),
    ] = None
    grid: Annotated[
        str | None,
        Option(
            metavar="COLUMNS[xROWS]",
            help="So many on one sheet: 4x4. With attributes each row has its own, and each column "
            "one z; the rows are then as many as the attributes make: 6.",
            show_default=False,
        ),
    ] = None
    attributes: Annotated[
        list[str] | None,
        Option(
            metavar="NAMES",
            help="What faces have, of a generator that takes it: blond-hair,smiling. Of a sheet, "
            "what is added row by row, or give the option for each row.",
            show_default=False,
        ),
    ] = None
    swap: Annotated[
        tuple[Reference, Reference] | None,
        Option(
            metavar="PHOTO PHOTO",
            help="Two faces, each again with the attributes of the other.",
            show_default=False,
        ),
    ] = None
    model: Annotated[str, Option(help="A generator from `imgan models`.")] = GENERATOR

    def __post_init__(self) -> None:
        if self.seed is None:
            object.__setattr__(self, "seed", secrets.randbelow(2**32))

    @property
    def cells(self) -> tuple[int, int | None] | None:
        """Columns of the sheet, if there is to be one, and rows, if they are said. Raises
        Misuse."""
        return _cells(self.grid) if self.grid else None

    def check(self) -> None:
        _ = self.cells
        if self.swap and (self.grid or self.attributes or self.count > 1):
            raise Misuse("--swap gives one picture of two faces: leave the rest out")
        if self.attributes and len(self.attributes) > 1 and not self.grid:
            raise Misuse("--attributes several times is for the rows of a sheet: add --grid")

    def results(self) -> list[str]:
        if self.swap:
            return ["faces-swapped"]
        stem = f"{'face' if self.model == GENERATOR else self.model}-{self.seed}"
        if self.grid or self.count == 1:
            return [stem]
        return [f"{stem}-{number}" for number in range(1, self.count + 1)]

    def cards(self, models: Models) -> list[ModelCard]:
        generator = models.find(self.model, self.name)
        return [generator, encoder_of(models, generator)] if self.swap else [generator]

    def open(self, runtime: Runtime) -> Process:
        from imgan_generate.run import open_generating

        return open_generating(self, runtime)


def _cells(grid: str) -> tuple[int, int | None]:
    """Columns and rows of `--grid`. Raises Misuse."""
    found = re.fullmatch(r"([1-9]\d?)(?:x([1-9]\d?))?", grid)
    if found is None:
        raise Misuse(f"--grid {grid}: columns and rows are wanted, as 4x4 or 8x2")
    return int(found[1]), int(found[2]) if found[2] else None


def encoder_of(models: Models, generator: ModelCard) -> ModelCard:
    """The encoder that was trained for a generator. Raises Misuse when none is installed."""
    for card in models.cards:
        if card.traits.get("generator") == generator.sha256:
            return card
    raise Misuse(f"model {generator.name}: no encoder for it is installed")


def labelled_generator_of(models: Models, encoder: ModelCard) -> ModelCard | None:
    """The generator that takes attributes and that an encoder was trained for; None when it is for
    another kind, or that generator is not installed."""
    for card in models.serving(Generate.name):
        if card.sha256 == encoder.traits.get("generator") and attributes_of(card):
            return card
    return None


def attributes_of(generator: ModelCard) -> tuple[str, ...]:
    """What a generator's y are, as they are typed; none where it takes none."""
    return tuple(filter(None, str(generator.traits.get("attributes", "")).split(",")))


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Generate]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="dcgan",
            summary="DCGAN, 64x64 faces out of noise.",
            entry="imgan_generate.training.dcgan:DCGANTask",
            settings=DCGANSettings,
            data="Aligned pictures, as CelebA's (the last --held-out by name are held out).",
            ports="imgan_generate.ports:generator",
            operation="generate",
            input="100 numbers from N(0, 1)",
            paper="Radford, Metz, Chintala 2016, arXiv:1511.06434",
        ),
        Recipe(
            name="icgan",
            summary="IcGAN's generator: faces out of noise and attributes.",
            entry="imgan_generate.training.icgan:ICGANTask",
            settings=ICGANSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
            ports="imgan_generate.ports:labelled_generator",
            operation="generate",
            input="100 numbers from N(0, 1), and 18 attributes, 1 or -1",
            paper="Perarnau et al. 2016, arXiv:1611.06355",
        ),
        Recipe(
            name="icgan-encoder",
            summary="IcGAN's encoders: from a face to the noise and the attributes.",
            entry="imgan_generate.training.icgan:ICGANEncoderTask",
            settings=ICGANEncoderSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
            ports="imgan_generate.ports:encoders",
            operation="edit",
            input="faces aligned as CelebA's, RGB -1..1, 64x64",
            paper="Perarnau et al. 2016, arXiv:1611.06355",
        ),
        Recipe(
            name="stylegan",
            summary="StyleGAN2, small: pictures out of styles, to sample, invert and move.",
            entry="imgan_generate.training.stylegan:StyleGANTask",
            settings=StyleGANSettings,
            data="A folder of aligned square pictures (the last --held-out by name are held out).",
            ports="imgan_generate.ports:style_generator",
            operation="generate",
            input="numbers from N(0, 1) and how far to truncate; or styles, and noise from N(0, 1)",
            paper="Karras et al. 2020, arXiv:1912.04958; Huang et al. 2024, arXiv:2501.05441",
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="generate",
            summary="How near sampled faces are to the last 500 of a folder of aligned faces.",
            entry="imgan_generate.evaluate:evaluate",
        )
    ]
