"""How different two pictures look, by deep features and onnxruntime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.tensors import Pixels, Planes, to_planes
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session, open_session
from imgan.models.store import Models

ROLE = "features"
"""What the cards of perceptual networks serve: whichever plugin brings one."""

MODEL = ROLE
"""The one that is taken unless another is named."""

SCALES = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
"""The layers that are compared: the last of VGG-16 before each pooling, and its deepest."""

EPSILON = 1e-6
"""Added to a squared length, so that a place where nothing fires has no direction."""

LEAST = 16
"""Pixels a side that five scales need."""


class Perceptual:
    """The distance of `imgan.training.perceptual.distance` between pictures, without torch."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def distance(self, a: Pixels, b: Pixels) -> float:
        """Of two [H, W, 3] sRGB pictures of one size, 8 or 16 bits: 0 when equal, at most 2.

        Raises Failure when their sizes differ or a side is under 16 px, and what
        `Session.run_many` raises.
        """
        return self.compare(a, b)[0]

    def compare(self, a: Pixels, b: Pixels) -> tuple[float, float]:
        """`distance`, and the cosine between the means over all places of the deepest features: 1
        when equal, and lower the more the content differs. Raises what `distance` raises."""
        if a.shape != b.shape or min(a.shape[:2]) < LEAST:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (a, b))
            raise Failure(
                f"{sizes} px: a perceptual distance is that of two pictures of one size, "
                f"{LEAST} px a side or more"
            )
        layers = self.session.run_many({"input": np.stack([to_planes(a), to_planes(b)])})
        distance = float(np.mean([_apart(*map(_unit, layers[scale])) for scale in SCALES]))
        one, other = layers[SCALES[-1]].astype(np.float64).mean(axis=(2, 3))
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        # Two pictures in which nothing fires are alike.
        return distance, float(one @ other / lengths) if lengths else 1.0

    def means(self, picture: Pixels) -> dict[str, NDArray[np.float64]]:
        """Of a [H, W, 3] sRGB picture, for each of `SCALES`, the activations [C] brought to unit
        length at every place, as in `distance`, and averaged over the places.

        Raises what `Session.run_many` raises.
        """
        layers = self.session.run_many({"input": to_planes(picture)[None]})
        units = {scale: _unit(layers[scale][0]) for scale in SCALES}
        return {scale: unit.mean(axis=(1, 2), dtype=np.float64) for scale, unit in units.items()}


def card(models: Models, name: str | None = None) -> ModelCard:
    """Of the network that is taken unless another is named. Raises what `Models.find` raises."""
    return models.find(name or MODEL, ROLE)


def open_features(device: str = "auto", model: str | None = None) -> Perceptual:
    """The bundled network, or another of its kind by a card's name, on a device.

    Raises what `Models.find`, `store.path` and `open_session` raise.
    """
    return Perceptual(open_session(store.path(card(Models.installed(), model)), device))


def _unit(layer: Planes) -> Planes:
    length = np.sqrt(np.square(layer).sum(axis=0) + EPSILON)
    return np.asarray(layer / length)


def _apart(one: Planes, other: Planes) -> float:
    return float(np.square(one - other).sum(axis=0).mean())
