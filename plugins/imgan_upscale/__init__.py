"""`imgan upscale`: super-resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from imgan.recipes import Settings


@dataclass(frozen=True)
class CompactSettings(Settings):
    rate: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 5e-4
    scale: Annotated[int, Option(help="How much larger the output is: 2, 4 or 8.")] = 4
    width: Annotated[int, Option(help="Channels of the residual blocks.")] = 64
    blocks: Annotated[int, Option(help="Residual blocks; more than --init-from's may be.")] = 8
    crop: Annotated[int, Option(help="Side of the small crop, in pixels.")] = 32
    degrade: Annotated[bool, Option(help="Blur, noise and JPEG in the small crop.")] = False


@dataclass(frozen=True)
class SRResNetSettings(CompactSettings):
    rate: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 1e-4
    blocks: Annotated[int, Option(help="Residual blocks.")] = 16
