"""`imgan evaluate generate`: how near sampled faces are to faces that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes
from imgan.metrics.kid import distances
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.sessions import open_session
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes, read_faces
from imgan_generate import GENERATOR
from imgan_generate.labelled import LabelledGenerator, is_labelled
from imgan_generate.labels import slug
from imgan_generate.run import LATENT, sample
from imgan_generate.style import is_style_based

SEED = 0

HEADER = ("measure", "sampled", "real")


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and rows: the kernel distance (`imgan.metrics.kid`) of as many sampled faces to the
    last 500 pictures of `data` by name, or as many as the card says were held out, and what chance
    makes of it. Styles are not truncated; a generator that takes attributes gets those of the
    pictures.

    Raises Misuse when the model serves another operation, Failure when there is no picture, or no
    list of the attributes that the generator wants.
    """
    card = store.find(store.installed(), model or GENERATOR, "generate")
    session = open_session(store.path(card), device)
    paths = pictures(data)[-int(card.number("held_out", HELD_OUT)) :]
    sampled = (
        _labelled(LabelledGenerator.of(session, card), data, paths)
        if is_labelled(session)
        else sample(session, len(paths), SEED, 1.0 if is_style_based(session) else None)
    )
    real = read_faces(paths, sampled.shape[1])
    features = open_features(device)
    rows: list[tuple[str, ...]] = [("pictures", str(len(sampled)), str(len(real)))]
    for name, figures in distances(features, [*real], [*sampled]):
        rows.append((f"kernel distance, {name}", *(f"{figure:.4f}" for figure in figures)))
    return HEADER, rows


def _labelled(generator: LabelledGenerator, data: Path, paths: Sequence[Path]) -> Bytes:
    """A face with the attributes of each picture, [N, S, S, 3]."""
    listing = data / ATTRIBUTES_FILE
    if not listing.exists():
        raise Failure(f"{listing} is missing: the generator wants attributes")
    names, table = read_attributes(listing)
    columns = [list(map(slug, names)).index(name) for name in generator.attributes]
    y = np.stack([2 * table[path.name][columns] - 1 for path in paths])
    z = np.random.default_rng(SEED).standard_normal((len(y), LATENT), np.float32)
    return generator.pictures(z, y)
