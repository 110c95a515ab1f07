"""`imgan upscale`: super-resolution."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.operations import Operation, Process, Runtime
from imgan.recipes import Evaluation, Recipe, Settings

if TYPE_CHECKING:
    from imgan.models.store import Models

DEFAULT_MODELS = {2: "upscale-x2", 4: "upscale-x4"}
"""The scales that `imgan upscale` knows, and the model for each."""

RESTORING = "upscale-x4-photo"
"""The model of x4 for photos with traces of JPEG, noise or blur; each picture is looked at."""

TILE = 768
"""The side in pixels of what the network sees at once."""

SHARPEST = 0.5
"""The part of the perceptual model at --sharpness 1: beyond it texture turns to dots."""

SHARPNESS = ("upscale-x4", "upscale-x4-sharp")
"""The two models that `--sharpness` goes between: of fidelity and of perception."""


@dataclass(frozen=True)
class UpscaleSettings(Settings):
    """What every recipe for an upscaler has."""

    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 5e-4
    scale: Annotated[int, Option(help="How much larger the output is: 2, 4 or 8.")] = 4
    width: Annotated[int, Option(help="Channels of the residual blocks.")] = 64
    blocks: Annotated[int, Option(help="Residual blocks; more than --init-from's may be.")] = 8
    crop: Annotated[int, Option(help="Side of the small crop, in pixels.")] = 32
    degrade: Annotated[bool, Option(help="Blur, noise and JPEG in the small crop.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.scale in (2, 4, 8), "scale", "2, 4 or 8")


@dataclass(frozen=True)
class CompactSettings(UpscaleSettings):
    """Of the network that ships."""


@dataclass(frozen=True)
class SRResNetSettings(UpscaleSettings):
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-4
    blocks: Annotated[int, Option(help="Residual blocks.")] = 16


@dataclass(frozen=True)
class AdversarialSettings(UpscaleSettings):
    """What the recipes with a discriminator have; the defaults are SRGAN's as published."""

    lr: Annotated[float, Option(help="Learning rate; a tenth of it in the second half.")] = 1e-4
    blocks: Annotated[int, Option(help="Residual blocks.")] = 16
    crop: Annotated[int, Option(help="Side of the small crop, in pixels.")] = 24
    features: Annotated[
        str, Option(help="Deep features of the content loss: bundled, or vgg19.")
    ] = "bundled"
    adversarial: Annotated[float, Option(help="Weight of the adversarial loss.")] = 1e-3
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.adversarial >= 0, "adversarial", "0 or more")
        # Deep features need 16 pixels a side, also of a crop that lost `scale` of them.
        least = 16 // self.scale + 1
        self.require(self.crop >= least, "crop", f"{least} or more at --scale {self.scale}")


@dataclass(frozen=True)
class PerceptualSettings(AdversarialSettings):
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-4
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 2_500
    batch_size: Annotated[int, Option(help="Pictures a step, over all processes.")] = 4
    blocks: Annotated[int, Option(help="Residual blocks; more than --init-from's may be.")] = 8
    adversarial: Annotated[float, Option(help="Weight of the adversarial loss.")] = 0.1
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 32
    l1: Annotated[float, Option(help="Weight of the L1 loss on pixels.")] = 2.0
    grid: Annotated[
        float, Option(help="Weight of the L1 loss on the pixel shuffle's phases, smoothed.")
    ] = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("l1", "grid"):
            self.require(getattr(self, name) >= 0, name, "0 or more")
        # Five blocks are smoothed over, and a shift takes one.
        self.require(self.crop >= 6, "crop", "6 or more")


