"""`imgan upscale`: super-resolution."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from imgan.cards import ModelCard, read_cards
from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.job import Job, Operation
from imgan.options import unfold
from imgan.recipes import Evaluation, Recipe, Settings

DEFAULT_MODELS = {2: "upscale-x4", 4: "upscale-x4"}
"""The scales that `imgan upscale` knows, and the model for each; x2 is x4 and a downscale."""


@dataclass(frozen=True)
class CompactSettings(Settings):
    rate: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = (
        5e-4
    )
    scale: Annotated[int, Option(help="How much larger the output is: 2, 4 or 8.")] = 4
    width: Annotated[int, Option(help="Channels of the residual blocks.")] = 64
    blocks: Annotated[int, Option(help="Residual blocks; more than --init-from's may be.")] = 8
    crop: Annotated[int, Option(help="Side of the small crop, in pixels.")] = 32
    degrade: Annotated[bool, Option(help="Blur, noise and JPEG in the small crop.")] = False
    squared: Annotated[bool, Option(help="Mean squared error as the loss, not L1.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.scale in (2, 4, 8), "scale", "2, 4 or 8")


@dataclass(frozen=True)
class SRResNetSettings(CompactSettings):
    rate: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = (
        1e-4
    )
    blocks: Annotated[int, Option(help="Residual blocks.")] = 16
    squared: Annotated[bool, Option(help="Mean squared error as the loss, not L1.")] = True


def upscale(
    job: Job,
    model: Annotated[
        str | None,
        Option(
            help="An upscaler from `imgan models`. Default: upscale-x4, for clean photos.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Enlarge pictures 2 or 4 times: `imgan upscale x4 photo.jpg`.

    The first word may be x2 or x4; without it pictures become four times as large. A file that is
    called x4 is written ./x4.
    """
    from imgan import store
    from imgan.batch import run
    from imgan_upscale.run import start

    scale, inputs = parse_scale(job.inputs or [])
    card = store.find(store.installed(), model or DEFAULT_MODELS[scale], "upscale")
    run(
        replace(job, inputs=inputs),
        Operation(
            name="upscale",
            suffix=f"x{scale}",
            settings={"scale": scale},
            models=(card.sha256,),
            start=partial(start, card, scale, job.device),
        ),
    )


def parse_scale(words: list[str]) -> tuple[int, list[str]]:
    """The scale that the first word names, else 4, and the words that are inputs.

    Raises Misuse for a scale that is not there.
    """
    if not words or not re.fullmatch(r"[xX]\d+(\.\d+)?", words[0]):
        return 4, words
    known = {f"x{scale}": scale for scale in DEFAULT_MODELS}
    if words[0].lower() not in known:
        raise Misuse(f"{words[0]}: the scales are {' and '.join(known)} (a file is ./{words[0]})")
    return known[words[0].lower()], words[1:]


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(unfold(upscale, "job", Job))


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
            entry="imgan_upscale.train:CompactTask",
            settings=CompactSettings,
            data=data,
        ),
        Recipe(
            name="srresnet",
            summary="SRResNet as published (Ledig et al. 2017).",
            entry="imgan_upscale.train:SRResNetTask",
            settings=SRResNetSettings,
            data=data,
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="upscale",
            summary="PSNR and SSIM on luma beside bicubic, for pictures that are made small first.",
            entry="imgan_upscale.evaluate:evaluate",
        )
    ]
