"""`imgan edit`: attributes of faces in photos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.kept import Kept
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import COMPOSITE, Listing, Operation, Process, Runtime
from imgan.recipes import Evaluation, Recipe, Settings, resolve
from imgan.tables import show
from imgan_edit.attributes import (
    HAIR_COLOURS,
    MOST,
    NAMED,
    OPPOSITES,
    PAINTED,
    changes,
    check,
    parse,
    spoken,
)
from imgan_generate import labelled_generator_of
from imgan_inpaint import FillingSettings
from imgan_invert import encoder_of, style_generator_of

if TYPE_CHECKING:
    from imgan.models.store import Models


class Sheet(StrEnum):
    """What a sheet of one face shows."""

    strength = "strength"
    """The attributes named, ever stronger."""
    attributes = "attributes"
    """Each attribute that the engine knows, added."""


PARSER = "parse"
"""The card, and the operation, of what finds the parts of faces."""

PAINTER = "edit-painter"
"""The card of what paints the skin under things that are taken away."""


class Engine(StrEnum):
    """How a face is edited."""

    regions = "regions"
    """What is known of faces is drawn, at the photo's own size, where a parser says."""
    vector = "vector"
    """Along attribute vectors in the latent space of a DCGAN."""
    icgan = "icgan"
    """Encoded, and generated again with other attributes."""
    stylegan = "stylegan"
    """Along directions of attributes among the styles of a StyleGAN, of one's own or imported."""

    @property
    def model(self) -> str:
        """The name of its card."""
        return PARSER if self is Engine.regions else f"edit-{self}"


class Along(StrEnum):
    """What an edit moves styles along."""

    means = "means"
    """The difference of the mean styles with and without an attribute."""
    normals = "normals"
    """The normal of the plane between them, as far as that difference goes."""


@dataclass(frozen=True)
class EncoderSettings(Settings):
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 5e-4
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the encoder's first layer.")] = 48
    generator: Annotated[str, Option(help="The DCGAN to invert: its run or .onnx file.")] = ""
    latent_weight: Annotated[float, Option(help="Weight of the losses on z.")] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.absolute("generator")


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the first layer.")] = 24


