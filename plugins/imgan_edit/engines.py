"""The engines that are networks: what a change of attributes adds to a face.

What goes back into the photo is that difference and never a face that a network drew: what the
networks cannot draw stays as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from imgan.errors import Failure, Misuse
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.operations import Runtime
from imgan_edit import Engine
from imgan_edit.attributes import SLUGS


@dataclass(frozen=True)
class Editor(ABC):
    """A network that edits faces [N, size, size, 3]; a change is [40], in CelebA's order."""

    session: Session
    size: int
    gain: float = 1.0
    """What its edits are multiplied by, as its card says."""
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
            known = "CelebA's 40" if self.knows == SLUGS else ", ".join(self.knows)
            raise Misuse(
                f"the engine {self.name} does not edit {', '.join(unknown)}, only {known}; --list "
                f"has what --engine {Engine.regions} draws"
            )

    def keeping(self, slugs: Iterable[str]) -> Editor:
        """The editor whose edits leave these attributes as they are. Raises Misuse where it cannot,
        and for attributes that it does not know."""
        raise Misuse(
            f"--keep is what --engine {Engine.stylegan} does: the engine {self.name} can't"
        )

    @abstractmethod
    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        """What changes [N, 40] add to as many faces, or to one: [N, size, size, 3] in 255ths."""


class Vector(Editor):
    """A face is encoded, moved along attribute vectors, and decoded before and after.

    The network takes `face` [N, 3, S, S] in -1..1 and `change` [N, 40], and gives `reconstruction`
    and `edited` like `face`.
    """

    name = "vector"
    knows = SLUGS
    rim = 0.35

    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        # One face is encoded and decoded once, for all its changes: numbers are broadcast.
        result = self.session.run_many({"face": encode(crops), "change": changes})
        return in_255ths(self.gain * (result["edited"] - result["reconstruction"]))


def open_editor(card: ModelCard, runtime: Runtime) -> Editor:
    """The card's network; what it gives says which engine it is. Raises Failure when it is none,
    and what `Runtime.session` raises."""
    session = runtime.session(card)
    match session.shapes:
        case {"face": [_, 3, int(size), _], "reconstruction": _, "edited": _}:
            return Vector(session, size, card.number("gain", 1))
        case {"face": [_, 3, int(size), _], "z": _, "y": _}:
            from imgan_edit.icgan import open_icgan

            return open_icgan(card, runtime, size)
        case {"change": _, "away": _, "step": _}:
            from imgan_edit.stylegan import open_stylegan

            return open_stylegan(card, runtime)
    raise Failure(
        f"model {card.name} is no editor: that takes `face` and gives `reconstruction` and "
        "`edited`, or `z` and `y`; or takes `change` and `away` and gives a `step`"
    )


def in_255ths(planes: Floats) -> Floats:
    """What a network adds, [N, 3, S, S], of which 2 is the whole range: [N, S, S, 3], of 255."""
    scaled: Floats = planes.transpose(0, 2, 3, 1) * 127.5
    return scaled
