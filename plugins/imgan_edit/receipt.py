"""What is measured of an edit, for `--receipt` and `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from imgan import faces
from imgan.codecs import rows
from imgan.faces import Face
from imgan.images import Picture
from imgan.perceptual import Perceptual
from imgan_edit.attributes import SLUGS
from imgan_edit.judge import drift
from imgan_edit.vector import Floats

SIDE = 128
"""The aligned faces whose deep features are compared, in pixels."""

MOVED = 5
"""Attributes that a receipt names beside those asked for: those that moved most."""


def of_face(
    before: Picture,
    after: Picture,
    face: Face,
    chances: tuple[Floats, Floats],
    asked: Sequence[int],
    features: Perceptual,
) -> Mapping[str, object]:
    """The facts about one face; `chances` are the classifier's, before and after.

    There is no network here that knows people: the similarity is the cosine between deep features
    of the bundled perceptual network. Ten pairs of different people in CelebA have 0.88 to 0.99.
    """
    old, new = chances
    moved = [i for i in np.argsort(-np.abs(new - old)).tolist() if i not in asked][:MOVED]
    distance, similarity = features.compare(
        faces.align(before, face, SIDE), faces.align(after, face, SIDE)
    )
    return {
        "attributes": {
            SLUGS[i]: {
                "asked": i in asked,
                "before": round(float(old[i]), 4),
                "after": round(float(new[i]), 4),
            }
            for i in [*asked, *moved]
        },
        "drift": round(drift(old, new, asked), 5),
        "perceptual_distance": round(distance, 5),
        "similarity_features_conv5_3": round(similarity, 5),
    }


def change_outside(before: Picture, after: Picture, edits: Sequence[tuple[Face, Floats]]) -> int:
    """The largest change of a value where every face's mask [size, size] is 0: levels of the
    picture's own depth. It is that of the pixels, before a file format rounds them."""
    height, width = before.pixels.shape[:2]
    outside = np.ones((height, width), bool)
    for face, mask in edits:
        place, weight = faces.spread(before, face, mask)
        outside[place] &= weight == 0
    largest = 0
    for band in rows(height, width):
        there = outside[band]
        old, new = before.pixels[band][there], after.pixels[band][there]
        if (old != new).any():
            largest = max(largest, int(np.abs(new.astype(np.int32) - old).max()))
    return largest
