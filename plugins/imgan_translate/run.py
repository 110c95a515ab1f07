"""`imgan translate`: a model is found for what is asked, and every picture goes through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np
from PIL import Image

from imgan import faces
from imgan.errors import Failure, Misuse
from imgan.images import Picture, from_srgb, to_srgb
from imgan.images.codecs import rows
from imgan.images.tensors import Bytes, decode, encode
from imgan.images.upsampling import (
    FINE,
    enlarged,
    guided_chroma,
    guided_filter,
    guided_upsample,
    reduced,
    suppress_flat_texture,
    with_detail,
)
from imgan.kept import Kept
from imgan.models.cards import ModelCard
from imgan.models.sessions import OutOfMemory, Session
from imgan.models.store import Models
from imgan.operations import Listing, Meter, Process, Result, Runtime
from imgan.words import american
from imgan_translate import STEP, Translate
from imgan_translate.drawn.targets import TARGETS, Target
from imgan_translate.drawn.winter import Winter
from imgan_translate.preprocess import MARGIN, PREPROCESS, face_of, gray, square
from imgan_translate.traits import Faces, TranslatorTraits, Upsampling

OPERATION = "translate"

MIRRORED = 1 / 8
"""The reflection around a photo that is to be coloured, at least, in parts of its longer side."""

PORTRAIT = 1024
"""The longest side of a translated face: beyond it there is nothing left to bring up."""


def open_translating(operation: Translate, runtime: Runtime) -> Process:
    """Load the model, or take what is drawn. Raises Misuse where no one model is asked for."""
    target = drawn(operation)
    if target is not None:
        return Drawing(target.draw, operation, runtime.meter)
    card = choose(runtime.models, operation)
    translator = open_translator(card, runtime.device, operation, runtime)
    return Translating(translator, operation, _of_faces(card))


def drawn(operation: Translate) -> Target | None:
    """The target that `--to` names, where it is drawn and no network is asked for by `--model` or
    `--from`. Raises Misuse for options that networks alone have."""
    target = TARGETS.get(operation.to or "")
    if target is None or operation.model or operation.source not in (None, target.source):
        return None
    for option, given in (
        ("--keep-structure", operation.keep_structure),
        ("--size", operation.size),
        ("--face", operation.face),
    ):
        if given:
            raise Misuse(f"{option}: {operation.to} is drawn, without a network")
    target.kept.allow(str(operation.to), operation.experimental)
    if operation.snowfall:
        return replace(target, draw=Winter(operation.snowfall, operation.seed))
    return target


def choose(models: Models, operation: Translate) -> ModelCard:
    """The one model that `--to`, `--from` and `--model` name; raises Misuse for none or several."""
    card = _named(models, operation) if operation.model else _leading_to(models, operation)
    if operation.face is not None and not _of_faces(card):
        raise Misuse(f"--face: {card.name} translates whole pictures")
    _kept(card).allow(card.name, operation.experimental)
    return card


def _kept(card: ModelCard) -> Kept:
    return Kept(int(card.number("kept", 0)), int(card.number("judged", 0)))


def _counts(kept: Kept) -> dict[str, int]:
    return {"kept": kept.kept, "of": kept.of}


def _named(models: Models, operation: Translate) -> ModelCard:
    card = models.find(str(operation.model), OPERATION)
    for option, trait, word in (("--to", "to", operation.to), ("--from", "from", operation.source)):
        if word is not None and not _same(card.traits.get(trait, word), word):
            raise Misuse(f"{option} {word}: {card.name} has {trait} {card.traits[trait]}")
    return card


def _leading_to(models: Models, operation: Translate) -> ModelCard:
    known = [card for card in models.serving(OPERATION) if "to" in card.traits]
    fitting = [
        card
        for card in known
        if _same(card.traits["to"], operation.to)
        and (operation.source is None or _same(card.traits.get("from"), operation.source))
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        ways = sorted({*TARGETS, *map(_way, known)})
        words = [*TARGETS, *(str(card.traits["to"]) for card in known)]
        near = get_close_matches(str(operation.to), words, n=1)
        hint = f"did you mean {near[0]}? " if near and near[0] != operation.to else ""
        asked = f"{operation.to} from {operation.source}" if operation.source else operation.to
        raise Misuse(f"no model leads to {asked}; {hint}known are {', '.join(ways) or 'none'}")
    names = ", ".join(f"{card.name} (from {card.traits.get('from', '?')})" for card in fitting)
    raise Misuse(f"several models lead to {operation.to}: take --from or --model, of {names}")


def _same(one: object, other: object) -> bool:
    return american(str(one)) == american(str(other))


def list_domains(models: Models) -> Listing:
    """Every way that is drawn or installed, in words; the figures are in the records."""
    rows: list[list[str]] = []
    records: list[dict[str, object]] = []
    for name, target in TARGETS.items():
        rows.append([name, target.source, "drawn", str(target.kept), target.about])
        ends = {"from": target.source, "to": name}
        records.append({**ends, "model": None, **_counts(target.kept), "figures": {}})
    for card in models.serving(OPERATION):
        kept = _kept(card)
        way = {key: card.traits.get(key) for key in ("from", "to")}
        told = str(card.traits.get("summary", ""))
        rows.append([str(way["to"] or "?"), str(way["from"] or "?"), card.name, str(kept), told])
        figures = dict(card.figures)
        records.append({**way, "model": card.name, **_counts(kept), "figures": figures})
    return Listing(["--to", "--from", "model", "kept by eye", "what it does"], rows, records)


def open_translator(
    card: ModelCard, device: str, operation: Translate | None = None, runtime: Runtime | None = None
) -> Translator:
    """Load the model of a card. Raises what `Runtime.session` raises, and Failure for a trait
    that is not known here."""
    operation = operation or Translate()
    session = (runtime or Runtime(device, Models())).session(card)
    traits = TranslatorTraits.of(card)
    if operation.keep_structure:
        traits = replace(traits, upsampling=Upsampling.guided, flat_variance=0)
    traits = replace(traits, side=operation.size or traits.side)
    return Translator(session, traits, runtime.meter if runtime else Meter())


@dataclass(frozen=True)
class Translator:
    """A network that translates pictures in -1..1 as its traits say, and at any size."""

    session: Session
    traits: TranslatorTraits
    meter: Meter = field(default_factory=Meter)

    def __call__(self, photo: Bytes) -> Bytes:
        """A picture [H, W, 3] sRGB translated, at its size. Raises Failure when memory is short."""
        traits = self.traits
        if traits.preprocess is not None:
            photo = PREPROCESS[traits.preprocess](photo)
        if traits.upsampling is Upsampling.chroma:
            return self._colored(photo)
        small = self._working(photo)
        made = self.paint(small)
        self.meter(0.3)
        if traits.upsampling is Upsampling.enlarged:
            return enlarged(made, photo.shape)
        if traits.upsampling is Upsampling.suppress_flat_texture:
            made = suppress_flat_texture(small, made)
        upsample = guided_upsample if traits.upsampling is Upsampling.guided else with_detail
        if not traits.flat_variance:
            return upsample(photo, small, made, self.meter.part(0.3, 1))
        large = upsample(photo, small, made, self.meter.part(0.3, 0.6))
        return guided_filter(large, traits.flat_variance, self.meter.part(0.6, 1))

    def _colored(self, photo: Bytes) -> Bytes:
        """The photo under the colours that a network gives it and its mirror image, in the mean:
        where it is not sure the two differ. It sees a square with the photo's reflection around
        it, so that nothing is squeezed and no border leaves a stripe; and the colours keep to what
        is one shade in the photo (`guided_chroma`)."""
        photo = gray(photo)
        whole, (top, left) = framed(photo)
        seen = self._working(whole)
        both = [self.paint(seen), self.paint(seen[:, ::-1])[:, ::-1]]
        self.meter(0.5)
        small = reduced(photo, FINE)
        height, width = photo.shape[:2]
        box = np.array([left, top, left + width, top + height]) * len(seen) / len(whole)
        made = Image.fromarray(np.mean(both, axis=0).round().astype(np.uint8))
        bicubic = Image.Resampling.BICUBIC
        made = made.resize((small.shape[1], small.shape[0]), bicubic, tuple(box))
        return guided_chroma(photo, small, np.asarray(made), self.meter.part(0.5, 1))

    def paint(self, small: Bytes) -> Bytes:
        """What the network makes of a picture [H, W, 3], as large as that."""
        height, width = small.shape[:2]
        margins = (0, 0), (0, 0)
        if self._fixed is None:
            top, left = (min(self.traits.border, side - 1) for side in (height, width))
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
        return blended(small, pixels, self.traits.gain)

    @property
    def _fixed(self) -> tuple[int, int] | None:
        """Height and width of the pictures that the network takes, or None if it takes any."""
        # Inputs come first, and there is one.
        height, width = next(iter(self.session.shapes.values()))[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def _working(self, photo: Bytes) -> Bytes:
        if self._fixed is None:
            return reduced(photo, self.traits.side)
        return np.asarray(
            Image.fromarray(photo).resize(self._fixed[::-1], Image.Resampling.LANCZOS)
        )


@dataclass(frozen=True)
class Translating:
    """The work on a picture."""

    translator: Translator
    operation: Translate
    of_faces: bool

    def __call__(self, picture: Picture) -> Result:
        facts: dict[str, object] = {}
        if self.of_faces:
            face = face_of(picture, self.operation.face)
            side = round(faces.magnification(face, 1, MARGIN))
            side = min(PORTRAIT, max(self.translator.traits.side, side))
            # What comes of `square` is sRGB in 8 bits, whatever the photo is.
            source = replace(picture.source, icc=b"", depth=8)
            picture = Picture(square(picture, face, side), source=source)
            facts = {"face": [round(length, 1) for length in face.box]}
        photo = to_srgb(picture.pixels, picture.source)
        made = blended(photo, self.translator(photo), self.operation.strength)
        result = picture.with_pixels(from_srgb(made, picture.source))
        return Result(result, facts)


@dataclass(frozen=True)
class Drawing:
    """The work on a picture that becomes a drawn target."""

    draw: Callable[[Bytes, Meter], Bytes]
    operation: Translate
    meter: Meter

    def __call__(self, picture: Picture) -> Result:
        photo = to_srgb(picture.pixels, picture.source)
        made = blended(photo, self.draw(photo, self.meter), self.operation.strength)
        return Result(picture.with_pixels(from_srgb(made, picture.source)))


def framed(photo: Bytes) -> tuple[Bytes, tuple[int, int]]:
    """A square with the photo in its middle and its reflection around it, and where it begins."""
    height, width = photo.shape[:2]
    side = max(height, width) + 2 * round(MIRRORED * max(height, width))
    top, left = (side - height) // 2, (side - width) // 2
    margins = (top, side - height - top), (left, side - width - left), (0, 0)
    return np.pad(photo, margins, "symmetric"), (top, left)


def blended(photo: Bytes, made: Bytes, strength: float) -> Bytes:
    """photo + strength (made - photo); all [H, W, 3]."""
    if strength == 1:
        return made
    result = np.empty_like(photo)
    for band in rows(*photo.shape[:2]):
        change = strength * np.subtract(made[band], photo[band], dtype=np.float32)
        result[band] = np.rint(photo[band] + change).clip(0, 255)
    return result


def _of_faces(card: ModelCard) -> bool:
    return TranslatorTraits.of(card).faces is Faces.aligned


def _way(card: ModelCard) -> str:
    return f"{card.traits['to']} (from {card.traits.get('from', '?')})"
