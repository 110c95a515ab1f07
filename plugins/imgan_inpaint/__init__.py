"""`imgan inpaint`: fill holes in photos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import COMPOSITE, Operation, Process, Runtime
from imgan.recipes import Evaluation, Importer, Recipe, Settings
from imgan.references import Reference

if TYPE_CHECKING:
    from imgan.models.store import Models

PUBLIC = ("membrane", "synthesis", "training")
"""Modules that other plugins may import: surfaces over holes, patches that fill them, and what
learns to."""

NAME = "inpaint"

FACES, PHOTOS = "inpaint-faces", "inpaint-photos"
"""The models that know what belongs there: where the hole touches a face, and elsewhere."""

PATCHES = "none"
"""What --model is called where the picture's own patches are to do without a network."""

TOLERANCE = 10
"""How far a pixel may be from --color in each channel, where nothing else is said."""

WIDEST = 1000
"""How far --grow and --feather may reach, in pixels."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class FillingSettings(Settings):
    """PG-GAN's; the weights of its three losses are as published (Demir and Unal 2018)."""

    lr: Annotated[
        float, Option(help="Learning rate; in the second half of the run it falls to 0.")
    ] = 2e-4
    crop: Annotated[int, Option(help="Side of a training crop, in pixels.")] = 128
    width: Annotated[int, Option(help="Channels of the generator's first layer.")] = 24
    blocks: Annotated[int, Option(help="Dilated residual blocks of the generator.")] = 5
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 24
    l1: Annotated[float, Option(help="Weight of the L1 loss.")] = 0.995
    whole: Annotated[float, Option(help="Weight of the adversarial loss of the whole picture.")] = (
        0.0025
    )
    patch: Annotated[float, Option(help="Weight of the adversarial loss of its patches.")] = 0.0025
    features: Annotated[float, Option(help="Weight of the distance by the bundled features.")] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop >= 32 and self.crop % 16 == 0, "crop", "a multiple of 16 from 32 on")
        for name in ("l1", "whole", "patch", "features"):
            self.require(getattr(self, name) >= 0, name, "0 or more")


@dataclass(frozen=True)
class InpaintSettings(FillingSettings):
    wide: Annotated[
        float, Option(help="Crops show up to this many times --crop, made smaller.")
    ] = 1.2
    hole: Annotated[float, Option(help="The largest part of a crop that a hole takes.")] = 0.4
    masks: Annotated[
        str,
        Option(
            help="A folder of masks, white in the hole, to train on beside the drawn ones.",
            show_default=False,
        ),
    ] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.wide >= 1, "wide", "1 or more")
        self.require(0.05 <= self.hole <= 0.9, "hole", "0.05 to 0.9")
        self.absolute("masks")


@dataclass(frozen=True, kw_only=True)
class Inpaint(Operation):
    """Fill holes in photos: `imgan inpaint photo.jpg --mask mask.png`.

    The hole is filled with what surrounds it, at full size. What lies beside it stays to the bit.
    """

    name = NAME
    source_type = COMPOSITE

    mask: Annotated[
        Reference | None,
        Option(
            metavar="FILE|DIR|alpha",
            help="White where the hole is. A file for all pictures, or a folder of masks that are "
            "called like the pictures (photo.png or photo_mask.png); alpha: what is transparent.",
            show_default=False,
        ),
    ] = None
    mask_black: Annotated[
        bool, Option("--mask-black", help="The mask is black where the hole is.")
    ] = False
    alpha: Annotated[
        bool,
        Option("--alpha", help="Fill what is transparent: the same as --mask alpha."),
    ] = False
    box: Annotated[
        list[str] | None,
        Option(
            metavar="X,Y,W,H",
            help="A box to fill, in pixels from the upper left corner; may be given again.",
            show_default=False,
        ),
    ] = None
    color: Annotated[
        str | None,
        Option(
            metavar="RRGGBB[:TOLERANCE]",
            help="Fill what has this colour, as ff00ff. Tolerance in 255ths of each channel: 10.",
            show_default=False,
        ),
    ] = None
    grow: Annotated[int, Option(min=0, max=WIDEST, help="Make the hole so many pixels larger.")] = 0
    feather: Annotated[
        int,
        Option(
            min=0,
            max=WIDEST,
            help="Blend the result into so many pixels around the hole, which else stay as they "
            "are.",
        ),
    ] = 0
    model: Annotated[
        str | None,
        Option(
            help=f"A model from `imgan models` that knows what belongs there, or {PATCHES}: only "
            f"the picture's own patches. Default: {FACES} in faces, else {PHOTOS}.",
            show_default=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.mask is not None and self.mask.source == Path("alpha"):
            object.__setattr__(self, "mask", None)
            object.__setattr__(self, "alpha", True)

    @property
    def suffix(self) -> str:
        return "inpainted"

    @property
    def boxes(self) -> list[Box]:
        """x, y, width and height of every --box. Raises Misuse."""
        boxes: list[Box] = []
        for words in self.box or []:
            if not re.fullmatch(r"\d+,\d+,[1-9]\d*,[1-9]\d*", words):
                raise Misuse(f"--box {words}: it is x,y,width,height in pixels, as 10,20,300,40")
            x, y, width, height = map(int, words.split(","))
            boxes.append((x, y, width, height))
        return boxes

    @property
    def colour(self) -> tuple[tuple[int, int, int], int]:
        """Red, green and blue of --color, and its tolerance. Raises Misuse."""
        words = re.fullmatch(r"#?([0-9a-fA-F]{6})(?::(\d+))?", self.color or "")
        if words is None:
            raise Misuse(f"--color {self.color}: it is RRGGBB or RRGGBB:TOLERANCE, as ff00ff:20")
        red, green, blue = bytes.fromhex(words[1])
        return (red, green, blue), TOLERANCE if words[2] is None else int(words[2])

    def check(self) -> None:
        if self.mask is None and not (self.alpha or self.box or self.color):
            raise Misuse("name the hole: --mask, --alpha, --box or --color")
        if self.mask_black and self.mask is None:
            raise Misuse("--mask-black is for --mask FILE")
        if self.color is not None:
            _ = self.colour
        _ = self.boxes

    def cards(self, models: Models) -> Sequence[ModelCard]:
        if self.model == PATCHES:
            return ()
        names = [self.model] if self.model else [FACES, PHOTOS]
        return [models.find(name, NAME) for name in names]

    def open(self, runtime: Runtime) -> Process:
        from imgan_inpaint.run import open_inpainting

        return open_inpainting(self, runtime)


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Inpaint]


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="pggan",
            summary="PG-GAN: a generator that fills holes, and two discriminators in one.",
            entry="imgan_inpaint.training.pggan:PGGANTask",
            settings=InpaintSettings,
            data="A folder of photos of one kind, with all that is below it.",
            ports="imgan_inpaint.ports:INPAINTER",
            operation="inpaint",
            input="RGB 0..1 and a mask, 1 in the hole; sides multiples of 8",
            paper="Demir, Unal 2018, arXiv:1803.07422",
        )
    ]


@hookimpl
def register_importers() -> Iterable[Importer]:
    return [
        Importer(
            name="inpaint",
            reads="networks that take an image and a mask, such as LaMa's and MI-GAN's exports",
            suffixes=(".onnx",),
            entry="imgan_inpaint.foreign:convert",
        )
    ]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="inpaint",
            summary="What is filled into holes of three sizes, beside OpenCV's methods and a mean.",
            entry="imgan_inpaint.evaluate:evaluate",
        )
    ]
