"""What is measured of an edit: for `--receipt` and `--json`, and for the limits of an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imgan import faces
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.codecs import rows
from imgan.images.tensors import Floats
from imgan.metrics import perceptual
from imgan.metrics.perceptual import Perceptual
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit import attribute_classifier
from imgan_edit.artists import Mark
from imgan_edit.attribute_classifier import AttributeClassifier, drift
from imgan_edit.attributes import SLUGS

SIDE = 128
"""The aligned faces whose deep features are compared, in pixels."""

STRANGERS = 0.025
"""1 - `Change.similarity` of two people: the median of 80 pairs in LFW."""

MOVED = 5
"""Attributes that a receipt names beside those asked for: those that moved most."""


@dataclass(frozen=True)
class Change:
    """How far an edit moved a face."""

    asked: Sequence[int]
    """The attributes that were to move."""
    before: Floats
    """The classifier's probabilities [40]."""
    after: Floats
    distance: float
    """Perceptual."""
    similarity: float
    """The cosine between deep features of the bundled perceptual network, which knows no people:
    it is 0.986 for two photos of a person in LFW, and `1 - STRANGERS` for two people (medians)."""

    @property
    def drift(self) -> float:
        """Of the attributes that were not asked for."""
        return drift(self.before, self.after, self.asked)

    @property
    def identity_drift(self) -> float:
        """0 is the same face, 1 as far as another person's."""
        return (1 - self.similarity) / STRANGERS

    def beyond(self, limit: float) -> str | None:
        """What moved further than the limit, in words, or None."""
        moved = {"the other attributes": self.drift, "identity": self.identity_drift}
        worst = max(moved, key=moved.__getitem__)
        return f"{worst} moved by {moved[worst]:.3f}" if moved[worst] > limit else None

    @property
    def facts(self) -> Mapping[str, object]:
        """For people and scripts."""
        moved = np.argsort(-np.abs(self.after - self.before)).tolist()
        others = [i for i in moved if i not in self.asked][:MOVED]
        return {
            "attributes": {
                SLUGS[i]: {
                    "asked": i in self.asked,
                    "before": round(float(self.before[i]), 4),
                    "after": round(float(self.after[i]), 4),
                }
                for i in [*self.asked, *others]
            },
            "drift": round(self.drift, 5),
            "identity_drift": round(self.identity_drift, 5),
            "perceptual_distance": round(self.distance, 5),
            "similarity_features_conv5_3": round(self.similarity, 5),
        }


def cards(models: Models) -> list[ModelCard]:
    """Of the networks that a `EditMetrics` opens. Raises what `Models.find` raises."""
    return [attribute_classifier.card(models), perceptual.card(models)]


@dataclass(frozen=True)
class EditMetrics:
    """The networks that look at a face before and after."""

    classifier: AttributeClassifier
    features: Perceptual

    @classmethod
    def open(cls, runtime: Runtime) -> EditMetrics:
        features = runtime.session(perceptual.card(runtime.models))
        return cls(AttributeClassifier.open(runtime), Perceptual(features))

    def compare(self, before: Picture, after: Picture, face: Face, asked: Sequence[int]) -> Change:
        old, new = (self.classifier.sees(photo, face) for photo in (before, after))
        looks = self.features.compare(*(faces.align(p, face, SIDE) for p in (before, after)))
        return Change(asked, old, new, *looks)


def change_outside(before: Picture, after: Picture, edits: Sequence[Mark]) -> int:
    """The largest change of a value where no edit may change it: levels of the picture's own
    depth. It is that of the pixels, before a file format rounds them."""
    height, width = before.pixels.shape[:2]
    outside = np.ones((height, width), bool)
    for edit in edits:
        place, touched = edit.touched(before)
        outside[place] &= ~touched
    largest = 0
    for band in rows(height, width):
        old, new = before.pixels[band], after.pixels[band]
        if not np.array_equal(old, new):
            there = outside[band]
            moved = np.abs(new[there].astype(np.int32) - old[there])
            largest = max(largest, int(moved.max(initial=0)))
    return largest
