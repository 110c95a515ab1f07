"""`imgan translate`: pictures from one domain to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import COMPOSITE, Listing, Operation, Process, Runtime
from imgan.recipes import Evaluation, Recipe, Settings

if TYPE_CHECKING:
    from imgan.models.store import Models

PUBLIC = ("net", "ports")
"""Modules that other plugins may import: generators, to be made of other projects' files."""

STEP = 4
"""Sides that networks for pictures of any size take are multiples of this."""

DRAWN = ("monet", "van-gogh", "cezanne", "sketch", "winter")
"""What is drawn without a network (`imgan_translate.drawn.targets`)."""


class Network(StrEnum):
    """The generator of a pix2pix."""

    unet = "unet"
    """As published: for pictures of one size."""
    resnet = "resnet"
    """CycleGAN's: for pictures of any size."""


class Preprocess(StrEnum):
    """What is made of a picture before a generator sees it; so pairs come of single pictures."""

    edges = "edges"
    """Its edges, dark on white."""
    gray = "gray"
    """Its luminance."""
    paper = "paper"
    """A drawing on white paper, without the borders of its scan."""


@dataclass(frozen=True)
class DomainSettings(Settings):
    """What leads from one domain to another, or tells them apart, names both."""

    source: Annotated[str, Option(help="What the pictures are, such as summer.")] = "a"
    target: Annotated[str, Option(help="What they become, such as winter.")] = "b"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source", "target"):
            word = getattr(self, name)
            self.require(word.isalnum() and word.islower(), name, "a word in small letters")


