"""`imgan invert`, `interpolate`, `scribble` and `mix`: find a latent, move it, generate again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard
from imgan.operations import TRAINED, Operation, Process, Runtime, Takes
from imgan.options import unfold
from imgan.recipes import Evaluation, Recipe, Settings

if TYPE_CHECKING:
    from imgan.models.store import Models

OPERATION = "invert"
"""What the cards of encoders are for."""

GENERATOR = "stylegan-cats"
"""The generator that is used unless another is named."""


class Space(StrEnum):
    """Where a latent is looked for."""

    z = "z"
    w = "w"
    wplus = "w+"


class Init(StrEnum):
    """Where the search begins."""

    encoder = "encoder"
    mean = "mean"
    random = "random"


class Optimizer(StrEnum):
    """What takes the steps."""

    adam = "adam"
    lbfgs = "lbfgs"


@dataclass(frozen=True)
class Inversion:
    """How a picture's latent is found."""

    space: Annotated[
        Space,
        Option(help="Look among z, styles w, or w+, a style for each layer. A DCGAN has z."),
    ] = Space.wplus
    l1: Annotated[float, Option(min=0, help="Weight of the mean absolute difference.")] = 0.0
    l2: Annotated[float, Option(min=0, help="Weight of the mean squared difference.")] = 1.0
    perceptual: Annotated[float, Option(min=0, help="Weight of the perceptual distance.")] = 1.0
    reg: Annotated[float, Option(min=0, help="Weight of the way from the start (L2 norm).")] = 0.002
    optimizer: Annotated[Optimizer, Option(help="What takes the steps.")] = Optimizer.adam
    lr: Annotated[float, Option(min=1e-6, max=10, help="Learning rate of Adam.")] = 0.2
    steps: Annotated[int, Option(min=0, help="Steps; 0 is the encoder's answer.")] = 100
    restarts: Annotated[int, Option(min=1, help="Searches, all but the first from random.")] = 1
    init: Annotated[
        Init | None,
        Option(
            help="Begin at an encoder's answer, the mean, or a random code. Default: an encoder "
            "where there is one for the generator.",
            show_default=False,
        ),
    ] = None
    noise: Annotated[bool, Option(help="Look for noise maps, too.")] = True
    tune: Annotated[
        int, Option(min=0, help="Steps that fine-tune the generator around what was found (PTI).")
    ] = 0
    seed: Annotated[int, Option(min=0, help="Same seed, same latent on the CPU.")] = 0

    def plain(self) -> Inversion:
        """Without the fields of a subclass."""
        return Inversion(**{field.name: getattr(self, field.name) for field in fields(Inversion)})

    def check(self) -> None:
        """Raise Misuse for what contradicts itself."""
        if not self.l1 and not self.l2 and not self.perceptual:
            raise Misuse("--l1, --l2 and --perceptual are all 0: nothing is to be like the photo")
        if self.space == Space.z and self.init == Init.encoder:
            raise Misuse("--init encoder gives styles: add --space w or w+")
        if self.steps == 0 and self.restarts > 1:
            raise Misuse("--restarts needs --steps above 0")


@dataclass(frozen=True)
class EncoderSettings(Settings):
    """An encoder for one generator."""

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 6_000
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    generator: Annotated[str, Option(help="The generator: its .onnx file, or a run.")] = ""
    width: Annotated[int, Option(help="Channels of the first layer.")] = 16
    real_weight: Annotated[float, Option(help="Weight of photos made again.")] = 1.0
    held_out: Annotated[int, Option(help="Pictures not trained on: the last by name.")] = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        self.absolute("generator")


_Output = Annotated[Path, Option("--output", "-o", metavar="FILE", help="The file to write.")]
_Model = Annotated[
    str | None,
    Option(help="A generator from `imgan models`. Default: stylegan-cats.", show_default=False),
]
_Overwrite = Annotated[bool, Option("--overwrite", help="Replace files that exist.")]
_Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")]
_Box = Annotated[
    str | None,
    Option(
        metavar="X,Y,SIZE",
        help="The square of the photo to look at, in pixels. Default: the largest in the middle; "
        "of a generator of faces, the face.",
        show_default=False,
    ),
]


def invert(
    photo: Annotated[Path, Argument(help="The photo.")],
    output: _Output,
    settings: Inversion,
    model: _Model = None,
    box: _Box = None,
    picture: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write photo and result side by side.", show_default=False),
    ] = None,
    study: Annotated[
        bool,
        Option(
            "--study",
            help="A table of spaces and losses: -o is a picture; a .csv beside it. Of several "
            "generators with --model dcgan-cats,stylegan-cats.",
        ),
    ] = False,
    overwrite: _Overwrite = False,
    device: _Device = "auto",
) -> None:
    """Find what a generator makes a photo of.

    imgan invert cat.jpg -o cat.npz --picture compare.png
    """
    from imgan_invert import run

    settings.check()
    if study:
        run.study(photo, output, settings, model, box, overwrite, device)
    else:
        run.invert_photo(photo, output, settings, model, box, picture, overwrite, device)


