"""Networks that know what belongs into a hole: imgan's own, and those of other projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan_inpaint.membrane import seamless

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

STEP = 8
"""Sides that networks for pictures of any size take are multiples of this."""

SIDE = 64
"""The longer side of what a network sees whose card does not say it, and which takes any."""


@dataclass(frozen=True)
class Painter:
    """A network behind its ports, an `imgan_inpaint.synthesis.Guess`.

    `side` is the longer side of what it sees; a network of one size sees all at it. `white` is the
    inputs' highest value and `span` the output's. `known` is 1 where the mask is white on what is
    known, and 0 where it is white in the hole. `stays` and `rim` are as `Guess` has them.
    """

    session: Session
    side: int
    stays: bool
    rim: int = 0
    known: int = 0
    white: float = 1
    span: float = 1

    @classmethod
    def of(cls, card: ModelCard, session: Session) -> Painter:
        """What a card says of the network. Raises Failure when its ports are no inpainter's."""
        ports = session.shapes
        if not {"image", "mask"} <= ports.keys() or len(ports) != 3:
            raise Failure(f"{card.name}: an inpainter takes image and mask, and gives one picture")
        fixed = ports["image"][-1]
        side = int(card.number("side", fixed if isinstance(fixed, int) else SIDE))
        return cls(
            session,
            side,
            stays=bool(card.number("stays", 0)),
            rim=int(card.number("rim", 0)),
            known=int(card.number("known", 0)),
            white=card.number("white", 1),
            span=card.number("span", 1),
        )

    def __call__(self, picture: Floats, hole: Mask) -> Floats:
        """A picture [H, W, 3] in 0..255, its hole [H, W] filled as far as the network knows."""
        return seamless(picture, hole, self.made(picture, hole))

    def made(self, picture: Floats, hole: Mask) -> Floats:
        """What the network gives, at the picture's size, before it meets the border."""
        height, width = hole.shape
        fixed = self._fixed
        if fixed is not None:
            image = _resized(picture, fixed)
            mask = _resized(hole[..., None].astype(np.float32), fixed) > 0
            return _resized(self._run(image, mask[..., 0]), (height, width))
        margins = (0, -height % STEP), (0, -width % STEP)
        image = np.pad(picture, (*margins, (0, 0)), "edge")
        return self._run(image, np.pad(hole, margins, "edge"))[:height, :width]

    @property
    def _fixed(self) -> tuple[int, int] | None:
        height, width = self.session.shapes["image"][-2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def _run(self, image: Floats, hole: Mask) -> Floats:
        image = image.transpose(2, 0, 1)[None] * (self.white / 255)
        mask = np.where(hole, 1 - self.known, self.known)[None, None] * self.white
        # Where the network takes bytes, they are cut off and not rounded.
        feeds: dict[str, NDArray[Any]] = {
            "image": image.round() if self.white > 1 else image,
            "mask": mask,
        }
        (made,) = self.session.run_many(feeds).values()
        return np.asarray(made[0].transpose(1, 2, 0) * (255 / self.span), np.float32)


def _resized(planes: Floats, size: tuple[int, int]) -> Floats:
    """Planes [H, W, C] as large as `size`, antialiased."""
    return np.stack(
        [
            np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
            for plane in np.ascontiguousarray(planes.transpose(2, 0, 1), np.float32)
        ],
        2,
    )