@dataclass(frozen=True)
class TranslateSettings(DomainSettings):
    """What both recipes have; the defaults are as published, CycleGAN and pix2pix alike."""

    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 1
    lr: Annotated[
        float, Option(help="Learning rate of the first half; in the second it falls to 0.")
    ] = 2e-4
    crop: Annotated[int, Option(help="Side of what the networks see, in pixels.")] = 256
    load: Annotated[
        int | None,
        Option(
            help="Shorter side of what crops are cut from. Default: 286/256 of --crop.",
            show_default=False,
        ),
    ] = None
    width: Annotated[int, Option(help="Channels of the generator's first layer.")] = 64
    blocks: Annotated[int, Option(help="Residual blocks of the generator.")] = 9
    resize: Annotated[
        bool, Option(help="Enlarge by nearest neighbour, not by transposed convolutions.")
    ] = False
    separable: Annotated[bool, Option(help="Depthwise separable residual blocks.")] = False
    residual: Annotated[
        bool, Option(help="The generator makes what is added to the picture, not the picture.")
    ] = False
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminators' first layer.")
    ] = 64
    augment: Annotated[
        bool, Option(help="Differentiable augmentation of what the discriminators see.")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = self.crop >= 32 and self.crop % STEP == 0
        self.require(whole, "crop", f"a multiple of {STEP} from 32 on")
        self.require(self.shorter_side >= self.crop, "load", f"{self.crop} (--crop) or more")

    @property
    def shorter_side(self) -> int:
        """Of the pictures that crops are cut from, in pixels."""
        return round(self.crop * 286 / 256) if self.load is None else self.load

    def weights(self, *names: str) -> None:
        """For `__post_init__`: raise Misuse for a weight below 0."""
        for name in names:
            self.require(getattr(self, name) >= 0, name, "0 or more")


@dataclass(frozen=True)
class CycleGANSettings(TranslateSettings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 240_000
    cycle: Annotated[float, Option(help="Weight of the way there and back.")] = 10.0
    identity: Annotated[
        float, Option(help="Weight of leaving alone what is there already, in parts of --cycle.")
    ] = 0.5
    contrastive: Annotated[
        float, Option(help="Weight of the patches' contrastive loss; --cycle 0 makes it CUT.")
    ] = 0.0
    top_fraction: Annotated[
        float,
        Option(
            help="The part of each domain's pictures to train on: those that the installed "
            "classifier of the two is surest of. 1: all."
        ),
    ] = 1.0
    projected: Annotated[
        bool, Option(help="Discriminators that see the bundled features, in the place of pixels.")
    ] = False
    pool: Annotated[int, Option(help="Earlier results that the discriminators are also shown.")] = (
        50
    )
    robust_classifier: Annotated[
        str,
        Option(
            help="A run of `imgan train translate-classifier --perturbation`, which is to see the "
            "domain in what is made."
        ),
    ] = ""
    guidance: Annotated[float, Option(help="Weight of what the robust classifier sees.")] = 1.0
    palette: Annotated[
        bool,
        Option(
            help="End what is exported with the affine change of colours that brings its results "
            "to the training pictures' palette."
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights("cycle", "identity", "contrastive", "guidance")
        self.require(0 < self.top_fraction <= 1, "top_fraction", "above 0, and 1 at most")
        self.absolute("robust_classifier")


@dataclass(frozen=True)
class Pix2PixSettings(TranslateSettings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 26_400
    generator: Annotated[Network, Option(help="U-Net, or CycleGAN's.")] = Network.unet
    pairs: Annotated[
        Preprocess | None,
        Option(help="Make pairs out of the pictures of any folder.", show_default=False),
    ] = None
    swap: Annotated[
        bool, Option(help="Learn the other way round, from the second picture to the first.")
    ] = False
    faces: Annotated[
        bool, Option(help="Cut out the face in the first picture, and the same of the second.")
    ] = False
    l1: Annotated[float, Option(help="Weight of the L1 loss.")] = 100.0
    adversarial: Annotated[float, Option(help="Weight of the adversarial loss.")] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights("l1", "adversarial")
        if self.generator == Network.unet:
            whole = self.crop & (self.crop - 1) == 0
            self.require(whole, "crop", "a power of 2 for the U-Net")


@dataclass(frozen=True)
class SketchFaceSettings(DomainSettings):
    steps: Annotated[int, Option(help="The first one solves, so more are of no use.")] = 1
    source: Annotated[str, Option(help="What the pictures are.")] = "sketch"
    target: Annotated[str, Option(help="What they become.")] = "face"
    seen: Annotated[int, Option(help="Principal components of a patch of the sketch.")] = 40
    made: Annotated[int, Option(help="Principal components of a patch of the face.")] = 40
    ridge: Annotated[float, Option(help="Ridge, in parts of the mean variance.")] = 0.1
    reach: Annotated[
        float, Option(help="How far places learn from their neighbours: sigma, in places.")
    ] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seen", "made", "ridge", "reach"):
            self.require(getattr(self, name) > 0, name, "above 0")


@dataclass(frozen=True)
class ColorizeSettings(DomainSettings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 10_000
    source: Annotated[str, Option(help="What the pictures are.")] = "gray"
    target: Annotated[str, Option(help="What they become.")] = "colour"
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-3
    crop: Annotated[int, Option(help="Side of what the network sees in training, in pixels.")] = 128
    side: Annotated[int, Option(help="Of the square that the exported network takes.")] = 224
    pretrained: Annotated[
        bool, Option(help="Start the encoder from weights for ImageNet, of a package.")
    ] = False
    rebalance: Annotated[
        float, Option(help="How much rare colours count for more: 0 not at all, 1 all alike.")
    ] = 0.5
    temperature: Annotated[
        float, Option(help="Of the mean of colours: near 0 it is the likeliest, at 1 their mean.")
    ] = 0.38

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("crop", "side"):
            self.require(getattr(self, name) % 32 == 0, name, "a multiple of 32")
        self.require(0 <= self.rebalance <= 1, "rebalance", "0 to 1")
        self.require(self.temperature > 0, "temperature", "above 0")


@dataclass(frozen=True)
class ClassifierSettings(DomainSettings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 1500
    batch_size: Annotated[int, Option(help="Crops a step, over all processes.")] = 32
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-3
    width: Annotated[int, Option(help="Channels of the first layer.")] = 16
    perturbation: Annotated[
        float,
        Option(
            help="Train on adversarial examples of this Euclidean norm, as "
            "--robust-classifier of cyclegan wants it."
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.perturbation >= 0, "perturbation", "0 or more")


@dataclass(frozen=True, kw_only=True)
class Translate(Operation):
    """Turn pictures of one kind into another: `imgan translate photo.jpg --to winter`."""

    name = "translate"
    source_type = COMPOSITE
    values_need_models = True

    to: Annotated[
        str | None,
        Option(metavar="DOMAIN", help="What they become: --list shows it.", show_default=False),
    ] = None
    source: Annotated[
        str | None,
        Option(
            "--from",
            metavar="DOMAIN",
            help="What they are, where several models lead to one domain.",
            show_default=False,
        ),
    ] = None
    model: Annotated[
        str | None, Option(help="A translator from `imgan models`.", show_default=False)
    ] = None
    strength: Annotated[
        float, Option(min=0, max=1, help="0 leaves the photo as it is, 1 translates it.")
    ] = 1.0
    keep_structure: Annotated[
        bool,
        Option(
            "--keep-structure",
            help="Keep the photo's own edges and the detail of its luminance.",
        ),
    ] = False
    size: Annotated[
        int | None,
        Option(
            min=64,
            max=2048,
            help="Longer side at which the network works, in pixels. Default: the model's.",
            show_default=False,
        ),
    ] = None
    experimental: Annotated[
        bool,
        Option("--experimental", help="Do what --list calls experimental: most results are bad."),
    ] = False
    snowfall: Annotated[
        float, Option(min=0, max=1, help="For winter: how dense snow is falling; 0 is none.")
    ] = 0.0
    seed: Annotated[int, Option(min=0, help="For --snowfall: each has its own flakes.")] = 0
    face: Annotated[
        int | None,
        Option(
            min=1,
            help="For models of faces: the N-th from the left. Default: the largest.",
            show_default=False,
        ),
    ] = None

    @property
    def suffix(self) -> str:
        return self.to or str(self.model)

    @property
    def states(self) -> str:
        from imgan_translate.run import drawn

        return "" if drawn(self) else self.source_type

    def check(self) -> None:
        if self.to is None and self.model is None:
            raise Misuse(
                "name what the pictures are to become with --to (--list shows what there is)"
            )
        if self.snowfall and self.to != "winter":
            raise Misuse("--snowfall: it snows with --to winter alone")

    def cards(self, models: Models) -> list[ModelCard]:
        from imgan_translate.run import choose, drawn

        return [] if drawn(self) else [choose(models, self)]

    def open(self, runtime: Runtime) -> Process:
        from imgan_translate.run import open_translating

        return open_translating(self, runtime)

    @classmethod
    def values(cls, field: str, traits: Sequence[Mapping[str, object]] = ()) -> Iterable[str]:
        if field not in ("to", "source"):
            return ()
        end = "to" if field == "to" else "from"
        found = [str(each[end]) for each in traits if end in each]
        return sorted({*found, *(DRAWN if field == "to" else ["photo"])})

    def listing(self, models: Models) -> Listing:
        from imgan_translate.run import list_domains

        return list_domains(models)


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Translate]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="cyclegan",
            summary="CycleGAN: two generators, from and to, out of pictures without pairs.",
            entry="imgan_translate.training.cyclegan:CycleGANTask",
            settings=CycleGANSettings,
            data="A folder with trainA (--source) and trainB (--target).",
            ports="imgan_translate.ports:cyclegan",
            operation="translate",
            input="RGB -1..1, any size",
            paper="Zhu et al. 2017, arXiv:1703.10593",
        ),
        Recipe(
            name="pix2pix",
            summary="pix2pix: one generator, out of pairs.",
            entry="imgan_translate.training.pix2pix:Pix2PixTask",
            settings=Pix2PixSettings,
            data="A folder of two folders with equal names, or of pictures side by side; "
            "with --pairs any folder.",
            ports="imgan_translate.ports:pix2pix",
            operation="translate",
            input="RGB -1..1",
            paper="Isola et al. 2017, arXiv:1611.07004",
        ),
        Recipe(
            name="colorize",
            summary="Colours for grey photos: a classifier of colours, out of pictures.",
            entry="imgan_translate.training.colorize:ColorizeTask",
            settings=ColorizeSettings,
            data="Any folder of pictures in colour.",
            ports="imgan_translate.ports:colorize",
            operation="translate",
            input="RGB -1..1",
            paper="Zhang et al. 2016, arXiv:1603.08511",
        ),
        Recipe(
            name="sketch-face",
            summary="A face out of a sketch, in closed form, out of pairs.",
            entry="imgan_translate.training.sketch_face:SketchFaceTask",
            settings=SketchFaceSettings,
            data="A folder of two folders with equal names, photos before sketches by name.",
            ports="imgan_translate.ports:sketch_face",
            operation="translate",
            input="RGB -1..1",
            paper="Liu et al. 2005, A nonlinear approach for face sketch synthesis",
        ),
        Recipe(
            name="translate-classifier",
            summary="The classifier of `imgan evaluate translate`: of which domain is a picture?",
            entry="imgan_translate.training.classifier:ClassifierTask",
            settings=ClassifierSettings,
            data="A folder with trainA (--source) and trainB (--target).",
            ports="imgan_translate.ports:classifier",
            operation="evaluate",
            input="RGB 0..1, 64 px on the shorter side",
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="translate",
            summary="How near translated pictures come to their target, and what they keep.",
            entry="imgan_translate.evaluate:evaluate",
        ),
        Evaluation(
            name="translate-classifier",
            summary="How often a classifier of domains is right on held-out pictures.",
            entry="imgan_translate.evaluate:evaluate_classifier",
        ),
    ]
