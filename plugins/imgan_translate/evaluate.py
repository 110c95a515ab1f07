"""`imgan evaluate translate`: how near pictures come to their target, and what they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan.images.tensors import Bytes
from imgan.metrics import edge_correlation, luma, ssim
from imgan.metrics.kid import distances
from imgan.metrics.perceptual import Perceptual, open_features
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import open_session
from imgan_translate.classifier import CLASSIFIERS, DomainClassifier, classifiers, find_classifier
from imgan_translate.paired_dataset import paired_dataset
from imgan_translate.preprocess import PREPROCESS, face_of, square
from imgan_translate.run import OPERATION, open_translator
from imgan_translate.traits import Direction

SPLITS = ("val", "test", "train")
"""Held-out pictures are taken before others."""

HEADER = ("measure", "translated", "untranslated", "real", "mean picture")

Row = tuple[str, list[float | None]]
"""A measure, and its figures in the order of `HEADER`, as far as they have a meaning."""


class Shown(NamedTuple):
    """Pictures after and before translation, and real ones of the target: the truths, if paired."""

    after: list[Bytes]
    before: list[Bytes]
    real: list[Bytes]


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and a row for each measure.

    `data` holds valA and valB (else testA and testB, else trainA and trainB), or pairs as
    `paired_dataset` finds them; for a model whose pairs are made out of single pictures, any
    pictures. "translated" are pictures as `imgan translate` makes them, "untranslated" those that
    it was given, which are to be beaten, "real" those of the target; of pairs, "mean picture" is
    the mean of the other truths. Models of faces are measured in the aligned squares that they see.

    Raises Misuse when the model is no translator, or none is named and there are several; Failure
    when `data` has another layout, a face is not found, or pictures are too few or too small.
    """
    every = [card for card in store.installed() if card.operation == OPERATION]
    card = _chosen(model, OPERATION, every)
    shown, paired = _shown(data, card, device)
    domains = card.traits.get("from"), card.traits.get("to")
    classifier = find_classifier(*domains, device)
    rows = list(_of_target(shown, open_features(device), classifier, f"seen as {domains[1]}"))
    rows += _of_pairs(shown) if paired else []
    header = HEADER if paired else HEADER[:-1]
    return header, [(name, *_texts(figures, len(header) - 1)) for name, figures in rows]


def evaluate_classifier(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, a row for each domain and one of their mean: how often it is right.

    Raises Misuse when the model tells no two domains apart, or none is named and there are several;
    Failure when `data` has not CycleGAN's layout.
    """
    card = _chosen(model, CLASSIFIERS, classifiers())
    if card not in classifiers():
        raise Misuse(f"model {card.name} does not tell two domains apart")
    session = open_session(store.path(card), device)
    folders = _domains(data)
    if folders is None:
        raise Failure(f"{data}: no valA and valB in it")
    right, rows = [], []
    for domain, folder in zip(("from", "to"), folders, strict=True):
        seen = [_srgb(open_picture(path)) for path in pictures(folder)]
        right.append(DomainClassifier(session, flipped=domain == "from").share(seen))
        rows.append((str(card.traits[domain]), str(len(seen)), f"{right[-1]:.3f}"))
    return ("domain", "pictures", "accuracy"), [*rows, ("mean", "", f"{np.mean(right):.3f}")]


def _of_target(
    shown: Shown, features: Perceptual, classifier: DomainClassifier | None, seen: str
) -> Iterator[Row]:
    yield "pictures", [len(kind) for kind in shown]
    for name, figures in distances(features, shown.real, shown.after, shown.before):
        yield f"kernel distance, {name}", [*figures]
    yield seen, [classifier.share(kind) for kind in shown] if classifier else []
    yield "distance to the input", [_mean(features.distance, shown.after, shown.before), 0.0]
    yield "edges of the input", [_mean(_edges, shown.after, shown.before), 1.0]


def _of_pairs(shown: Shown) -> Iterator[Row]:
    after, before, real = shown
    kinds = [after, before]
    if len({truth.shape for truth in real}) == 1:
        # Each without its own truth, which a model does not know either.
        rest = np.sum(real, axis=0) - np.stack(real)
        kinds.append([*(rest / (len(real) - 1)).round().astype(np.uint8)])
    for name, measure in (("SSIM to the truth", _ssim), ("L1 to the truth", _l1)):
        now, was, *mean = (_mean(measure, kind, real) for kind in kinds)
        yield name, [now, was, None, *mean]


def _shown(data: Path, card: ModelCard, device: str) -> tuple[Shown, bool]:
    """What is measured, and whether it is pairs."""
    translator = open_translator(card, device)
    if translator.traits.preprocess is not None and translator.traits.faces is None:
        real = [_srgb(open_picture(path)) for path in pictures(data)]
        before = [PREPROCESS[translator.traits.preprocess](photo) for photo in real]
        return Shown([translator(photo) for photo in real], before, real), True
    sources, targets, paired = _read(data)
    if translator.traits.direction is Direction.backward:
        sources, targets = targets, sources
    if translator.traits.faces is None:
        before, real = ([_srgb(picture) for picture in kind] for kind in (sources, targets))
        return Shown([translator(photo) for photo in before], before, real), paired
    places = [face_of(picture) for picture in sources]
    before = _squares(sources, places, translator.traits.side)
    # A truth is cut out where the face is in its input, so that both show the same.
    real = _squares(targets, places if paired else map(face_of, targets), translator.traits.side)
    return Shown([translator(face) for face in before], before, real), paired


def _squares(portraits: list[Picture], places: Iterable[Face], side: int) -> list[Bytes]:
    return [square(*pair, side) for pair in zip(portraits, places, strict=True)]


def _read(data: Path) -> tuple[list[Picture], list[Picture], bool]:
    """The pictures of A and of B, and whether they are pairs."""
    if folders := _domains(data):
        a, b = ([open_picture(path) for path in pictures(folder)] for folder in folders)
        return a, b, False
    a, b = map(list, zip(*paired_dataset(data), strict=True))
    return a, b, True


def _domains(data: Path) -> tuple[Path, Path] | None:
    """The folders of A and of B in CycleGAN's layout; None in another."""
    for split in SPLITS:
        a, b = data / f"{split}A", data / f"{split}B"
        if a.is_dir() and b.is_dir():
            return a, b
    return None


def _chosen(model: str | None, operation: str, every: Sequence[ModelCard]) -> ModelCard:
    """The card that --model names, else the only one of an operation."""
    if model:
        return store.find(store.installed(), model, operation)
    match every:
        case [card]:
            return card
    raise Misuse(f"--model is missing; known are {', '.join(c.name for c in every) or 'none'}")


def _mean(
    measure: Callable[[Bytes, Bytes], float], ones: Sequence[Bytes], others: Sequence[Bytes]
) -> float:
    return float(np.mean([measure(*pair) for pair in zip(ones, others, strict=True)]))


def _edges(one: Bytes, other: Bytes) -> float:
    return edge_correlation(luma(one), luma(other))


def _ssim(one: Bytes, other: Bytes) -> float:
    return ssim(luma(one), luma(other))


def _l1(one: Bytes, other: Bytes) -> float:
    """In 0..1."""
    return float(np.abs(one / 255 - other / 255).mean())


def _srgb(picture: Picture) -> Bytes:
    return to_srgb(picture.pixels, picture.source)


def _texts(figures: Sequence[float | None], columns: int) -> list[str]:
    texts = [f"{x:.3g}" if isinstance(x, float) else str(x or "-") for x in figures]
    return texts + ["-"] * (columns - len(texts))