@dataclass(frozen=True, kw_only=True)
class Interpolate(Inversion, Operation):
    """Go from one photo to the next through the pictures between them, in even steps.

    imgan interpolate a.jpg b.npz -o between.gif

    Photos are inverted first; latents of `imgan invert` are taken as they are. A film ends with
    .gif, .webp or .mp4, a sheet of all frames with .png.
    """

    name = "interpolate"
    source_type = TRAINED
    formats = (".gif", ".webp", ".mp4", ".png")
    takes = Takes.ALL

    frames: Annotated[int, Option(min=3, help="Frames from the first to the last.")] = 24
    fps: Annotated[float, Option(min=1, max=60, help="Frames a second.")] = 12.0
    loop: Annotated[bool, Option(help="Go back to the first, and again.")] = True
    ease: Annotated[bool, Option("--ease", help="Slower at both ends.")] = False
    spherical: Annotated[
        bool, Option("--spherical", help="Along an arc about the mean style, not a line.")
    ] = False
    paste: Annotated[
        bool, Option("--paste", help="Put the pictures into their square of the first photo.")
    ] = False
    model: _Model = None

    def cards(self, models: Models) -> list[ModelCard]:
        return [*_cards(models, self.model), models.find("features", "features")]

    def open(self, runtime: Runtime) -> Process:
        from imgan_invert.motion import open_interpolating

        return open_interpolating(self, runtime)


@dataclass(frozen=True, kw_only=True)
class Mix(Inversion, Operation):
    """Give a picture some of another's styles; of more than two, a sheet of all pairs.

    imgan mix a.npz b.jpg --layers 5-10 -o mixed.png
    """

    name = "mix"
    source_type = TRAINED
    takes = Takes.ALL

    layers: Annotated[
        str,
        Option(
            metavar="FIRST-LAST",
            help="The styles that come from the other picture, counted from 1: the first are "
            "coarse (pose), the last are fine (colour).",
        ),
    ] = "5-10"
    model: _Model = None

    def cards(self, models: Models) -> list[ModelCard]:
        return _cards(models, self.model)

    def open(self, runtime: Runtime) -> Process:
        from imgan_invert.motion import open_mixing

        return open_mixing(self, runtime)


@dataclass(frozen=True, kw_only=True)
class Scribble(Operation):
    """Turn a drawing into a picture such as a generator knows.

    imgan scribble drawing.png -o cat.png

    What is drawn is what is not transparent or, on a plain background, not of its colour.
    """

    name = "scribble"
    source_type = TRAINED

    realism: Annotated[
        float,
        Option(min=0, max=10, help="0 follows the drawing wherever it leads, 3 hardly at all."),
    ] = 1.0
    count: Annotated[int, Option(min=1, help="How many to show, the best first.")] = 1
    seeds: Annotated[int, Option(min=1, help="How many to try, each from another start.")] = 4
    steps: Annotated[int, Option(min=1, help="Steps of each.")] = 100
    seed: Annotated[int, Option(min=0, help="Same seed, same picture on the CPU.")] = 0
    study: Annotated[bool, Option("--study", help="A sheet: --realism 0, 1 and 3, a row each.")] = (
        False
    )
    frames: Annotated[
        Path | None,
        Option(metavar="GIF", help="Write how the best one came about.", show_default=False),
    ] = None
    model: _Model = None

    def check(self) -> None:
        if self.count > self.seeds:
            raise Misuse(f"--count {self.count}: --seeds {self.seeds} are tried")
        if self.frames is not None and self.study:
            raise Misuse("--frames shows how one picture came about: leave --study out")
        if self.frames is not None and self.frames.suffix.lower() != ".gif":
            raise Misuse(f"--frames {self.frames}: end it with .gif")

    def cards(self, models: Models) -> list[ModelCard]:
        return [*_cards(models, self.model), models.find("features", "features")]

    def side_files(self) -> list[Path]:
        return [self.frames] if self.frames else []

    def open(self, runtime: Runtime) -> Process:
        from imgan_invert.drawing import open_scribbling

        return open_scribbling(self, runtime)


def _cards(models: Models, model: str | None) -> list[ModelCard]:
    """A generator, and its encoder where one is installed; none where the latents name it."""
    if model is None and GENERATOR not in {card.name for card in models.cards}:
        return []
    generator = models.find(model or GENERATOR, "generate")
    encoder = encoder_of(models, generator)
    return [generator, encoder] if encoder else [generator]


def encoder_of(models: Models, generator: ModelCard) -> ModelCard | None:
    """The encoder that was trained for a generator, if one is installed."""
    cards = models.serving(OPERATION)
    return next((c for c in cards if c.traits.get("generator") == generator.sha256), None)


def style_generator_of(models: Models, editor: ModelCard) -> ModelCard | None:
    """The generator whose styles an editor of `imgan directions` moves, if it is installed."""
    cards = models.serving("generate")
    return next((c for c in cards if c.sha256 == editor.traits.get("styles_of")), None)


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Interpolate, Mix, Scribble]


@hookimpl
def register_commands(app: typer.Typer) -> None:
    # No operation: Ctrl-C is to end the search and keep what it has found, in the same thread.
    app.command()(unfold(invert, settings=Inversion))


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="stylegan-encoder",
            summary="From a picture to its w+, for one generator of `imgan train stylegan`.",
            entry="imgan_invert.training.encoder:EncoderTask",
            settings=EncoderSettings,
            data="The generator's training pictures (the last --held-out by name are held out).",
            ports="imgan_invert.ports:encoder",
            operation=OPERATION,
            input="RGB -1..1, as large as the generator's pictures",
            paper="Richardson et al. 2021, arXiv:2008.00951; Tov et al. 2021, arXiv:2102.02766",
        )
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="latents",
            summary="What the numbers of a generator's code tell of attributes, and how entangled.",
            entry="imgan_invert.evaluate:evaluate",
            draws=True,
        ),
        Evaluation(
            name="reconstruction",
            summary="How like photos are what a generator makes of the codes of its encoder.",
            entry="imgan_invert.evaluate:evaluate_reconstruction",
        ),
    ]