@dataclass(frozen=True, kw_only=True)
class Upscale(Operation):
    """Enlarge pictures 2 or 4 times: `imgan upscale x4 photo.jpg`.

    The first word may be x2 or x4; without it pictures become four times as large. A file that is
    called x4 is written ./x4.
    """

    name = "upscale"

    scale: Annotated[
        int | None,
        Option("--scale", "-s", help="2 or 4; the same as the word x2 or x4.", show_default=False),
    ] = None
    model: Annotated[
        str | None,
        Option(
            help="An upscaler from `imgan models`. Default: upscale-x2; or upscale-x4, and "
            "upscale-x4-photo for pictures with traces of JPEG, noise or blur.",
            show_default=False,
        ),
    ] = None
    sharpness: Annotated[
        float,
        Option(
            min=0,
            max=1,
            help="0 restores what can be inferred, 1 also makes up texture that looks likely.",
        ),
    ] = 0.0

    @property
    def factor(self) -> int:
        """How many times as large pictures become."""
        return self.scale or 4

    @classmethod
    def values(cls, field: str, traits: Sequence[Mapping[str, object]] = ()) -> Iterable[str]:
        scales = {"inputs": "x{}", "scale": "{}"}
        return [scales[field].format(scale) for scale in DEFAULT_MODELS if field in scales]

    def result_size(self, height: int, width: int) -> tuple[int, int]:
        return height * self.factor, width * self.factor

    @property
    def suffix(self) -> str:
        return f"x{self.factor}"

    @property
    def tile(self) -> int | None:
        return TILE

    def check(self) -> None:
        if self.factor not in DEFAULT_MODELS:
            known = " and ".join(map(str, DEFAULT_MODELS))
            raise Misuse(f"--scale {self.scale}: the scales are {known}")
        choose_models(self.factor, self.model, self.sharpness)

    def cards(self, models: Models) -> list[ModelCard]:
        restoring = [models.find(RESTORING, "upscale")] if self._looks else []
        return [card for card, _ in self._parts(models)] + restoring

    def open(self, runtime: Runtime) -> Process:
        from imgan_upscale.run import Blend, ByDegradation, Upscaler

        parts = [(runtime.session(card), part) for card, part in self._parts(runtime.models)]
        clean = Upscaler(Blend(tuple(parts)), self.factor, runtime.meter)
        if not self._looks:
            return clean
        session = runtime.session(runtime.models.find(RESTORING, "upscale"))
        restoring = Upscaler(session, self.factor, runtime.meter)
        return ByDegradation(clean, restoring, (DEFAULT_MODELS[self.factor], RESTORING))

    @property
    def _looks(self) -> bool:
        """Whether each picture decides which model is for it."""
        return self.factor == 4 and self.model is None and not self.sharpness

    def _parts(self, models: Models) -> list[tuple[ModelCard, float]]:
        chosen = choose_models(self.factor, self.model, self.sharpness)
        return [(models.find(name, "upscale"), part) for name, part in chosen.items()]

    @classmethod
    def take_words(cls, words: list[str]) -> tuple[dict[str, Any], list[str]]:
        scale, words = parse_scale(words)
        return ({} if scale is None else {"scale": scale}), words


def choose_models(scale: int, model: str | None, sharpness: float) -> dict[str, float]:
    """The models to run, and the part of each in the result; the parts add up to 1.

    Raises Misuse when sharpness is asked of a model that has no sharper twin.
    """
    if not sharpness:
        return {model or DEFAULT_MODELS[scale]: 1.0}
    faithful, sharp = SHARPNESS
    if model not in (None, faithful):
        raise Misuse(f"--sharpness goes from {faithful} to {sharp}: leave --model {model} out")
    return {faithful: 1 - SHARPEST * sharpness, sharp: SHARPEST * sharpness}


def parse_scale(words: list[str]) -> tuple[int | None, list[str]]:
    """The scale that the first word names, if it does, and the words that are inputs.

    Raises Misuse for a scale that is not there, and for one that is misspelt or misplaced.
    """
    known = {f"x{scale}": scale for scale in DEFAULT_MODELS}
    for place, word in enumerate(words):
        number = re.fullmatch(r"[xX](\d+(?:\.\d+)?)|(\d+)[xX]?", word)
        if number is None or Path(word).exists():
            continue
        meant = f"x{number[1] or number[2]}"
        if meant not in known:
            raise Misuse(f"{word}: the scales are {' and '.join(known)} (a file is ./{word})")
        if place or word.lower() != meant:
            raise Misuse(f"{word}: did you mean `imgan upscale {meant} ...`? (a file is ./{word})")
        return known[meant], words[1:]
    return None, words


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Upscale]


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    data = "A folder of photos, the larger and cleaner the better."
    return [
        Recipe(
            name="upscale",
            summary="The compact upscaler that ships: residual blocks, one pixel shuffle.",
            entry="imgan_upscale.training.faithful:CompactTask",
            settings=CompactSettings,
            data=data,
            ports="imgan_upscale.ports:UPSCALER",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Lim et al. 2017, arXiv:1707.02921 (blocks); Shi et al. 2016, arXiv:1609.05158",
        ),
        Recipe(
            name="srresnet",
            summary="SRResNet as published (Ledig et al. 2017).",
            entry="imgan_upscale.training.faithful:SRResNetTask",
            settings=SRResNetSettings,
            data=data,
            ports="imgan_upscale.ports:UPSCALER",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Ledig et al. 2017, arXiv:1609.04802",
        ),
        Recipe(
            name="srgan",
            summary="SRGAN as published (Ledig et al. 2017), from a run of srresnet.",
            entry="imgan_upscale.training.adversarial:SRGANTask",
            settings=AdversarialSettings,
            data=data,
            ports="imgan_upscale.ports:UPSCALER",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Ledig et al. 2017, arXiv:1609.04802",
        ),
        Recipe(
            name="upscale-perceptual",
            summary="The compact upscaler with texture, from its --init-from weights.",
            entry="imgan_upscale.training.adversarial:PerceptualTask",
            settings=PerceptualSettings,
            data=data,
            ports="imgan_upscale.ports:UPSCALER",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Wang et al. 2018, arXiv:1809.00219 (losses); Lim et al. 2017, arXiv:1707.02921",
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="upscale",
            summary="PSNR, SSIM and perceptual distance, and bicubic's, for pictures made small.",
            entry="imgan_upscale.evaluate:evaluate",
        )
    ]
