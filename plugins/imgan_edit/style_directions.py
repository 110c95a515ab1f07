"""`imgan directions`: where styles of a generator of faces move, for each attribute.

Radford et al. 2016 (section 6.3.2) take the difference of the means of codes with and without an
attribute; Shen et al. 2020 (arXiv:1907.10786, section 3.1) the normal of the plane that a linear
classifier puts between them. What has which attribute, a classifier says of generated faces, or
CelebA's list of real ones, whose styles an encoder says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats, encode
from imgan.metrics.disentanglement import directions
from imgan.models.cards import Description, ModelCard, name_of
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.faces import Faces
from imgan_edit import Along
from imgan_edit.attribute_classifier import SIZE, AttributeClassifier
from imgan_edit.attributes import NAMES, SLUGS
from imgan_edit.net import Directions
from imgan_edit.ports import DIRECTIONS
from imgan_exporters.onnx import write
from imgan_generate.style import StyleGenerator, draw
from imgan_invert import encoder_of

LEAST = 20
"""Pictures with an attribute, and without it, that a direction is made of."""

TOLD = 0.7
"""The share that a plane has to tell: below there is no direction to speak of."""

TESTED = 5
"""Of so many pictures one is not learned from: it tells how well a plane divides."""

AT_ONCE = 50
"""Pictures that are classified, or encoded, at once."""

HEADER = ("attribute", "pictures with it", "told by a plane", "direction")


def find(
    model: str,
    target: Path,
    data: Path | None,
    along: Along,
    count: int,
    seed: int,
    overwrite: bool,
    device: str,
) -> tuple[Sequence[str], list[list[str]]]:
    """Write the directions of a generator's styles, and return a header and rows: of every
    attribute that enough pictures have, how many, the share of others on the right side of the
    plane, of those with it and without it alike, and whether that is enough for a direction. The
    pictures are generated, or the first of `data`.

    Raises Misuse for a model that is no style-based generator, Failure when its pictures vary in no
    attribute, what `listed` raises, and what `write` raises.
    """
    runtime = Runtime(device, Models.installed())
    card = runtime.models.find(model, "generate")
    if data is None:
        style, classifier = StyleGenerator(runtime.session(card)), AttributeClassifier.open(runtime)
        w, chances = sampled(style, classifier, count, seed)
        has = chances > 0.5
    else:
        w, has = listed(card, data, runtime, count)
    vectors, normals = np.zeros((2, len(SLUGS), w.shape[1]), np.float32)
    known, rows = [], []
    for k, with_it in enumerate(has.sum(0)):
        if not LEAST <= with_it <= len(has) - LEAST:
            continue
        across, accuracy = normal(w, has[:, k])
        told = accuracy >= TOLD
        rows.append([SLUGS[k], str(with_it), f"{accuracy:.2f}", "yes" if told else "no"])
        if told:
            known.append(k)
            normals[k] = across
    if not known:
        raise Failure(
            f"model {model}: {len(has)} pictures give a direction for no attribute: is it a "
            "generator of aligned faces?"
        )
    vectors[known] = directions(w, has[:, known])
    if along is Along.normals:
        vectors = (vectors * normals).sum(1, keepdims=True) * normals
    seen = f"--count {count} --seed {seed}" if data is None else f"--data celeba --count {count}"
    description = Description(
        name=name_of(target),
        operation="edit",
        licence=card.licence,
        dataset=card.dataset,
        dataset_terms=card.dataset_terms,
        paper="Shen et al. 2020, arXiv:1907.10786",
        input="changes of 40 attributes",
        command=f"imgan directions {card.name} --along {along} {seen}",
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


def listed(
    card: ModelCard, data: Path, runtime: Runtime, count: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """The mean styles [N, W] that an encoder says of the first `count` faces of a folder, less
    those held out, and what CelebA's list says of them, [N, 40].

    Raises Failure without an encoder or a list, and what `Faces` raises.
    """
    encoder = encoder_of(runtime.models, card)
    if encoder is None:
        raise Failure(f"--data: no encoder for {card.name} is installed")
    style, session = StyleGenerator(runtime.session(card)), runtime.session(encoder)
    faces = Faces(data, style.side)
    if faces.labels is None or faces.names != list(NAMES):
        raise Failure(f"{data}: no {ATTRIBUTES_FILE} with CelebA's 40 attributes lies beside faces")
    parts = np.array_split(faces.pixels[:count], -(-count // AT_ONCE))
    w = np.concatenate([session.run(encode(part)).mean(1) for part in parts if len(part)])
    return w, faces.labels[:count] > 0


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
