"""`imgan stylize`, `imgan texture`, `imgan reconstruct`: photos in the style of paintings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import Operation, Process, Runtime, Takes
from imgan.options import fields_of, option
from imgan.recipes import Evaluation, Recipe, Settings, resolve
from imgan.references import Reference

if TYPE_CHECKING:
    from imgan.models.store import Models

OPTIMISATION = "Optimisation"
"""The panel of `--help` for what one method alone understands."""

STYLE_LAYERS = "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1"
"""As published (Gatys et al. 2016, section 3)."""

FAST_MODEL = "stylize"
"""The model of `--method fast`."""

SLOPE = "stylize-slope"
"""The card of the loss and its gradient."""

REFINE = 16
"""Steps of `--method fast`: its losses on held-out pairs are then within twice those of gram."""


@dataclass(frozen=True)
class FastSettings(Settings):
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-3
    batch_size: Annotated[
        int, Option(help="Pairs of photo and style a step, over all processes.")
    ] = 8
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


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a photo is to look like, by either method."""

    style: Annotated[
        list[Reference],
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
        Reference | None,
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


@dataclass(frozen=True, kw_only=True)
class Stylize(Look, Transfer, Operation):
    """Paint photos in the style of other pictures.

    imgan stylize photo.jpg --style painting.jpg

    The options under Optimisation belong to --method gram.
    """

    name = "stylize"

    @property
    def suffix(self) -> str:
        return "layers" if self.grid is Grid.layers else "stylized"

    @property
    def takes(self) -> Takes:
        return Takes.ALL if self.grid is Grid.styles else Takes.EACH

    @property
    def shares(self) -> list[float]:
        """How much of each style there is; they add up to 1."""
        weights = self.style_weight or [1.0] * len(self.style)
        return [weight / sum(weights) for weight in weights]

    def check(self) -> None:
        weights = self.style_weight or []
        if weights and len(weights) != len(self.style):
            raise Misuse(
                f"--style-weight is given {len(weights)} times, for {len(self.style)} styles: "
                "give one for each, in their order"
            )
        if any(weight <= 0 for weight in weights):
            raise Misuse(
                "--style-weight: weights are above 0; leave a style out that is not wanted"
            )
        self._check_method()
        if self.grid is not None:
            for name in ("mask", "frames"):
                if getattr(self, name) is not None:
                    raise Misuse(f"--grid makes a table: leave {option(name)} out")
        if self.grid is Grid.layers and (
            len(self.style) > 1 or self.keep_color or self.strength != 1
        ):
            raise Misuse("--grid layers shows one --style, at full strength, in its own colours")
        if self.frames is not None and self.frames.suffix.lower() != ".gif":
            raise Misuse(f"--frames {self.frames}: end it with .gif")

    def _check_method(self) -> None:
        if self.method is Method.gram:
            if self.model is not None:
                raise Misuse("--model belongs to --method fast; --method gram has --features")
            if self.refine != REFINE:
                raise Misuse("--refine belongs to --method fast; --method gram has --steps")
            return
        for field in fields_of(Transfer):
            if getattr(self, field.name) != field.default:
                raise Misuse(f"{field.option} belongs to --method gram: add that, or leave it")
        if self.grid is Grid.layers:
            raise Misuse("--grid layers belongs to --method gram: add that")

    def cards(self, models: Models) -> list[ModelCard]:
        if self.method is Method.gram:
            return features(models, self)
        slope = [models.find(SLOPE, self.name)] if self.refine else []
        return [models.find(self.model or FAST_MODEL, self.name), *slope]

    def side_files(self) -> list[Path]:
        return [] if self.frames is None else [self.frames]

    def open(self, runtime: Runtime) -> Process:
        from imgan_stylize.run import open_stylizing

        return open_stylizing(self, runtime)


@dataclass(frozen=True, kw_only=True)
class Texture(Search, Operation):
    """Make a texture out of a painting, of any size, from noise.

    imgan texture painting.jpg --size 1024x512 --tile
    """

    name = "texture"

    size: Annotated[str, Option(metavar="WxH", help="Size of the texture.")] = "512x512"
    tile: Annotated[
        bool, Option("--tile", help="Opposite borders fit: it can be laid side by side.")
    ] = False
    stroke: Annotated[
        int,
        Option(
            min=16,
            max=2048,
            help="Longer side at which the painting is seen: how large strokes are.",
        ),
    ] = 512
    style_layers: Annotated[
        str, Option(metavar="LAYERS", help="Where the style is to be matched.")
    ] = STYLE_LAYERS

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width. Raises Misuse for a size that is none."""
        match = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", self.size)
        if match is None:
            raise Misuse(f"--size {self.size}: give width x height, such as 1024x512")
        return int(match[2]), int(match[1])

    def check(self) -> None:
        _ = self.sides

    def cards(self, models: Models) -> list[ModelCard]:
        return features(models, self)

    def open(self, runtime: Runtime) -> Process:
        # By name, so that a missing torch is a sentence and not a traceback.
        process: Process = resolve("imgan_stylize.optimise:open_texture")(self, runtime)
        return process


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Search, Operation):
    """Show what a layer of the network still knows of a photo: it is made anew from noise.

    imgan reconstruct photo.jpg --layer conv3_1
    """

    name = "reconstruct"

    layer: Annotated[
        str, Option(metavar="LAYER", help="The layer whose activations are all that is known.")
    ] = "conv4_2"
    size: Annotated[
        int | None,
        Option(
            min=16,
            max=2048,
            help="Longer side of what is made, at most. Default: 512, or 224 for --grid.",
            show_default=False,
        ),
    ] = None
    grid: Annotated[bool, Option("--grid", help="Every layer of the network, on one sheet.")] = (
        False
    )

    @property
    def suffix(self) -> str:
        return "layers" if self.grid else self.layer

    def cards(self, models: Models) -> list[ModelCard]:
        return features(models, self)

    def open(self, runtime: Runtime) -> Process:
        process: Process = resolve("imgan_stylize.optimise:open_reconstruction")(self, runtime)
        return process


def features(models: Models, search: Search) -> list[ModelCard]:
    """The card of the bundled network, where that looks. Raises what `Models.find` raises."""
    return [models.find("features", "features")] if search.features == "bundled" else []


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Stylize, Texture, Reconstruct]


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
