"""Holes in pictures of any size, filled piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture, from_srgb, to_srgb
from imgan.models.cards import ModelCard
from imgan.operations import Meter, Process, Result, Runtime
from imgan_inpaint import FACES, NAME, PATCHES, PHOTOS, Inpaint
from imgan_inpaint.masks import hole_of
from imgan_inpaint.membrane import grown
from imgan_inpaint.painter import Painter
from imgan_inpaint.pieces import Piece, pieces
from imgan_inpaint.synthesis import fill

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Pixels = NDArray[Any]
"""uint8 or uint16."""

THICK = 24
"""Networks are asked about pieces of a hole that are thicker than this, in pixels: what is thinner
is seen from what lies beside it."""

PORTION = 0.1
"""In a face, parts of its box's width that are as thick as this are more than skin."""

MOST = 0.6
"""A piece that hides more of a face's box is to take away the whole person ..."""

LEAST = 0.4
"""... and so is one of which less lies in the box."""

SQUARE = 1.75
"""Side of what the network for faces sees, in widths of the face's box, as it was trained ..."""

RAISED = 0.05
"""... and how much higher than the box's its middle lies, in widths of the box."""


def open_inpainting(operation: Inpaint, runtime: Runtime) -> Process:
    """What fills the hole of a picture. Networks are loaded when a hole asks for one."""
    return Inpainting(operation, runtime)


@dataclass(frozen=True)
class Inpainting:
    """The work on a picture."""

    request: Inpaint
    runtime: Runtime
    painters: dict[str, Painter] = field(default_factory=dict)

    def __call__(self, picture: Picture) -> Result:
        hole = hole_of(picture, self.request)
        pixels, asked = self.filled(picture, hole)
        alpha = None if self.request.alpha else picture.alpha
        facts = {"hole": round(float(hole.mean()), 4), "models": asked}
        return Result(picture.with_pixels(pixels, alpha), facts)

    def filled(self, picture: Picture, hole: Mask) -> tuple[Pixels, list[str]]:
        """The pixels of a picture whose hole [H, W] is filled, and the models that were asked."""
        wide = grown(hole, self.request.feather)
        filling = Filling(picture, wide, self.request.model, self._painter)
        pixels = filling.run(self.runtime.meter)
        if self.request.feather:
            _feather(pixels, picture.pixels, hole, self.request.feather)
        return pixels, sorted(filling.asked)

    def _painter(self, name: str) -> Painter:
        if name not in self.painters:
            card: ModelCard = self.runtime.models.find(name, NAME)
            self.painters[name] = Painter.of(card, self.runtime.session(card))
        return self.painters[name]


class Filling:
    """A picture whose hole [H, W] is being filled, in its own colours and depth."""

    def __init__(
        self,
        picture: Picture,
        hole: Mask,
        model: str | None,
        painter: Callable[[str], Painter],
    ) -> None:
        self.picture = picture
        self.hole = hole
        self.usable = ~hole
        if picture.alpha is not None:
            self.usable &= picture.alpha > 0
        self.model = model
        self.painter = painter
        self.asked: set[str] = set()
        """The models that were asked what belongs into a piece."""
        self._faces: list[Face] | None = None

    def run(self, meter: Meter) -> Pixels:
        """The pixels [H, W, 3], filled. `meter` hears what share of the work is done."""
        filled = self.picture.pixels.copy()
        done, total = 0, int(self.hole.sum())
        for piece in pieces(self.hole):
            own = int(piece.own.sum())
            self._fill(filled, piece, meter.part(done / total, (done + own) / total))
            done += own
        return filled

    def _fill(self, filled: Pixels, piece: Piece, meter: Meter) -> None:
        face = self._face(piece)
        if face is not None:
            piece = piece.within(_square(face), self.hole.shape)
        name = self._chosen(piece, face)
        largest = np.iinfo(filled.dtype).max
        part = filled[piece.place]
        made = fill(
            part.astype(np.float32) * np.float32(255 / largest),
            self.hole[piece.place],
            self.usable[piece.place] & grown(piece.own, piece.context),
            None if name is None else self._guess(name),
            meter,
        )
        part[piece.own] = (made[piece.own] * (largest / 255)).round().clip(0, largest)

    def _chosen(self, piece: Piece, face: Face | None) -> str | None:
        """The model to ask about a piece, or None for its surroundings alone."""
        if self.model == PATCHES or (face is None and piece.thickness < THICK):
            return None
        name = self.model or (PHOTOS if face is None else FACES)
        self.asked.add(name)
        return name

    def _face(self, piece: Piece) -> Face | None:
        """The face of which a piece hides a part that is more than skin."""
        if self.model is not None or piece.thickness < 4:
            return None
        if self._faces is None:
            rgb = to_srgb(self.picture.pixels, self.picture.source)
            self._faces = faces.find(rgb)
        for face in self._faces:
            x, y, width, height = face.box
            rows, columns = piece.place
            left, top = max(0, round(x) - columns.start), max(0, round(y) - rows.start)
            right, bottom = round(x + width) - columns.start, round(y + height) - rows.start
            hidden = piece.own[top : max(0, bottom), left : max(0, right)].sum()
            belongs = LEAST * piece.own.sum() < hidden < MOST * width * height
            if belongs and piece.thickness > PORTION * width:
                return face
        return None

    def _guess(self, name: str) -> Guessing:
        return Guessing(self.painter(name), self.picture)


@dataclass(frozen=True)
class Guessing:
    """A painter for a picture in its own colours: networks see sRGB."""

    painter: Painter
    picture: Picture

    @property
    def side(self) -> int:
        return self.painter.side

    @property
    def stays(self) -> bool:
        return self.painter.stays

    @property
    def rim(self) -> int:
        return self.painter.rim

    def __call__(self, picture: Floats, hole: Mask) -> Floats:
        source = self.picture.source
        if not source.icc:
            return self.painter(picture, hole)
        pixels = picture.round().clip(0, 255).astype(np.uint8)
        seen = to_srgb(pixels, source).astype(np.float32)
        made = self.painter(seen, hole).round().clip(0, 255).astype(np.uint8)
        own = from_srgb(made, source)
        return own.astype(np.float32) * np.float32(255 / np.iinfo(own.dtype).max)


def _square(face: Face) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what the network for faces sees; it may leave the picture."""
    x, y, width, height = face.box
    middle_x, middle_y = x + width / 2, y + height / 2 - RAISED * width
    reach = SQUARE * width / 2
    return (
        round(middle_y - reach),
        round(middle_x - reach),
        round(middle_y + reach),
        round(middle_x + reach),
    )


def _feather(filled: Pixels, pixels: Pixels, hole: Mask, width: int) -> None:
    """Let the pixels around the hole go over into the picture, in place, with their distance."""
    inner = hole
    for distance in range(1, width + 1):
        outer = grown(hole, distance)
        ring = outer & ~inner
        share = distance / (width + 1)
        filled[ring] = (share * pixels[ring] + (1 - share) * filled[ring]).round()
        inner = outer