@dataclass(frozen=True)
class OcclusionSettings(Settings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 6000
    lr: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the first layer, a multiple of 8.")] = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.width % 8 == 0, "width", "a multiple of 8")


@dataclass(frozen=True)
class RegionPainterSettings(FillingSettings):
    lr: Annotated[
        float, Option(help="Learning rate; in the second half of the run it falls to 0.")
    ] = 5e-4
    crop: Annotated[int, Option(help="Side of the square that is seen, in pixels.")] = 80
    features: Annotated[float, Option(help="Weight of the distance by the bundled features.")] = 1.0
    ema_decay: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.99


@dataclass(frozen=True, kw_only=True)
class Edit(Operation):
    """Add attributes to the faces in a photo, or take them away.

    imgan edit photo.jpg --add brown-hair,smiling --strength 1.5
    """

    name = "edit"
    source_type = COMPOSITE

    add: Annotated[
        list[str] | None,
        Option(
            metavar="NAMES",
            help="Attributes to add: bangs, or bangs=0.7,smiling: a number multiplies --strength.",
            show_default=False,
        ),
    ] = None
    remove: Annotated[
        list[str] | None,
        Option(metavar="NAMES", help="Attributes to take away, likewise.", show_default=False),
    ] = None
    strength: Annotated[
        float,
        Option(
            min=0, max=MOST, help="1 is what makes the difference in faces at large, 0 is none."
        ),
    ] = 1.0
    auto_strength: Annotated[
        bool,
        Option(
            "--auto-strength",
            help="Try 0.25, 0.5 and on to 3 times --strength, and stop when a classifier sees the "
            "attributes, or before the face moves more than --max-drift (here 0.1 by default).",
        ),
    ] = False
    max_drift: Annotated[
        float | None,
        Option(
            min=0,
            help="Write nothing when the other attributes move more than this (the mean change of "
            "their probabilities, by a classifier) or the identity does (1 is another person, by "
            "deep features).",
            show_default=False,
        ),
    ] = None
    face: Annotated[
        str | None,
        Option(
            metavar="N|X,Y,W,H",
            help="Only the N-th face from the left, or a face boxed by hand, forehead to chin, in "
            "pixels of the upright photo. Default: every face found, but profiles, those that "
            "the edge cuts off or something hides, and those under 48 pixels.",
            show_default=False,
        ),
    ] = None
    aligned: Annotated[
        bool,
        Option(
            "--aligned", help="The whole picture is a face, cut out as CelebA does: do not search."
        ),
    ] = False
    engine: Annotated[
        Engine,
        Option(
            help="How faces are edited: regions draws at the photo's own size; vector and icgan "
            "are networks that see 64 pixels and know 40 attributes and 18; stylegan shows, at 64 "
            "pixels, what directions of a generator do (experimental)."
        ),
    ] = Engine.regions
    keep: Annotated[
        list[str] | None,
        Option(
            metavar="NAMES",
            help="Attributes that an edit of the engine stylegan leaves as they are: "
            "male,eyeglasses.",
            show_default=False,
        ),
    ] = None
    model: Annotated[
        str | None,
        Option(
            help="A network from `imgan models` that edits in place of --engine.",
            show_default=False,
        ),
    ] = None
    hair_color: Annotated[
        str | None,
        Option(
            metavar="#RRGGBB",
            help="Dye the hair in any colour, a mean one of its middle: #7a3b2e.",
            show_default=False,
        ),
    ] = None
    experimental: Annotated[
        bool,
        Option("--experimental", help="Do what --list calls experimental: most results are bad."),
    ] = False
    seed: Annotated[int, Option(min=0, help="What is drawn has a shape per seed.")] = 0
    sheet: Annotated[
        Sheet | None,
        Option(
            help="Write one picture to choose from: the face with what is named at every strength "
            "that --auto-strength tries, or with each attribute of the engine added.",
            show_default=False,
        ),
    ] = None

    @property
    def added(self) -> Mapping[str, float]:
        """What to add, and how much of it. Raises Misuse for what is no attribute."""
        return self._changes[0]

    @property
    def removed(self) -> Mapping[str, float]:
        """What to take away, likewise."""
        return self._changes[1]

    @property
    def _changes(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        return changes(self.add or [], self.remove or [])

    @property
    def kept(self) -> tuple[str, ...]:
        """What is to stay as it is, likewise."""
        return tuple(OPPOSITES.get(slug, slug) for slug in parse(self.keep or []))

    @property
    def draws(self) -> bool:
        """Whether the engine is `regions`."""
        return self.model is None and self.engine is Engine.regions

    @property
    def suffix(self) -> str:
        if self.sheet is not None:
            return f"{self.sheet}-sheet"
        dyed = [] if self.hair_color is None else [f"hair-{self.hair_color.strip('#')}"]
        named = [spoken(slug, True) for slug in self.added]
        named += [spoken(slug, False) for slug in self.removed]
        words = [word if option == "--add" else f"no-{word}" for option, word in named]
        return "-".join([*words, *dyed])

    def check(self) -> None:
        check(self.added, self.removed)
        self._check_kept()
        named = bool(self.added or self.removed or self.hair_color)
        self._check_hair_color()
        if self.sheet is not None and (self.max_drift is not None or self.auto_strength):
            raise Misuse("--sheet only shows: leave --max-drift and --auto-strength out")
        if self.sheet is Sheet.attributes and named:
            raise Misuse("--sheet attributes shows every attribute: leave --add and --remove out")
        if self.sheet is Sheet.strength and not named:
            raise Misuse("--sheet strength: name what it shows with --add or --remove")
        if self.sheet is None and not named:
            raise Misuse(
                "nothing to edit: name an attribute with --add or --remove (--list has them)"
            )
        if self.aligned and self.face is not None:
            raise Misuse("--face and --aligned contradict each other: leave one out")

    def _check_kept(self) -> None:
        moved = [slug for slug in self.kept if slug in {**self.added, **self.removed}]
        if moved:
            raise Misuse(f"--keep {moved[0]} contradicts its edit: leave one out")
        if self.kept and self.draws:
            raise Misuse(f"--keep is for --engine {Engine.stylegan}: {self.engine} draws one thing")

    def _check_hair_color(self) -> None:
        if self.hair_color is None:
            return
        if not re.fullmatch("#[0-9a-fA-F]{6}", self.hair_color):
            raise Misuse(f"--hair-color {self.hair_color}: give a colour such as #7a3b2e")
        if not self.draws:
            raise Misuse(f"--hair-color is drawn by --engine {Engine.regions} alone")
        if self.auto_strength:
            raise Misuse("--auto-strength does not see colours of --hair-color: leave one out")
        named = [slug for slug in (*self.added, *self.removed) if slug in HAIR_COLOURS]
        if named:
            raise Misuse(f"--hair-color and {named[0]} contradict each other: leave one out")

    def cards(self, models: Models) -> list[ModelCard]:
        from imgan_edit import attribute_classifier, occlusion, receipt

        editor = self.editor(models)
        made_by = labelled_generator_of(models, editor), *_style_networks(models, editor)
        used = [editor, *filter(None, made_by)]
        used += [occlusion.card(models), attribute_classifier.card(models)]
        used += filter(None, [self.painter(models)])
        return used + (receipt.cards(models) if self.limited else [])

    @property
    def limited(self) -> bool:
        """Whether what is measured has a say in the result."""
        return self.auto_strength or self.max_drift is not None

    def editor(self, models: Models) -> ModelCard:
        """The card of the network that edits, or finds the parts that are drawn. Raises Misuse when
        there is none of that name."""
        return models.find(self.model or self.engine.model, PARSER if self.draws else "edit")

    def painter(self, models: Models) -> ModelCard | None:
        """The card of the network that paints what is under things that are taken away, if any
        are."""
        if self.draws and PAINTED & {*self.removed}:
            return models.find(PAINTER, "evaluate")
        return None

    def open(self, runtime: Runtime) -> Process:
        from imgan_edit import run, sheet

        if not self.draws:
            card = self.editor(runtime.models)
            kept_of(card).allow(card.name, self.experimental)
        return (run.open_editing if self.sheet is None else sheet.open_sheet)(self, runtime)

    @classmethod
    def values(cls, field: str, traits: Sequence[Mapping[str, object]] = ()) -> Iterable[str]:
        return NAMED if field in ("add", "remove") else ()

    def listing(self, models: Models) -> Listing:
        from imgan_edit.run import list_attributes

        return list_attributes(self, models)


def kept_of(card: ModelCard) -> Kept:
    """How often an eye kept what a network edits, as its card says."""
    return Kept(int(card.number("kept", 0)), int(card.number("judged", 0)))


def _style_networks(models: Models, editor: ModelCard) -> list[ModelCard | None]:
    """Generator and encoder whose styles an editor moves."""
    generator = style_generator_of(models, editor)
    return [generator, encoder_of(models, generator)] if generator else []


def directions(
    model: Annotated[str, Argument(help="A style-based generator of faces, from `imgan models`.")],
    output: Annotated[Path, Option("--output", "-o", metavar="FILE", help="The .onnx to write.")],
    along: Annotated[
        Along, Option(help="Difference of means, or the normal of the plane between.")
    ] = Along.means,
    data: Annotated[
        Path | None,
        Option(
            metavar="CELEBA",
            help="Instead of generated pictures, faces with CelebA's list, by the encoder.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int, Option(min=100, help="Pictures that are generated and classified, or encoded.")
    ] = 4000,
    seed: Annotated[int, Option(min=0, help="Same seed, same directions.")] = 0,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace a file that exists.")] = False,
    device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Find where the styles of a generator of faces move for each attribute.

    imgan directions my-faces -o my-directions.onnx

    Once it is added (`imgan models add my-directions.onnx`), `imgan edit --model my-directions`
    edits.
    """
    if output.suffix.lower() != ".onnx":
        raise Misuse(f"-o {output}: end it with .onnx")
    find = resolve("imgan_edit.style_directions:find")
    show(*find(model, output, data, along, count, seed, overwrite, device))


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(directions)


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Edit]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="edit",
            summary="The encoder of `imgan edit`, and the attribute vectors.",
            entry="imgan_edit.training.encoder:EncoderTask",
            settings=EncoderSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
            ports="imgan_edit.ports:editor",
            operation="edit",
            input="faces aligned as CelebA's, RGB -1..1, 64x64, and 40 changes of attributes",
            paper="Radford, Metz, Chintala 2016, arXiv:1511.06434 (section 6.3.2)",
        ),
        Recipe(
            name="edit-classifier",
            summary="The classifier of `imgan evaluate edit`: 40 attributes of a face.",
            entry="imgan_edit.training.classifier:ClassifierTask",
            settings=ClassifierSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
            ports="imgan_edit.ports:CLASSIFIER",
            operation="evaluate",
            input="faces aligned as CelebA's, RGB -1..1, 64x64",
        ),
        Recipe(
            name="edit-occlusion",
            summary="What finds the things before a face, a hand or a mask, which edits keep off.",
            entry="imgan_edit.training.occlusion:OcclusionTask",
            settings=OcclusionSettings,
            data="Aligned faces as CelebA's, nothing before them; of CelebA, 500 are held out.",
            ports="imgan_edit.ports:CLASSIFIER",
            operation="evaluate",
            input="faces aligned as CelebA's, RGB -1..1, 64x64",
        ),
        Recipe(
            name="region-painter",
            summary="What paints bare skin, fringes and beards into hidden parts of faces.",
            entry="imgan_edit.training.painter:RegionPainterTask",
            settings=RegionPainterSettings,
            data="Faces aligned as CelebA's in images/, CelebAMask-HQ's classes in masks/ under "
            "the same names, and list_attr_celeba.txt.",
            ports="imgan_edit.ports:PAINTER",
            operation="evaluate",
            input="frames of a face, RGB 0..1, holes, and what to paint; sides multiples of 8",
            paper="Demir, Unal 2018, arXiv:1803.07422; Isola et al. 2017, arXiv:1611.07004",
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="edit",
            summary="For each engine and attribute: how often edits are seen, what else they move.",
            entry="imgan_edit.evaluate:evaluate",
        ),
        Evaluation(
            name="edit-classifier",
            summary="How often the classifier of attributes agrees with CelebA's labels.",
            entry="imgan_edit.evaluate:evaluate_classifier",
        ),
        Evaluation(
            name="edit-occlusion",
            summary="What is found of the things before a face, and what is taken for one.",
            entry="imgan_edit.evaluate_occlusion:evaluate",
        ),
    ]
