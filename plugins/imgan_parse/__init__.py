"""`imgan parse`: the parts of the faces in a photo, as masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import Listing, Operation, Process, Runtime
from imgan.recipes import Evaluation, Recipe, Settings

if TYPE_CHECKING:
    from imgan.models.store import Models

PUBLIC = ("parser", "training")
"""Modules that other plugins may import: the parts of a face, and faces with known parts."""

CLASSES = (
    "background",
    "skin",
    "nose",
    "glasses",
    "right_eye",
    "left_eye",
    "right_brow",
    "left_brow",
    "right_ear",
    "left_ear",
    "mouth",
    "upper_lip",
    "lower_lip",
    "hair",
    "hat",
    "earring",
    "necklace",
    "neck",
    "cloth",
)
"""What a pixel may be, in the network's order, which is CelebAMask-HQ's (Lee et al. 2020). Left is
the viewer's left; there it is the person's."""

MIRRORED = tuple(
    CLASSES.index(name.replace("left", "?").replace("right", "left").replace("?", "right"))
    for name in CLASSES
)
"""The class that each becomes in a mirrored picture."""

PARTS = {
    "skin": ("skin", "nose"),
    "nose": ("nose",),
    "glasses": ("glasses",),
    "eyes": ("left_eye", "right_eye"),
    "brows": ("left_brow", "right_brow"),
    "ears": ("left_ear", "right_ear"),
    "mouth": ("mouth",),
    "lips": ("upper_lip", "lower_lip"),
    "hair": ("hair",),
    "hat": ("hat",),
    "earring": ("earring",),
    "necklace": ("necklace",),
    "neck": ("neck",),
    "cloth": ("cloth",),
    "face": (
        *("skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow"),
        *("mouth", "upper_lip", "lower_lip"),
    ),
    "background": ("background",),
}
"""What people call parts, and the classes that each is. `mouth` is what an open one shows: teeth
and tongue. `face` goes from ear to ear and up to the hair."""

MODEL = "parse"
"""The network that is shipped."""

STEP = 32
"""The sides of what the network sees are multiples of this."""


@dataclass(frozen=True, kw_only=True)
class Parse(Operation):
    """Find the parts of the faces in photos: `imgan parse photo.jpg --part hair,skin -o mask.png`.

    The mask is grey, white where a part of any face is, soft along the photo's own edges, and
    serves other commands as their mask. PNG keeps it as it is; JPEG blurs it a little.
    """

    name = "parse"

    part: Annotated[
        str,
        Option(
            metavar="PARTS",
            help="What is white: parts (--list tells them), with commas between.",
            show_default=False,
        ),
    ] = ""
    sheet: Annotated[
        bool, Option("--sheet", help="Show all parts in colour on the photo instead.")
    ] = False
    model: Annotated[str, Option(help="The network that looks, from `imgan models`.")] = MODEL

    @property
    def parts(self) -> tuple[str, ...]:
        """The names given, in their order."""
        names = (name.strip().replace("-", "_") for name in self.part.split(","))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def suffix(self) -> str:
        return "parts" if self.sheet else "-".join(self.parts).replace("_", "-")

    def check(self) -> None:
        if self.sheet and self.part:
            raise Misuse("--sheet shows all parts: leave --part out")
        if not self.sheet and not self.parts:
            raise Misuse("name what is to be white, as --part hair,skin, or give --sheet")
        for name in self.parts:
            if name not in PARTS and name not in CLASSES:
                near = get_close_matches(name, [*PARTS, *CLASSES], n=1)
                hint = f"did you mean {near[0]}?" if near else "--list tells all"
                raise Misuse(f"--part: no part is called {name!r}; {hint}")

    @property
    def classes(self) -> frozenset[str]:
        """The classes that are to be white."""
        return frozenset(each for name in self.parts for each in PARTS.get(name, (name,)))

    def cards(self, models: Models) -> Sequence[ModelCard]:
        return [models.find(self.model, self.name)]

    def open(self, runtime: Runtime) -> Process:
        from imgan_parse.parser import Parser
        from imgan_parse.run import Masks, Sheets

        (card,) = self.cards(runtime.models)
        parser = Parser(runtime.session(card))
        if self.sheet:
            return Sheets(parser, runtime.meter)
        return Masks(parser, self.classes, runtime.meter)

    def listing(self, models: Models) -> Listing:
        """The parts, and the classes that each is."""
        rows = [(name, ", ".join(classes)) for name, classes in PARTS.items()]
        records = [{"part": name, "classes": classes} for name, classes in PARTS.items()]
        return Listing(("part", "classes"), rows, records)


@dataclass(frozen=True)
class ParserSettings(Settings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 3000
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 2e-3
    ema_decay: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.995
    width: Annotated[int, Option(help="Channels of the first layer.")] = 16
    size: Annotated[int, Option(help="Side of the pictures in pixels, a multiple of 32.")] = 128
    more: Annotated[
        str,
        Option(
            help="A folder of more faces: squares that show 0.55 around CelebA's, of its side, and "
            "their classes, 255 where none is known. They are half of what is learned from."
        ),
    ] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.size % STEP == 0, "size", f"a multiple of {STEP}")
        self.absolute("more")


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Parse]


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="face-parser",
            summary="What finds the parts of a face: skin, hair, brows and 16 more.",
            entry="imgan_parse.training.parser:ParserTask",
            settings=ParserSettings,
            data="CelebAMask-HQ's pictures in images/, its classes in masks/ under the same names "
            "(the last 40 faces are held out).",
            ports="imgan_parse.ports:PARSER",
            operation="parse",
            input="faces, RGB -1..1, sides multiples of 32",
            paper="Ronneberger et al. 2015, arXiv:1505.04597; Lee et al. 2020, arXiv:1907.11922",
        )
    ]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="face-parser",
            summary="Intersection over union of the parts of a face with CelebAMask-HQ's.",
            entry="imgan_parse.evaluate:evaluate",
        )
    ]
