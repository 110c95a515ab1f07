"""The engine `icgan`: a face is encoded, y is changed, and it is generated before and after.

Perarnau et al. 2016 (arXiv:1611.06355), section 3: z and y are said by two encoders, and with
another y the generator makes the same face with other attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats
from imgan.models.cards import ModelCard
from imgan.operations import Runtime
from imgan_edit.attributes import SLUGS, follows
from imgan_edit.engines import Editor, in_255ths
from imgan_generate import labelled_generator_of
from imgan_generate.labelled import LabelledGenerator, encoded


@dataclass(frozen=True, kw_only=True)
class ICGANEditor(Editor):
    """Its `session` is the encoders': `face` [N, 3, 64, 64] in -1..1 to `z` and `y`."""

    generator: LabelledGenerator
    name = "icgan"
    rim = 0.35

    @property
    def knows(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.generator.attributes

    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        z, y = encoded(self.session, crops)
        after = np.stack([self.wanted(y[0], change) for change in changes])
        before = self.generator.planes(z, y)
        made = self.generator.planes(np.broadcast_to(z, (len(changes), z.shape[1])), after)
        return in_255ths(self.gain * (made - before))

    def wanted(self, y: Floats, change: Floats) -> Floats:
        """y [A] after a change [40]. A change of 1 makes an attribute 1 and of -1 makes it -1, from
        wherever it was; of half goes half the way, of 2 twice as far. What cannot stay beside it,
        such as another colour of the hair, goes as far in its own direction."""
        known, after = self.generator.attributes, y.copy()
        for index in np.flatnonzero(change):
            amount, there = abs(change[index]), bool(change[index] > 0)
            moves = {**follows(SLUGS[index], there), SLUGS[index]: there}
            for slug, end in moves.items():
                free = slug == SLUGS[index] or not change[SLUGS.index(slug)]
                if free and slug in known:
                    place = known.index(slug)
                    after[place] = y[place] + amount * ((1 if end else -1) - y[place])
        return after


def open_icgan(card: ModelCard, runtime: Runtime, size: int) -> ICGANEditor:
    """The encoders of a card and the generator that they are for. Raises Failure when that is not
    installed, and what `Runtime.session` raises."""
    made_by = labelled_generator_of(runtime.models, card)
    if made_by is None:
        raise Failure(f"model {card.name}: the generator that it is for is not installed")
    generator = LabelledGenerator.of(runtime.session(made_by), made_by)
    gain = card.number("gain", 1)
    return ICGANEditor(runtime.session(card), size, gain, generator=generator)
