"""IcGAN by onnxruntime: z and y to faces, and faces to z and y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgan import faces
from imgan.errors import Failure
from imgan.images import Picture
from imgan.images.tensors import Bytes, Floats, decode, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.references import Reference
from imgan_generate import attributes_of


@dataclass(frozen=True)
class LabelledGenerator:
    """z [N, 100] and y [N, A] to faces; y is 1 for "has it" and -1 for "has not"."""

    session: Session
    attributes: tuple[str, ...]
    """What the numbers of y are, as they are typed."""

    @classmethod
    def of(cls, session: Session, card: ModelCard) -> LabelledGenerator:
        """Raises Failure when the card does not name as many attributes as y has."""
        attributes = attributes_of(card)
        if session.shapes["y"][-1] != len(attributes):
            raise Failure(f"model {card.name}: its card has to name the attributes of y")
        return cls(session, attributes)

    def planes(self, z: Floats, y: Floats) -> Floats:
        """Faces [N, 3, S, S] in -1..1, each a run of its own: so that a face is the same to the bit
        whatever is made beside it."""
        runs = [
            self.session.run_many({"z": z[k : k + 1], "y": y[k : k + 1]})["output"]
            for k in range(len(z))
        ]
        return np.concatenate(runs)

    def pictures(self, z: Floats, y: Floats) -> Bytes:
        """Faces [N, S, S, 3]."""
        return decode(self.planes(z, y))


def is_labelled(session: Session) -> bool:
    """Whether a generator takes attributes."""
    return session.shapes.keys() >= {"z", "y"}


def encoded(encoder: Session, crops: Bytes) -> tuple[Floats, Floats]:
    """z and y of faces [N, S, S, 3], as the encoders say."""
    said = encoder.run_many({"face": encode(crops)})
    return said["z"], said["y"]


def swapped(generator: LabelledGenerator, encoder: Session, photos: Sequence[Reference]) -> Bytes:
    """Two faces, as they are, the first with the attributes of the second, and the second with
    those of the first: [4, S, S, 3]. Raises Failure for a photo without a face."""
    side = encoder.shapes["face"][-1]
    assert isinstance(side, int)
    crops = np.stack([face_of(photo, side) for photo in photos])
    z, y = encoded(encoder, crops)
    return np.concatenate([crops, generator.pictures(z, y[::-1])])


def face_of(photo: Reference, side: int) -> Bytes:
    """The leftmost face in a photo, [S, S, 3]. Raises Failure when there is none."""
    found = faces.find(photo.pixels)
    if not found:
        raise Failure(f"{photo.name}: no face found")
    leftmost = min(found, key=lambda face: face.box[0])
    return faces.align(Picture(photo.pixels), leftmost, side)
