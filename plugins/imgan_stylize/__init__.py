"""`imgan stylize`, `imgan texture`, `imgan reconstruct`: photos in the style of paintings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from imgan.batch.job import Job
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.options import unfold
from imgan.recipes import Evaluation, Recipe, Settings

OPTIMISATION = "Optimisation"
"""The panel of `--help` for what one method alone understands."""

STYLE_LAYERS = "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1"
"""As published (Gatys et al. 2016, section 3)."""

FAST_MODEL = "stylize"
"""The model of `--method fast`."""

REFINE = 16
"""Steps of `--method fast`: its losses on held-out pairs are then within twice those of gram."""


@dataclass(frozen=True)
class FastSettings(Settings):
    rate: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = (
        1e-3
    )
    batch: Annotated[int, Option(help="Pairs of photo and style a step, over all processes.")] = 8
    styles: Annotated[
        str, Option(help="A folder of paintings. Default: other photos are the styles.")
    ] = ""
    photo_styles: Annotated[
        float, Option(help="Chance that a style is a photo, though there are paintings.")
    ] = 0.2
    recolour: Annotated[float, Option(help="Chance that a style gets other colours.")] = 0.5
    style_weight: Annotated[float, Option(help="The style's loss, in units of the content's.")] = (
        5.0
    )
    identity_weight: Annotated[
        float, Option(help="Weight of L1 between a photo and itself in its own style.")
    ] = 20.0
    rebuild: Annotated[
        float, Option(help="Share of the steps, the first, that only rebuild pictures.")
    ] = 0.05
    crop: Annotated[int, Option(help="Side of a training crop, in pixels.")] = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("photo_styles", "recolour", "rebuild"):
            self.require(0 <= getattr(self, name) <= 1, name, "0 to 1")
        for name in ("style_weight", "identity_weight"):
            self.require(getattr(self, name) >= 0, name, "0 or more")
        self.require(self.crop >= 16, "crop", "16 or more")
        self.absolute("styles")


class Method(StrEnum):
    """How a photo is stylised."""

    fast = "fast"
    """One pass through a network (Huang & Belongie 2017), and a few steps."""
    gram = "gram"
    """The picture itself is optimised (Gatys et al. 2016)."""


class Init(StrEnum):
    """What an optimisation starts from."""

    content = "content"
    noise = "noise"


class Optimizer(StrEnum):
    """How a picture is optimised."""

    lbfgs = "lbfgs"
    adam = "adam"


class Grid(StrEnum):
    """The published tables."""

    layers = "layers"
    """Content layers across, style layers down, for one photo and one style."""
    styles = "styles"
    """Styles across, photos down."""


@dataclass(frozen=True)
class Search:
    """How a picture is optimised."""

    steps: Annotated[
        int,
        Option(
            min=1,
            help="Evaluations of the loss at the coarsest scale; each finer one gets half as many.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = 200
    optimizer: Annotated[
        Optimizer, Option(help="How the loss is lowered.", rich_help_panel=OPTIMISATION)
    ] = Optimizer.lbfgs
    tv: Annotated[
        float,
        Option(
            min=0,
            help="Weight of the total variation: more is smoother.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = 2.0
    seed: Annotated[
        int,
        Option(
            min=0,
            help="Of the noise: same seed, same picture (on the CPU).",
            rich_help_panel=OPTIMISATION,
        ),
    ] = 0
    features: Annotated[
        str,
        Option(
            metavar="NAME",
            help="The network that looks: bundled, or vgg19 (torchvision fetches it once).",
            rich_help_panel=OPTIMISATION,
        ),
    ] = "bundled"


@dataclass(frozen=True)
class Transfer(Search):
    """How a photo is optimised towards a style; what --method gram understands."""

    init: Annotated[Init, Option(help="What to start from.", rich_help_panel=OPTIMISATION)] = (
        Init.content
    )
    content_layer: Annotated[
        str,
        Option(
            metavar="LAYER",
            help="Where the photo is to be matched.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = "conv4_2"
    style_layers: Annotated[
        str,
        Option(
            metavar="LAYERS",
            help="Where the style is to be matched.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = STYLE_LAYERS
    content_weight: Annotated[
        float,
        Option(
            min=0,
            help="Weight of the photo, where the style weighs 1.",
            rich_help_panel=OPTIMISATION,
        ),
    ] = 0.05
    frames: Annotated[
        Path | None,
        Option(
            metavar="GIF",
            help="Write the process as a moving picture too; for one photo.",
            show_default=False,
            rich_help_panel=OPTIMISATION,
        ),
    ] = None


@dataclass(frozen=True)
class Look:
    """What a photo is to look like, by either method."""

    style: Annotated[
        list[str],
        Option("--style", metavar="FILE", help="A picture with the style; may be given again."),
    ]
    style_weight: Annotated[
        list[float] | None,
        Option(
            metavar="WEIGHT",
            help="How much of each style there is, in any unit; give it as often as --style. "
            "Default: all alike.",
            show_default=False,
        ),
    ] = None
    strength: Annotated[
        float, Option(min=0, max=1, help="0 is the photo's own style, 1 all of the new one.")
    ] = 1.0
    keep_color: Annotated[
        bool, Option("--keep-color", help="The photo's colours under the style's brightness.")
    ] = False
    mask: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Where to style: white is styled, grey partly, black stays to the bit. It is "
            "stretched over the photo.",
            show_default=False,
        ),
    ] = None
    size: Annotated[
        int | None,
        Option(
            min=16,
            max=2048,
            help="Longer side at which the work is done; smaller makes larger strokes. The photo "
            "keeps its own size. Default: 768, 1024 with --method gram, 224 for --grid.",
            show_default=False,
        ),
    ] = None
    method: Annotated[
        Method,
        Option(
            help="fast: a network and a few steps; gram: the picture is optimised, which takes "
            'minutes, and needs pip install "imgan\\[train]".'
        ),
    ] = Method.fast
    model: Annotated[
        str | None,
        Option(
            help="A network of --method fast from `imgan models`. Default: stylize.",
            show_default=False,
        ),
    ] = None
    refine: Annotated[
        int,
        Option(
            min=0,
            max=500,
            help="Steps that --method fast takes towards the style after the network. 0: none, "
            "which is quickest.",
        ),
    ] = REFINE
    grid: Annotated[
        Grid | None,
        Option(
            help="Write a table instead. layers: content layers x style layers of --method gram; "
            "styles: all photos x all styles, to -o FILE.",
            show_default=False,
        ),
    ] = None


def stylize(job: Job, look: Look, transfer: Transfer) -> None:
    """Paint photos in the style of other pictures.

    imgan stylize photo.jpg --style painting.jpg

    The options under Optimisation belong to --method gram.
    """
    from imgan_stylize import run

    run.stylize(job, look, transfer)


def texture(
    job: Job,
    search: Search,
    size: Annotated[str, Option(metavar="WxH", help="Size of the texture.")] = "512x512",
    tile: Annotated[
        bool, Option("--tile", help="Opposite borders fit: it can be laid side by side.")
    ] = False,
    stroke: Annotated[
        int,
        Option(
            min=16,
            max=2048,
            help="Longer side at which the painting is seen: how large strokes are.",
        ),
    ] = 512,
    style_layers: Annotated[
        str, Option(metavar="LAYERS", help="Where the style is to be matched.")
    ] = STYLE_LAYERS,
) -> None:
    """Make a texture out of a painting, of any size, from noise.

    imgan texture painting.jpg --size 1024x512 --tile
    """
    from imgan_stylize import run

    run.texture(job, search, size, tile, stroke, style_layers)


def reconstruct(
    job: Job,
    search: Search,
    layer: Annotated[
        str, Option(metavar="LAYER", help="The layer whose activations are all that is known.")
    ] = "conv4_2",
    size: Annotated[
        int | None,
        Option(
            min=16,
            max=2048,
            help="Longer side of what is made, at most. Default: 512, or 224 for --grid.",
            show_default=False,
        ),
    ] = None,
    grid: Annotated[
        bool, Option("--grid", help="Every layer of the network, on one sheet.")
    ] = False,
) -> None:
    """Show what a layer of the network still knows of a photo: it is made anew from noise.

    imgan reconstruct photo.jpg --layer conv3_1
    """
    from imgan_stylize import run

    run.reconstruct(job, search, layer, size, grid)


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(unfold(unfold(unfold(stylize, "transfer", Transfer), "look", Look), "job", Job))
    for command in (texture, reconstruct):
        app.command()(unfold(unfold(command, "search", Search), "job", Job))


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="stylize",
            summary="The decoder of `imgan stylize --method fast`, for any style.",
            entry="imgan_stylize.train:StylizeTask",
            settings=FastSettings,
            data="A folder of photos; --styles names one of paintings.",
        )
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="stylize",
            summary="Style and content losses of --method fast beside those of --method gram.",
            entry="imgan_stylize.evaluate:evaluate",
        )
    ]
