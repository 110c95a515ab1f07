"""`imgan translate`: a model is found for what is asked, and every picture goes through it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgan import faces, tables
from imgan.batch import run as batch
from imgan.batch.job import Job, Operation
from imgan.errors import Failure, Misuse
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.codecs import rows
from imgan.images.metadata import COMPOSITE
from imgan.images.tensors import Bytes, decode, encode
from imgan.images.upsampling import (
    enlarged,
    guided_filter,
    guided_upsample,
    keep_color,
    reduced,
    suppress_flat_texture,
    with_detail,
)
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import OutOfMemory, Session, open_session
from imgan_translate import STEP, Pairs, Translation
from imgan_translate.prepare import MARGIN, PREPARED, face_of, square

if TYPE_CHECKING:
    from imgan.batch.job import Process

OPERATION = "translate"

SIDE = 256
"""Longer side at which a network works whose card does not say."""

BORDER = 16
"""Pixels of its own mirror image around a picture, so that no border shows. A card may say more:
they count in what a network normalises by, so what one needs is not good for all."""

PORTRAIT = 1024
"""The longest side of a translated face: beyond it there is nothing left to carry up."""


def translate(job: Job, wish: Translation) -> None:
    """Translate every picture of the job. Raises Misuse where no one model is asked for."""
    card = choose(store.installed(), wish)
    if wish.face is not None and not _of_faces(card):
        raise Misuse(f"--face: {card.name} translates whole pictures")
    batch.run(
        job,
        Operation(
            name=OPERATION,
            suffix=wish.to or str(card.traits.get("to", card.name)),
            settings={
                "strength": wish.strength,
                "keep_structure": wish.keep_structure,
                "size": wish.size,
                "face": wish.face,
                "provenance": not wish.no_provenance,
            },
            models=(card.sha256,),
            start=partial(_start, card, wish, job.device),
        ),
    )


def choose(installed: Sequence[ModelCard], wish: Translation) -> ModelCard:
    """The one model that `--to`, `--from` and `--model` name; raises Misuse for none or several."""
    if wish.model is not None:
        card = store.find(installed, wish.model, OPERATION)
        for option, trait, word in (("--to", "to", wish.to), ("--from", "from", wish.source)):
            if word is not None and card.traits.get(trait, word) != word:
                raise Misuse(f"{option} {word}: {card.name} has {trait} {card.traits[trait]}")
        return card
    if wish.to is None:
        raise Misuse("name what the pictures are to become with --to (--list shows what there is)")
    known = [card for card in installed if card.operation == OPERATION and "to" in card.traits]
    fitting = [
        card
        for card in known
        if card.traits["to"] == wish.to
        and (wish.source is None or card.traits.get("from") == wish.source)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        ways = sorted({_way(card) for card in known})
        asked = wish.to if wish.source is None else f"{wish.to} from {wish.source}"
        raise Misuse(f"no model leads to {asked}; known are {', '.join(ways) or 'none'}")
    names = ", ".join(f"{card.name} (from {card.traits.get('from', '?')})" for card in fitting)
    raise Misuse(f"several models lead to {wish.to}: take --from or --model, of {names}")


def list_domains(as_json: bool) -> None:
    """Print every installed way with its model and its figures."""
    cards = [card for card in store.installed() if card.operation == OPERATION]
    if as_json:
        for card in cards:
            ends = {key: card.traits.get(key) for key in ("from", "to")}
            print(json.dumps({**ends, "model": card.name, "figures": dict(card.figures)}))
        return
    tables.show(
        ["--from", "--to", "model", "measured"],
        (
            [
                str(card.traits.get("from", "?")),
                str(card.traits.get("to", "?")),
                card.name,
                "; ".join(f"{name} {value}" for name, value in card.figures.items()) or "nothing",
            ]
            for card in cards
        ),
        bare=True,
    )


def open_translator(card: ModelCard, device: str, wish: Translation | None = None) -> Translator:
    """Load the model of a card. Raises what `store.path` and `open_session` raise."""
    wish = wish or Translation()
    session = open_session(store.path(card), device)
    prepared = card.traits.get("sees")
    if prepared is not None and prepared not in set(Pairs):
        raise Failure(
            f"{card.name}: its card says that it sees {prepared}, which is not known here"
        )
    return Translator(
        session,
        size=wish.size or int(card.number("side", SIDE)),
        sees=None if prepared is None else Pairs(prepared),
        carry="guided" if wish.keep_structure else str(card.traits.get("carry", "guided")),
        border=int(card.number("border", BORDER)),
        gain=card.number("gain", 1),
        smooth=0 if wish.keep_structure else card.number("smooth", 0),
    )


@dataclass(frozen=True)
class Translator:
    """A network that translates pictures in -1..1, at a working size, carried up to any size.

    `size` is the longer side that the network sees, at most; a network of one size sees all
    pictures at it. `sees` is what is done to a picture first. `carry` says how the result comes to
    the picture's size: "guided" (`guided_upsample`), "detail" (`with_detail`), "settled" (the same
    after `suppress_flat_texture`) or "chroma": the picture's own luminance under the colours of
    the result.
    `border` is how many pixels of the picture's mirror image the network sees around it. What the
    network changes is multiplied by `gain`. In the end texture of a variance below `smooth` is
    taken away (`guided_filter`).
    """

    session: Session
    size: int
    sees: Pairs | None
    carry: str
    border: int = BORDER
    gain: float = 1
    smooth: float = 0

    def __call__(self, photo: Bytes) -> Bytes:
        """A picture [H, W, 3] sRGB translated, at its size. Raises Failure when memory is short."""
        if self.sees is not None:
            photo = PREPARED[self.sees](photo)
        small = self._working(photo)
        made = self.paint(small)
        if self.carry == "chroma":
            return keep_color(enlarged(made, photo.shape), photo)
        if self.carry == "settled":
            made = suppress_flat_texture(small, made)
        carried = (guided_upsample if self.carry == "guided" else with_detail)(photo, small, made)
        return guided_filter(carried, self.smooth) if self.smooth else carried

    def paint(self, small: Bytes) -> Bytes:
        """What the network makes of a picture [H, W, 3], as large as that, before it is carried."""
        height, width = small.shape[:2]
        margins = (0, 0), (0, 0)
        if self._fixed is None:
            top, left = (min(self.border, side - 1) for side in (height, width))
            margins = (
                (top, top + -(height + 2 * top) % STEP),
                (left, left + -(width + 2 * left) % STEP),
            )
        padded = np.pad(small, (*margins, (0, 0)), "symmetric")
        try:
            made = self.session.run(encode(padded[None]))
        except OutOfMemory as error:
            raise Failure(
                f"{error} runs out of memory at {width}x{height} pixels: take a smaller --size"
            ) from error
        (top, _), (left, _) = margins
        (pixels,) = decode(made[:, :, top : top + height, left : left + width])
        return blended(small, pixels, self.gain)

    @property
    def _fixed(self) -> tuple[int, int] | None:
        """Height and width of the pictures that the network takes, or None if it takes any."""
        # Inputs come first, and there is one.
        height, width = next(iter(self.session.shapes.values()))[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def _working(self, photo: Bytes) -> Bytes:
        if self._fixed is None:
            return reduced(photo, self.size)
        return np.asarray(
            Image.fromarray(photo).resize(self._fixed[::-1], Image.Resampling.LANCZOS)
        )


@dataclass(frozen=True)
class Translating:
    """The work on a picture."""

    translator: Translator
    wish: Translation
    of_faces: bool

    def __call__(self, picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        facts: dict[str, object] = {}
        if self.of_faces:
            face = face_of(picture, self.wish.face)
            side = round(faces.magnification(face, 1, MARGIN))
            side = min(PORTRAIT, max(self.translator.size, side))
            # What comes of `square` is sRGB in 8 bits, whatever the photo is.
            source = replace(picture.source, icc=b"", depth=8)
            picture = Picture(square(picture, face, side), source=source)
            facts = {"face": [round(length, 1) for length in face.box]}
        photo = to_srgb(picture.pixels, picture.source)
        made = blended(photo, self.translator(photo), self.wish.strength)
        result = picture.with_pixels(from_srgb(made, picture.source))
        if self.wish.no_provenance:
            return result, facts
        return replace(result, source=replace(result.source, made=COMPOSITE)), facts


def blended(photo: Bytes, made: Bytes, strength: float) -> Bytes:
    """photo + strength (made - photo); all [H, W, 3]."""
    if strength == 1:
        return made
    result = np.empty_like(photo)
    for band in rows(*photo.shape[:2]):
        change = strength * np.subtract(made[band], photo[band], dtype=np.float32)
        result[band] = np.rint(photo[band] + change).clip(0, 255)
    return result


def _start(card: ModelCard, wish: Translation, device: str) -> Process:
    translator = open_translator(card, device, wish)
    return Translating(translator, wish, _of_faces(card))


def _of_faces(card: ModelCard) -> bool:
    return card.traits.get("faces") == "aligned"


def _way(card: ModelCard) -> str:
    return f"{card.traits['to']} (from {card.traits.get('from', '?')})"
