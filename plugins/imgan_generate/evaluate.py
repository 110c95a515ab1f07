"""`imgan evaluate generate`: how near sampled faces are to faces that were held out."""

from __future__ import annotations

from pathlib import Path

from imgan.metrics.kid import distances
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.sessions import open_session
from imgan.training.celeba import held_out, read_faces
from imgan_generate import GENERATOR
from imgan_generate.run import sample

SEED = 0

HEADER = ("measure", "sampled", "real")


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and rows: the kernel distance (`imgan.metrics.kid`) of as many sampled faces to the
    last 500 aligned faces of `data` by name, and what chance makes of it.

    Raises Misuse when the model serves another operation, Failure when there is no picture.
    """
    card = store.find(store.installed(), model or GENERATOR, "generate")
    session = open_session(store.path(card), device)
    paths = held_out(data)
    sampled = sample(session, len(paths), SEED)
    real = read_faces(paths, sampled.shape[1])
    features = open_features(device)
    rows: list[tuple[str, ...]] = [("faces", str(len(sampled)), str(len(real)))]
    for name, figures in distances(features, [*real], [*sampled]):
        rows.append((f"kernel distance, {name}", *(f"{figure:.4f}" for figure in figures)))
    return HEADER, rows
