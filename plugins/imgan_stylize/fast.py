"""`imgan stylize --method fast`: a pass through a network and some steps down, without PyTorch.

The network looks at a small copy of the photo in one go, as `imgan.images.upsampling` explains. At
full size a brush stroke of the network, a few dozen pixels long, would be lost among 12
megapixels, too. The copy gets back the brightness that the photo lost on the way down: fine
edges are the photo's own, everything coarser is painted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from imgan.errors import Failure, Misuse
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.tensors import Bytes, Floats, quantise, to_planes
from imgan.images.upsampling import guided_upsample, keep_color, reduced, with_detail
from imgan.models.sessions import OutOfMemory, Session
from imgan.operations import Meter, Result, Runtime
from imgan_stylize import STYLE_LAYERS, Stylize
from imgan_stylize.descent import descend

STYLE_SIZE = 512
"""The longest side at which a style is looked at: it sets how large the strokes are."""

LARGEST = 2048
"""The largest `size`: the networks take about 2.3 GiB a megapixel."""

CHANNELS = 480
"""Of the encoder's layers that hold a style, all together."""

STEP = 16
"""Sides that the networks take are multiples of this."""

GRAMS = dict(zip(STYLE_LAYERS.split(","), (32, 64, 128, 256, 256), strict=True))
"""The layers whose Gram matrices are compared, and the channels."""

CONTENT, CONTENT_CHANNELS = 8, 256
"""How many times smaller than a picture its content is, and the channels."""

MARGIN = 24
"""Pixels beyond each border: the encoder pads with zeros, and that would show as a frame."""

SMALLEST = 16
"""The smallest `size`."""


class Style(NamedTuple):
    """What a picture looks like to the networks."""

    mean: Floats
    deviation: Floats
    """Of the encoder's channels, both [1, C, 1, 1]."""
    grams: Sequence[Floats]
    """Gram matrices [1, C, C] of the layers that are compared; none where nothing is refined."""


def open_fast(operation: Stylize, runtime: Runtime, size: int) -> Stylist:
    """Load the networks and look at the styles; returns what stylises one picture.

    The network works at `size` pixels on the longer side, or at the photo's own size if that is
    smaller, and `--refine` steps lead from there down the loss of `--method gram`.

    Raises Misuse for a size that is out of range or another kind of model, and what
    `Runtime.session` raises.
    """
    if not SMALLEST <= size <= LARGEST:
        raise Misuse(f"--size {size}: --method fast works at {SMALLEST} to {LARGEST} pixels")
    card, *slope = operation.cards(runtime.models)
    painter = runtime.session(card)
    if "stylised" not in painter.shapes:
        raise Misuse(f"--model {card.name} does not stylise by itself: leave it out")
    network = Network(painter, runtime.session(slope[0]) if slope else None)
    style = mix([network.look(style.pixels) for style in operation.style], operation.shares)
    return Stylist(
        network,
        style,
        operation.strength,
        size,
        operation.refine,
        operation.keep_color,
        runtime.meter,
    )


def mix(styles: Sequence[Style], weights: Sequence[float]) -> Style:
    """Several styles as one, a weighted mean (Huang & Belongie 2017, equation 15)."""
    shares = np.asarray(weights, np.float32) / np.float32(sum(weights))

    def mean(parts: Sequence[Floats]) -> Floats:
        return np.asarray(np.tensordot(shares, np.stack(parts), 1))

    means, deviations, grams = zip(*styles, strict=True)
    return Style(mean(means), mean(deviations), [mean(g) for g in zip(*grams, strict=True)])


