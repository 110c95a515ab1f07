"""`imgan directions`: where styles of a generator of faces move, for each attribute.

Radford et al. 2016 (section 6.3.2) take the difference of the means of codes with and without an
attribute; Shen et al. 2020 (arXiv:1907.10786, section 3.1) the normal of the plane that a linear
classifier puts between them. What has which attribute, a classifier of faces says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats
from imgan.metrics.disentanglement import directions
from imgan.models.cards import Description, name_of
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_edit import Along
from imgan_edit.attribute_classifier import SIZE, AttributeClassifier
from imgan_edit.attributes import SLUGS
from imgan_edit.net import Directions
from imgan_edit.ports import DIRECTIONS
from imgan_exporters.onnx import write
from imgan_generate.style import StyleGenerator, draw

LEAST = 20
"""Pictures with an attribute, and without it, that a direction is made of."""

TESTED = 5
"""Of so many pictures one is not learned from: it tells how well a plane divides."""

AT_ONCE = 50
"""Pictures that are classified at once."""

HEADER = ("attribute", "pictures with it", "told by a plane")


def find(
    model: str, target: Path, along: Along, count: int, seed: int, overwrite: bool, device: str
) -> tuple[Sequence[str], list[list[str]]]:
    """Write the directions of a generator's styles, and return a header and rows: of every
    attribute that enough pictures have, how many, and the share of others on the right side of the
    plane, of those with it and without it alike.

    Raises Misuse for a model that is no style-based generator, Failure when its pictures vary in no
    attribute, and what `write` raises.
    """
    runtime = Runtime(device, Models.installed())
    card = runtime.models.find(model, "generate")
    w, chances = sampled(
        StyleGenerator(runtime.session(card)), AttributeClassifier.open(runtime), count, seed
    )
    has = chances > 0.5
    known = [k for k, with_it in enumerate(has.sum(0)) if LEAST <= with_it <= len(has) - LEAST]
    if not known:
        raise Failure(
            f"model {model}: of {count} pictures the classifier sees {LEAST} with and {LEAST} "
            "without in no attribute: is it a generator of aligned faces?"
        )
    vectors, normals = np.zeros((2, len(SLUGS), w.shape[1]), np.float32)
    rows = []
    vectors[known] = directions(w, has[:, known])
    for k in known:
        normals[k], accuracy = normal(w, has[:, k])
        if along is Along.normals:
            vectors[k] = (vectors[k] @ normals[k]) * normals[k]
        rows.append([SLUGS[k], str(has[:, k].sum()), f"{accuracy:.2f}"])
    description = Description(
        name=name_of(target),
        operation="edit",
        licence=card.licence,
        dataset=card.dataset,
        dataset_terms=card.dataset_terms,
        paper="Shen et al. 2020, arXiv:1907.10786",
        input="changes of 40 attributes",
        command=f"imgan directions {card.name} --along {along} --count {count} --seed {seed}",
        traits={"styles_of": card.sha256, "attributes": ",".join(SLUGS[k] for k in known)},
    )
    write(Directions(vectors, normals), DIRECTIONS, target, description, overwrite=overwrite)
    return HEADER, rows


def sampled(
    style: StyleGenerator, classifier: AttributeClassifier, count: int, seed: int
) -> tuple[Floats, Floats]:
    """Random styles [count, W], and what the classifier says of their pictures, [count, 40]."""
    z, noise = draw(style, count, seed)
    w = style.styles(z)
    chances = []
    for start in range(0, count, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        made = style.pictures(style.wide(w[part]), noise[part])
        chances.append(classifier.probabilities(np.stack([_seen(picture) for picture in made])))
    return w, np.concatenate(chances)


def _seen(picture: Bytes) -> Bytes:
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def normal(w: Floats, has: NDArray[np.bool_]) -> tuple[Floats, float]:
    """The normal [W], of length 1, of the plane between styles [N, W] that have an attribute and
    that have not; and the share of others on the right side of it, with and without counting
    alike."""
    tested = np.zeros(len(w), bool)
    for there in (True, False):
        tested[np.flatnonzero(has == there)[::TESTED]] = True
    # Rare attributes weigh as much as frequent ones: a plane beside all of them tells nothing.
    plane = LogisticRegression(class_weight="balanced", max_iter=1000)
    plane.fit(w[~tested], has[~tested])
    right = plane.predict(w[tested]) == has[tested]
    accuracy = np.mean([right[has[tested] == there].mean() for there in (True, False)])
    across = plane.coef_[0].astype(np.float32)
    return across / np.linalg.norm(across), float(accuracy)
