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
from imgan.models.cards import ModelCard
from imgan.operations import Operation, Process, Runtime, Takes
from imgan.options import fields_of, option
from imgan.recipes import resolve
from imgan.references import Reference

if TYPE_CHECKING:
    from imgan.models.store import Models

OPTIMISATION = "Optimisation"
"""The panel of `--help` for what one method alone understands."""

STYLE_LAYERS = "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1"
"""As published (Gatys et al. 2016, section 3)."""


class Method(StrEnum):
    """How a photo is stylised."""

    patches = "patches"
    """The photo is laid out of patches of the painting (Elad & Milanfar 2017)."""
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
            help="patches: pieces of the painting, laid as the photo is; gram: the picture is "
            'optimised, which takes minutes, and needs pip install "imgan[train]".'
        ),
    ] = Method.patches
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
            return
        for field in fields_of(Transfer):
            if getattr(self, field.name) != field.default:
                raise Misuse(f"{field.option} belongs to --method gram: add that, or leave it")
        if self.grid is Grid.layers:
            raise Misuse("--grid layers belongs to --method gram: add that")

    def cards(self, models: Models) -> list[ModelCard]:
        return features(models, self) if self.method is Method.gram else []

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
