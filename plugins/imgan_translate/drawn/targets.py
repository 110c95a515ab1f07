"""What photos can be turned into without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imgan.images.tensors import Bytes
from imgan.kept import Kept
from imgan.operations import Meter
from imgan_translate.drawn import painters
from imgan_translate.drawn.pencil import pencil
from imgan_translate.drawn.winter import Winter


@dataclass(frozen=True)
class Target:
    """`draw` takes and gives [H, W, 3] sRGB of any size, and tells a meter how far it is; `about`
    and `kept` are for `--list`."""

    draw: Callable[[Bytes, Meter], Bytes]
    about: str
    kept: Kept
    source: str = "photo"


TARGETS: Mapping[str, Target] = {
    "monet": Target(painters.MONET, "short dabs of mixed colours", Kept(12, 24)),
    "van-gogh": Target(painters.VAN_GOGH, "long swirling strokes of thick paint", Kept(6, 12)),
    "cezanne": Target(painters.CEZANNE, "short parallel strokes, slanted", Kept(6, 12)),
    "sketch": Target(pencil, "lines and hatches in pencil on white paper", Kept(6, 12)),
    "winter": Target(
        Winter(), "landscapes under snow: on the ground and in trees, in a cold light", Kept(2, 17)
    ),
}
"""By the word that `--to` takes."""
