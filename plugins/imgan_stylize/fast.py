"""`imgan stylize --method fast`: one pass through a network, without PyTorch.

The network looks at a small copy of the photo in one go, as `imgan.carry` explains. At full size a
brush stroke of the network, a few dozen pixels long, would be lost among 12 megapixels, too. The
copy gets back the brightness that the photo lost on the way down: fine edges are the photo's own,
everything coarser is painted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgan import store
from imgan.cards import ModelCard
from imgan.carry import Bytes, Floats, keep_color, reduced, with_detail
from imgan.errors import Failure, Misuse
from imgan.images import Picture, from_srgb, to_srgb
from imgan.session import OutOfMemory, Session, open_session
from imgan.tiles import quantise, to_planes

if TYPE_CHECKING:
    from imgan.job import Process

STYLE_SIZE = 512
"""The longest side at which a style is looked at: it sets how large the strokes are."""

LARGEST = 2048
"""The largest `size`: the network takes about 0.4 GiB a megapixel."""

CHANNELS = 480
"""Of the encoder's layers that hold a style, all together."""

STEP = 8
"""Sides that the network takes are multiples of this."""

MARGIN = 24
"""Pixels beyond each border: the encoder pads with zeros, and that would show as a frame."""

SMALLEST = 16
"""The smallest `size`."""


@dataclass(frozen=True)
class Style:
    """Mean and standard deviation of the encoder's channels over a picture, both [1, C, 1, 1]."""

    mean: Floats
    deviation: Floats


def start(
    card: ModelCard,
    styles: Sequence[Bytes],
    weights: Sequence[float],
    strength: float,
    keep_color: bool,
    size: int,
    device: str,
) -> Process:
    """Load the model and look at the styles; returns what stylises one picture.

    `styles` are [H, W, 3] sRGB pictures and `weights` how much of each there is to be, above 0, in
    any unit. `strength` goes from 0 (what the network makes of the photo by itself) to 1. The
    network works at `size` pixels on the longer side, or at the photo's own size if that is
    smaller. `keep_color` takes the photo's colours and the style's brightness.

    Raises Misuse for a size that is out of range, and what `store.path` and `open_session` raise.
    """
    if not SMALLEST <= size <= LARGEST:
        raise Misuse(f"--size {size}: --method fast works at {SMALLEST} to {LARGEST} pixels")
    network = Network(open_session(store.path(card), device))
    style = mix([network.look(style) for style in styles], weights)
    return Stylist(network, style, strength, size, keep_color)


def mix(styles: Sequence[Style], weights: Sequence[float]) -> Style:
    """Several styles as one, a weighted mean (Huang & Belongie 2017, equation 15)."""
    shares = np.asarray(weights, np.float32) / np.float32(sum(weights))
    means = [share * style.mean for share, style in zip(shares, styles, strict=True)]
    deviations = [share * style.deviation for share, style in zip(shares, styles, strict=True)]
    return Style(sum(means[1:], means[0]), sum(deviations[1:], deviations[0]))


class Network:
    """The exported network; every call raises Failure when memory does not suffice."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def look(self, picture: Bytes) -> Style:
        """The style of a picture, seen at no more than STYLE_SIZE."""
        nothing = np.zeros((1, CHANNELS, 1, 1), np.float32)
        outputs = self._run(reduced(picture, STYLE_SIZE), Style(nothing, nothing), 0)
        return Style(outputs["own_mean"], outputs["own_deviation"])

    def paint(self, picture: Bytes, style: Style, strength: float) -> Bytes:
        """The picture, as large as it is, in a style."""
        painted = self._run(picture, style, strength)["stylised"][0]
        height, width = picture.shape[:2]
        result = np.empty_like(picture)
        quantise(painted[:, MARGIN : MARGIN + height, MARGIN : MARGIN + width], result)
        return result

    def _run(self, picture: Bytes, style: Style, strength: float) -> Mapping[str, Floats]:
        inputs = {
            "picture": to_planes(padded(picture))[None],
            "mean": style.mean,
            "deviation": style.deviation,
            "strength": np.full(1, strength, np.float32),
        }
        try:
            return self.session.run_many(inputs)
        except OutOfMemory as error:
            raise Failure(
                f"{error} runs out of memory at {picture.shape[1]}x{picture.shape[0]} pixels: "
                "take a smaller --size"
            ) from error


@dataclass(frozen=True)
class Stylist:
    """Stylises pictures of any size; the fields are those of `start`."""

    network: Network
    style: Style
    strength: float
    size: int
    keep_color: bool

    def __call__(self, picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        photo = to_srgb(picture.pixels, picture.source)
        small = reduced(photo, self.size)
        stylised = with_detail(photo, small, self.network.paint(small, self.style, self.strength))
        if self.keep_color:
            stylised = keep_color(photo, stylised)
        height, width = small.shape[:2]
        facts = {"worked_at": f"{width}x{height}"}
        return picture.with_pixels(from_srgb(stylised, picture.source)), facts


def padded(picture: Bytes) -> Bytes:
    """The picture with its own mirror image as a margin, whose sides are multiples of STEP."""
    margins = [(MARGIN, MARGIN + -side % STEP) for side in picture.shape[:2]]
    return np.pad(picture, [*margins, (0, 0)], "symmetric")
