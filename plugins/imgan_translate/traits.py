"""What cards say of translators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from imgan.models.traits import Traits
from imgan_translate import Preprocess


class Upsampling(StrEnum):
    """How what a network made of a small copy comes to the photo's size."""

    guided = "guided"
    """`guided_upsample`: the photo's own pixels, through the change of colours."""
    enlarged = "enlarged"
    """The network's picture, and nothing of the photo's."""
    detail = "detail"
    """`with_detail`: the network's picture enlarged, with the photo's finest detail."""
    suppress_flat_texture = "suppress-flat-texture"
    """The same after `suppress_flat_texture`."""
    chroma = "chroma"
    """The photo's own luminance under the colours of the network's picture."""


class Faces(StrEnum):
    """Which faces a network takes, if it takes faces alone."""

    aligned = "aligned"


class Direction(StrEnum):
    """Which of the data's domains a network starts from."""

    forward = "forward"
    backward = "backward"


@dataclass(frozen=True)
class TranslatorTraits(Traits):
    """Of a network that translates pictures in -1..1 at a working size."""

    renamed: ClassVar = {
        "carry": "upsampling",
        "settled": "suppress-flat-texture",
        "sees": "preprocess",
        "smooth": "flat_variance",
    }

    side: int = 256
    """Longer side at which it works, at most; a network of one size sees all pictures at that."""
    preprocess: Preprocess | None = None
    """What is done to a picture first."""
    upsampling: Upsampling = Upsampling.guided
    border: int = 16
    """Pixels of its own mirror image around a picture, so that no border shows. They count in what
    a network normalises by, so what one needs is not good for all."""
    gain: float = 1
    """What the network changes is multiplied by it."""
    flat_variance: float = 0
    """Texture of a variance below it is taken away in the end (`guided_filter`), unless it is 0."""
    faces: Faces | None = None
    direction: Direction = Direction.forward
