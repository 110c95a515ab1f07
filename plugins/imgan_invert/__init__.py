"""`imgan invert`, `interpolate`, `scribble` and `mix`: find a latent, move it, generate again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.options import unfold
from imgan.recipes import Exporter, Recipe, Settings

OPERATION = "invert"
"""What the cards of encoders are for."""


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
    lr: Annotated[float, Option(min=1e-6, help="Learning rate of Adam.")] = 0.05
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
    rate: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    generator: Annotated[str, Option(help="The generator: its .onnx file, or a run.")] = ""
    width: Annotated[int, Option(help="Channels of the first layer.")] = 32
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
        Option("--study", help="A table of spaces and losses: -o is a picture; a .csv beside it."),
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


def interpolate(
    inputs: Annotated[
        list[Path], Argument(metavar="A B [C...]", help="Photos, or latents of `imgan invert`.")
    ],
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A moving picture (.gif, .webp, .mp4), or a sheet (.png, .jpg).",
        ),
    ],
    settings: Inversion,
    frames: Annotated[int, Option(min=3, help="Frames from the first to the last.")] = 24,
    fps: Annotated[float, Option(min=1, max=60, help="Frames a second.")] = 12.0,
    loop: Annotated[bool, Option(help="Go back to the first, and again.")] = True,
    ease: Annotated[bool, Option("--ease", help="Slower at both ends.")] = False,
    spherical: Annotated[
        bool, Option("--spherical", help="Along an arc about the mean style, not a line.")
    ] = False,
    model: _Model = None,
    overwrite: _Overwrite = False,
    device: _Device = "auto",
) -> None:
    """Go from one photo to the next through the pictures between them, in even steps.

    imgan interpolate a.jpg b.jpg -o between.gif
    """
    from imgan_invert.motion import write_film

    settings.check()
    write_film(
        inputs, output, settings, frames, fps, loop, ease, spherical, model, overwrite, device
    )


def mix(
    inputs: Annotated[
        list[Path], Argument(metavar="A B [C...]", help="Photos, or latents of `imgan invert`.")
    ],
    output: _Output,
    settings: Inversion,
    layers: Annotated[
        str,
        Option(
            metavar="FIRST-LAST",
            help="The styles that come from the other picture, counted from 1: the first are "
            "coarse (pose), the last are fine (colour).",
        ),
    ] = "5-10",
    model: _Model = None,
    overwrite: _Overwrite = False,
    device: _Device = "auto",
) -> None:
    """Give a picture some of another's styles; of more than two, a sheet of all pairs.

    imgan mix a.npz b.npz --layers 5-10 -o mixed.png
    """
    from imgan_invert.motion import write_mix

    settings.check()
    write_mix(inputs, output, settings, layers, model, overwrite, device)


def scribble(
    drawing: Annotated[
        Path, Argument(help="A coarse drawing, on a transparent or a plain background.")
    ],
    output: _Output,
    realism: Annotated[
        float,
        Option(min=0, help="0 follows the drawing wherever it leads, 3 hardly at all."),
    ] = 1.0,
    count: Annotated[int, Option(min=1, help="How many to write, the best first.")] = 1,
    seeds: Annotated[int, Option(min=1, help="How many to try, each from another start.")] = 4,
    steps: Annotated[int, Option(min=1, help="Steps of each.")] = 100,
    seed: Annotated[int, Option(min=0, help="Same seed, same picture on the CPU.")] = 0,
    study: Annotated[
        bool, Option("--study", help="A sheet: --realism 0, 1 and 3, a row each.")
    ] = False,
    frames: Annotated[
        Path | None,
        Option(metavar="GIF", help="Write how the best one came about.", show_default=False),
    ] = None,
    model: _Model = None,
    overwrite: _Overwrite = False,
    device: _Device = "auto",
) -> None:
    """Turn a drawing into a picture such as a generator knows.

    imgan scribble drawing.png -o cat.png
    """
    from imgan_invert.drawing import Scribble, write_scribble

    wanted = Scribble(realism, max(seeds, count), steps, seed)
    write_scribble(drawing, output, wanted, count, study, frames, model, overwrite, device)


@hookimpl
def register_commands(app: typer.Typer) -> None:
    for command in (invert, interpolate, mix):
        app.command()(unfold(command, settings=Inversion))
    app.command()(scribble)


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="stylegan-encoder",
            summary="From a picture to its w+, for one generator of `imgan train stylegan`.",
            entry="imgan_invert.training.encoder:EncoderTask",
            settings=EncoderSettings,
            data="The generator's training pictures (the last --held-out by name are held out).",
        )
    ]


@hookimpl
def register_exporters() -> Iterable[Exporter]:
    return [
        Exporter(
            name="stylegan-encoder",
            entry="imgan_invert.training.encoder:export",
            operation=OPERATION,
            input="RGB -1..1, as large as the generator's pictures",
            paper="Richardson et al. 2021, arXiv:2008.00951; Tov et al. 2021, arXiv:2102.02766",
        )
    ]
