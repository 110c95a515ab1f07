"""Occluders of a face, such as a hand, a cup or a mask: no edit goes over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.tensors import Floats, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit.attribute_classifier import CLASSIFIERS, SIZE

MODEL = "edit-occlusion"

CELLS = 16
"""Squares a side that it decides on."""

UNSURE = (0.3, 0.7)
"""Probabilities between which a place counts in part."""

OVAL = 0.9
"""The rim of the square in which a face's features count less and less, as `soft_mask` has it."""


def card(models: Models, name: str | None = None) -> ModelCard:
    """The shipped network's, or another's. Raises what `Models.find` raises."""
    return models.find(name or MODEL, CLASSIFIERS)


@dataclass(frozen=True)
class Finder:
    """The network, warm."""

    session: Session

    @classmethod
    def open(cls, runtime: Runtime, name: str | None = None) -> Finder:
        return cls(runtime.session(card(runtime.models, name)))

    def hidden(self, picture: Picture, face: Face) -> Floats:
        """How much of each part of a face is hidden: [CELLS, CELLS] in 0..1."""
        crop = faces.align(picture, face, SIZE)[None]
        chances = 1 / (1 + np.exp(-self.session.run(encode(crop))[0, 0]))
        least, most = UNSURE
        hidden: Floats = ((chances - least) / (most - least)).clip(0, 1)
        return hidden


def share(hidden: Floats) -> float:
    """How much of a face is hidden, 0..1; its middle counts, the corners of its square do not."""
    return float(np.average(hidden, weights=faces.soft_mask(len(hidden), OVAL)))
