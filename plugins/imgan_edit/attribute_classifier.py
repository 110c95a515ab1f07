"""Which attributes a face has, by a classifier: before an edit and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.models.store import Models
from imgan.operations import Runtime

CLASSIFIER = "edit-classifier"
CLASSIFIERS = "evaluate"
"""The operation that classifiers of faces serve."""

SIZE = 64
"""The side of the faces that they see, in pixels."""


def card(models: Models) -> ModelCard:
    """The shipped classifier's. Raises what `Models.find` raises."""
    return models.find(CLASSIFIER, CLASSIFIERS)


@dataclass(frozen=True)
class AttributeClassifier:
    """The classifier, warm."""

    session: Session

    @classmethod
    def open(cls, runtime: Runtime) -> AttributeClassifier:
        return cls(runtime.session(card(runtime.models)))

    def probabilities(self, crops: Bytes) -> Floats:
        """Of the attributes [N, 40], in faces [N, 64, 64, 3]."""
        chances: Floats = 1 / (1 + np.exp(-self.session.run(encode(crops))))
        return chances

    def sees(self, picture: Picture, face: Face) -> Floats:
        """Probabilities [40] for a face in a photo."""
        chances: Floats = self.probabilities(faces.align(picture, face, SIZE)[None])[0]
        return chances


def drift(before: Floats, after: Floats, asked: Sequence[int]) -> float:
    """How far an edit moved what it was not asked to: the mean absolute change of the probabilities
    [..., 40], without those of the attributes asked for."""
    return float(np.delete(np.abs(after - before), asked, axis=-1).mean())