class Network:
    """The exported networks, the second for those who refine; every call raises Failure when
    memory does not suffice."""

    def __init__(self, painter: Session, slope: Session | None) -> None:
        self.painter = painter
        self.slope = slope

    def look(self, picture: Bytes) -> Style:
        """The style of a picture, seen at no more than STYLE_SIZE."""
        planes = to_planes(padded(reduced(picture, STYLE_SIZE)))[None]
        nothing = np.zeros((1, CHANNELS, 1, 1), np.float32)
        seen = self._paint(planes, nothing, nothing, 0)
        grams = self._look(self.slope, planes)[1] if self.slope else []
        return Style(seen["own_mean"], seen["own_deviation"], grams)

    def paint(
        self, picture: Bytes, style: Style, strength: float, refine: int, meter: Meter
    ) -> Bytes:
        """The picture, as large as it is, in a style."""
        photo = padded(picture)
        planes = to_planes(photo)[None]
        painted = self._paint(planes, style.mean, style.deviation, strength)["stylised"]
        if slope := self.slope:
            # On even places the network hatches, and the steps would not take that away. They make
            # strokes themselves: all they need of the network is its colours.
            coloured = to_planes(guided_upsample(photo, photo, _pixels(painted)))[None]
            content, own = self._look(slope, planes)
            pairs = zip(own, style.grams, strict=True)
            grams = [(1 - strength) * mine + strength * theirs for mine, theirs in pairs]

            def down(planes: Floats) -> tuple[float, Floats]:
                seen = self._compare(slope, planes, content, grams)
                return float(seen["loss"][0]), seen["gradient"]

            painted = descend(coloured, down, refine, lambda taken: meter(taken / refine))
        height, width = picture.shape[:2]
        return _pixels(painted)[MARGIN : MARGIN + height, MARGIN : MARGIN + width]

    def _look(self, slope: Session, planes: Floats) -> tuple[Floats, list[Floats]]:
        """Content and Gram matrices of a picture, compared with nothing."""
        height, width = (side // CONTENT for side in planes.shape[2:])
        nothing = np.zeros((1, CONTENT_CHANNELS, height, width), np.float32)
        grams = [np.zeros((1, c, c), np.float32) for c in GRAMS.values()]
        seen = self._compare(slope, planes, nothing, grams)
        return seen["own_content"], [seen[f"own_{name}"] for name in GRAMS]

    def _compare(
        self, slope: Session, planes: Floats, content: Floats, grams: Sequence[Floats]
    ) -> Mapping[str, Floats]:
        wanted = dict(zip(GRAMS, grams, strict=True))
        return self._run(slope, {"picture": planes, "content": content, **wanted})

    def _paint(
        self, planes: Floats, mean: Floats, deviation: Floats, strength: float
    ) -> Mapping[str, Floats]:
        amount = np.full(1, strength, np.float32)
        inputs = {"picture": planes, "mean": mean, "deviation": deviation, "strength": amount}
        return self._run(self.painter, inputs)

    def _run(self, session: Session, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        try:
            return session.run_many(inputs)
        except OutOfMemory as error:
            height, width = inputs["picture"].shape[2:]
            raise Failure(
                f"{error} runs out of memory at {width}x{height} pixels: take a smaller --size"
            ) from error


@dataclass(frozen=True)
class Stylist:
    """Stylises pictures of any size: `strength` goes from 0 (what the network makes of the photo by
    itself) to 1; `keep_color` takes the photo's colours and the style's brightness."""

    network: Network
    style: Style
    strength: float
    size: int
    refine: int
    keep_color: bool
    meter: Meter

    def __call__(self, picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        small = reduced(photo, self.size)
        painted = self.network.paint(small, self.style, self.strength, self.refine, self.meter)
        stylised = with_detail(photo, small, painted)
        if self.keep_color:
            stylised = keep_color(photo, stylised)
        height, width = small.shape[:2]
        facts = {"worked_at": f"{width}x{height}"}
        return Result(picture.with_pixels(from_srgb(stylised, picture.source)), facts)


def padded(picture: Bytes) -> Bytes:
    """The picture with its own mirror image as a margin, whose sides are multiples of STEP."""
    margins = [(MARGIN, MARGIN + -side % STEP) for side in picture.shape[:2]]
    return np.pad(picture, [*margins, (0, 0)], "symmetric")


def _pixels(planes: Floats) -> Bytes:
    result = np.empty((*planes.shape[2:], 3), np.uint8)
    quantise(planes[0], result)
    return result
