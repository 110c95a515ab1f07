"""`imgan evaluate generate`: how near sampled faces are to faces that were held out."""

from __future__ import annotations

from pathlib import Path

from imgan.images import pictures
from imgan.metrics.kid import distances
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.sessions import open_session
from imgan.training.celeba import HELD_OUT, read_faces
from imgan_generate import GENERATOR
from imgan_generate.run import sample
from imgan_generate.style import is_style_based

SEED = 0

HEADER = ("measure", "sampled", "real")


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and rows: the kernel distance (`imgan.metrics.kid`) of as many sampled faces to the
    last 500 pictures of `data` by name, or as many as the card says were held out, and what chance
    makes of it. Styles are not truncated.

    Raises Misuse when the model serves another operation, Failure when there is no picture.
    """
    card = store.find(store.installed(), model or GENERATOR, "generate")
    session = open_session(store.path(card), device)
    paths = pictures(data)[-int(card.number("held_out", HELD_OUT)) :]
    sampled = sample(session, len(paths), SEED, 1.0 if is_style_based(session) else None)
    real = read_faces(paths, sampled.shape[1])
    features = open_features(device)
    rows: list[tuple[str, ...]] = [("pictures", str(len(sampled)), str(len(real)))]
    for name, figures in distances(features, [*real], [*sampled]):
        rows.append((f"kernel distance, {name}", *(f"{figure:.4f}" for figure in figures)))
    return HEADER, rows
