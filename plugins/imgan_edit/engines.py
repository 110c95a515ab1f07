"""The engines: what a change of attributes adds to a face.

What goes back into the photo is that difference and never a face that a network drew: what the
networks cannot draw stays as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from imgan.errors import Failure, Misuse
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.operations import Runtime
from imgan_edit.attributes import HAIR_COLOURS, RESIDUAL, SLUGS, brings
from imgan_edit.reach import reach

CLOSED = 0.01
"""A mask of the engine `residual` that is this near to 0 or 1 is meant to be just that."""


@dataclass(frozen=True)
class Editor(ABC):
    """A network that edits faces [N, size, size, 3]; a change is [40], in CelebA's order."""

    session: Session
    size: int
    gain: float = 1.0
    """What its edits are multiplied by, as its card says: a network that was taught to leave all
    else alone holds back."""
    name: ClassVar[str]
    """What `--engine` takes."""
    knows: ClassVar[tuple[str, ...]]
    """The attributes that it edits."""
    rim: ClassVar[float]
    """The part of a face's half side, from the border on, in which an edit fades."""

    def check(self, asked: Iterable[str]) -> None:
        """Raises Misuse for attributes that the engine does not edit."""
        unknown = [slug for slug in asked if slug not in self.knows]
        if unknown:
            raise Misuse(
                f"the engine {self.name} does not edit {', '.join(unknown)}, only "
                f"{', '.join(self.knows)}; --engine {Vector.name} knows all {len(SLUGS)}"
            )

    def implies(self, change: Floats) -> bool:
        """Whether `completed` depends on the face."""
        return False

    def completed(self, change: Floats, chances: Floats) -> Floats:
        """The change with what cannot stay beside it in a face with these probabilities [40]."""
        return change

    def hues(self, changes: Floats) -> Floats:
        """The part of changes [N, 40] that gives what is there another colour and no other form: it
        is made by itself, and keeps to the face's own edges."""
        return np.zeros_like(changes)

    @abstractmethod
    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        """What changes [N, 40] add to as many faces, or to one: [N, size, size, 3] in 255ths."""

    @abstractmethod
    def own(self, crops: Bytes) -> Floats:
        """Faces as the network gives them back unchanged: [N, size, size, 3] in 0..255."""


class Vector(Editor):
    """A face is encoded, moved along attribute vectors, and decoded before and after.

    The network takes `face` [N, 3, 64, 64] in -1..1 and `change`, and gives `reconstruction` and
    `edited` like `face`.
    """

    name = "vector"
    knows = SLUGS
    rim = 0.35

    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        # One face is encoded and decoded once, for all its changes: numbers are broadcast.
        result = self.session.run_many({"face": encode(crops), "change": changes})
        return in_255ths(self.gain * (result["edited"] - result["reconstruction"]))

    def own(self, crops: Bytes) -> Floats:
        still = np.zeros((len(crops), len(SLUGS)), np.float32)
        result = self.session.run_many({"face": encode(crops), "change": still})
        return in_255ths(result["reconstruction"] + 1)


class Residual(Editor):
    """A residual and the mask that says where it counts.

    The network takes `face` [N, 3, S, S] in -1..1 and `change` [N, 17], and gives `residual` like
    `face` and `mask` [N, 1, S, S] in 0..1.
    """

    name = "residual"
    knows = RESIDUAL
    rim = 0.2

    def implies(self, change: Floats) -> bool:
        return any(True for _ in self._brought(change))

    def completed(self, change: Floats, chances: Floats) -> Floats:
        # As in training, where the labels say what is there: a hair that becomes blond loses the
        # colour that it has, and none that it has not. What is asked for itself stays as asked.
        done = change.copy()
        for other, much in self._brought(change):
            if not change[other] and (chances[other] > 0.5) != (much > 0):
                done[other] = much
        return done

    def _brought(self, change: Floats) -> Iterator[tuple[int, float]]:
        """What a change brings of what the engine edits: attributes, and how much of each."""
        for i in np.flatnonzero(change):
            for slug, there in brings(SLUGS[i], bool(change[i] > 0)).items():
                if slug in self.knows:
                    yield SLUGS.index(slug), abs(change[i]) * (1 if there else -1)

    def hues(self, changes: Floats) -> Floats:
        # Who becomes bald has no hair left to colour.
        still_haired = changes[:, [SLUGS.index("bald")]] <= 0
        return np.where(np.isin(SLUGS, HAIR_COLOURS) & still_haired, changes, 0)

    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        known = changes[:, [SLUGS.index(slug) for slug in RESIDUAL]]
        faces = np.broadcast_to(encode(crops), (len(changes), 3, self.size, self.size))
        result = self.session.run_many({"face": faces, "change": known})
        # The network's mask never closes quite: what is near its least counts for nothing.
        mask = ((result["mask"] - CLOSED) / (1 - 2 * CLOSED)).clip(0, 1)
        mask *= reach(known, self.size)[:, None]
        return in_255ths(self.gain * mask * result["residual"])

    def own(self, crops: Bytes) -> Floats:
        return crops + self(crops, np.zeros((len(crops), len(SLUGS)), np.float32))


def open_editor(card: ModelCard, runtime: Runtime) -> Editor:
    """The card's network; what it gives says which engine it is. Raises Failure when it is neither,
    and what `Runtime.session` raises."""
    session = runtime.session(card)
    gain = card.number("gain", 1)
    match session.shapes:
        case {"face": [_, 3, int(size), _], "residual": _, "mask": _}:
            return Residual(session, size, gain)
        case {"face": [_, 3, int(size), _], "reconstruction": _, "edited": _}:
            return Vector(session, size, gain)
        case {"face": [_, 3, int(size), _], "z": _, "y": _}:
            from imgan_edit.icgan import open_icgan

            return open_icgan(card, runtime, size)
    raise Failure(
        f"model {card.name} is no editor: that takes `face` and gives `residual` and `mask`, or "
        "`reconstruction` and `edited`, or `z` and `y`"
    )


def in_255ths(planes: Floats) -> Floats:
    """What a network adds, [N, 3, S, S], of which 2 is the whole range: [N, S, S, 3], of 255."""
    scaled: Floats = planes.transpose(0, 2, 3, 1) * 127.5
    return scaled
