"""What edits a face of a photo, whichever the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.errors import Misuse
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.tensors import Floats
from imgan.operations import Runtime
from imgan_edit import Edit, Engine
from imgan_edit.attributes import NAMED, SLUGS, spoken
from imgan_edit.engines import Editor, open_editor
from imgan_edit.patch import patches
from imgan_edit.regions.effects import EFFECTS, dyeing
from imgan_edit.regions.engine import Sight, draw, see
from imgan_edit.regions.hair_color import dyed
from imgan_edit.regions.kept import KEPT, experimental
from imgan_edit.regions.painter import Painter
from imgan_edit.regions.view import Effect
from imgan_parse.parser import Parser


class Mark(Protocol):
    """An edit of one face, ready for the photo."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What of it could not be done, and why."""

    def on(self, picture: Picture) -> Picture:
        """The photo with the edit."""

    def moved(self, face: Face) -> Mark:
        """The same edit, made on a part of the photo (`Artist.desk`), for the whole, in which the
        face is this one."""

    def touched(self, picture: Picture) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """Rows and columns of the photo, and where in them it may change."""


class Artist(ABC):
    """Edits faces."""

    @property
    @abstractmethod
    def edits(self) -> Collection[tuple[str, bool]]:
        """The attributes that it edits, each with whether it is added or taken away."""

    @abstractmethod
    def check(self, added: Collection[str], removed: Collection[str]) -> None:
        """Raises Misuse for attributes that the engine does not edit."""

    @abstractmethod
    def __call__(
        self, picture: Picture, face: Face, change: Floats, hidden: Floats, part: float = 1
    ) -> Mark:
        """A face moved by `part` of a change [41]: how much of each of `NAMED` to add, or below 0
        to take away; nothing where it is `hidden`, [k, k] in 0..1. Raises Failure for what cannot
        be done well."""

    @abstractmethod
    def desk(self, picture: Picture, face: Face) -> tuple[Picture, Face]:
        """As much of the photo as repeated work on one face needs, and the face in it."""


@dataclass(frozen=True)
class NetworkArtist(Artist):
    """The engines whose networks see an aligned face."""

    editor: Editor

    @property
    def edits(self) -> Collection[tuple[str, bool]]:
        return [*product(self.editor.knows, (True, False))]

    def check(self, added: Collection[str], removed: Collection[str]) -> None:
        self.editor.check([*added, *removed])

    def __call__(
        self, picture: Picture, face: Face, change: Floats, hidden: Floats, part: float = 1
    ) -> Mark:
        known = part * change[None, : len(SLUGS)]
        (patch,) = patches(self.editor, picture, face, known, hidden)
        return patch

    def desk(self, picture: Picture, face: Face) -> tuple[Picture, Face]:
        return faces.cut(picture, face)


@dataclass(frozen=True)
class RegionsArtist(Artist):
    """The engine `regions`."""

    networks: Parser
    seed: int
    dye: Effect | None = None
    """A free colour of the hair."""
    strength: float = 1.0
    """How much of that."""
    last: list[tuple[Picture, Face, Sight]] = field(default_factory=list, repr=False)
    """What was looked at last: one face is edited again and again with --auto-strength."""
    experimental: bool = False
    """Whether it does what is seldom kept, too."""
    painter: Painter | None = None
    """What paints the skin under what is taken away, if anything is."""

    @property
    def edits(self) -> Collection[tuple[str, bool]]:
        return [edit for edit in EFFECTS if self.experimental or not experimental(edit)]

    def check(self, added: Collection[str], removed: Collection[str]) -> None:
        for slug, there in [*((s, True) for s in added), *((s, False) for s in removed)]:
            option, word = spoken(slug, there)
            if (slug, there) not in EFFECTS:
                named = [spoken(*edit) for edit in self.edits]
                known = [one for side, one in named if side == option]
                raise Misuse(
                    f"the engine regions has no {option} {word}; {option} takes "
                    f"{', '.join(known)}; --engine {Engine.vector} knows all {len(SLUGS)}"
                )
            if (slug, there) not in self.edits:
                KEPT[slug, there].allow(f"{option} {word}", self.experimental)

    def __call__(
        self, picture: Picture, face: Face, change: Floats, hidden: Floats, part: float = 1
    ) -> Mark:
        effects = [
            (effect, part * abs(float(amount)))
            for (slug, there), effect in EFFECTS.items()
            if (amount := change[NAMED.index(slug)]) and (amount > 0) == there
        ]
        if self.dye is not None:
            effects.append((self.dye, part * self.strength))
        return draw(self._seen(picture, face), effects, np.random.default_rng(self.seed), hidden)

    def _seen(self, picture: Picture, face: Face) -> Sight:
        if not (self.last and self.last[0][0] is picture and self.last[0][1] is face):
            self.last[:] = [(picture, face, see(picture, face, self.networks, self.painter))]
        return self.last[0][2]

    def desk(self, picture: Picture, face: Face) -> tuple[Picture, Face]:
        return picture, face


def open_artist(operation: Edit, runtime: Runtime) -> Artist:
    """What edits as the command says. Raises Misuse for attributes that it does not know."""
    artist: Artist
    card = operation.editor(runtime.models)
    if operation.draws:
        color, painter = operation.hair_color, operation.painter(runtime.models)
        artist = RegionsArtist(
            Parser(runtime.session(card)),
            operation.seed,
            None if color is None else dyeing(dyed(color)),
            operation.strength,
            experimental=operation.experimental,
            painter=Painter(runtime.session(painter)) if painter else None,
        )
    else:
        editor = open_editor(card, runtime)
        artist = NetworkArtist(editor.keeping(operation.kept) if operation.kept else editor)
    artist.check(operation.added, operation.removed)
    return artist
