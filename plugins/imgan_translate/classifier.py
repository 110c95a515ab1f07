"""What a classifier of two domains takes a picture for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from imgan.images.tensors import Pixels, to_planes
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session, open_session

SIDE = 64
"""The shorter side of what a classifier sees, in pixels."""

CLASSIFIERS = "evaluate"
"""The operation that classifiers serve."""


@dataclass(frozen=True)
class DomainClassifier:
    """A classifier, warm, and the domain that it answers for: its own, or the other (`flipped`)."""

    session: Session
    flipped: bool = False

    def share(self, pictures: Iterable[Pixels]) -> float:
        """The share of [H, W, 3] sRGB pictures, 8 bits, that it takes for the domain."""
        return float(np.mean([self.logit(picture) > 0 for picture in pictures]))

    def logit(self, picture: Pixels) -> float:
        """How sure it is: above 0 for the domain."""
        small = ImageOps.cover(Image.fromarray(picture), (SIDE, SIDE), Image.Resampling.BICUBIC)
        logit = float(self.session.run(to_planes(np.asarray(small))[None])[0, 0])
        return -logit if self.flipped else logit


def classifiers() -> list[ModelCard]:
    """The installed classifiers of two domains, by name."""
    serving = (card for card in store.installed() if card.operation == CLASSIFIERS)
    return [card for card in serving if {"from", "to"} <= {*card.traits}]


def find_classifier(source: object, target: object, device: str) -> DomainClassifier | None:
    """The first that tells the two domains apart, whichever its own is; None without one."""
    for card in classifiers():
        own = card.traits["from"], card.traits["to"]
        if own in ((source, target), (target, source)):
            session = open_session(store.path(card), device)
            return DomainClassifier(session, flipped=own[1] != target)
    return None
