"""`imgan inpaint`: fill holes in photos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from imgan.hookspecs import hookimpl
from imgan.recipes import Recipe, Settings


@dataclass(frozen=True)
class InpaintSettings(Settings):
    """PG-GAN's; the weights of its three losses are as published (Demir and Unal 2018)."""

    rate: Annotated[
        float, Option(help="Learning rate; in the second half of the run it falls to 0.")
    ] = 2e-4
    crop: Annotated[int, Option(help="Side of a training crop, in pixels.")] = 128
    wide: Annotated[
        float, Option(help="Crops show up to this many times --crop, made smaller.")
    ] = 1.2
    width: Annotated[int, Option(help="Channels of the generator's first layer.")] = 24
    blocks: Annotated[int, Option(help="Dilated residual blocks of the generator.")] = 5
    critic_width: Annotated[int, Option(help="Channels of the discriminator's first layer.")] = 24
    hole: Annotated[float, Option(help="The largest part of a crop that a hole takes.")] = 0.4
    masks: Annotated[
        str,
        Option(
            help="A folder of masks, white in the hole, to train on beside the drawn ones.",
            show_default=False,
        ),
    ] = ""
    l1: Annotated[float, Option(help="Weight of the L1 loss.")] = 0.995
    whole: Annotated[float, Option(help="Weight of the adversarial loss of the whole picture.")] = (
        0.0025
    )
    patch: Annotated[float, Option(help="Weight of the adversarial loss of its patches.")] = 0.0025
    features: Annotated[float, Option(help="Weight of the distance by the bundled features.")] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop >= 32 and self.crop % 16 == 0, "crop", "a multiple of 16 from 32 on")
        self.require(self.wide >= 1, "wide", "1 or more")
        self.require(0.05 <= self.hole <= 0.9, "hole", "0.05 to 0.9")
        for name in ("l1", "whole", "patch", "features"):
            self.require(getattr(self, name) >= 0, name, "0 or more")
        self.absolute("masks")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="pggan",
            summary="PG-GAN: a generator that fills holes, and two discriminators in one.",
            entry="imgan_inpaint.training.pggan:PGGANTask",
            settings=InpaintSettings,
            data="A folder of photos of one kind, with all that is below it.",
        )
    ]
