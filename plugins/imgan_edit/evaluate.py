"""`imgan evaluate edit`: how often a classifier sees an edit, and how good that classifier is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from imgan import store
from imgan.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes, square
from imgan.errors import Failure
from imgan.images import open_picture, pictures, to_srgb
from imgan.session import open_session
from imgan_edit.attributes import SLUGS
from imgan_edit.judge import JUDGE, JUDGES, Judge, drift
from imgan_edit.vector import SIZE, Bytes, Floats, Vector, encode

BATCH = 100

HEADER = ("attribute", "added", "others moved", "faces", "removed", "others moved", "faces")


def evaluate(data: Path, model: str | None, device: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """A header, a row for each attribute, one of means: on the 500 held-out faces of CelebA.

    The judge sees what a person would: the face as it is, and with the masked difference of a
    change of strength 1 pasted onto it. An attribute is there when its probability is above a half.
    "added" is the share of the faces without it that have it afterwards, "removed" of those with it
    that have lost it; "others moved" is the mean absolute change of the other 39 probabilities.
    """
    card = store.find(store.installed(), model or "edit-vector", "edit")
    editor, judge = Vector(open_session(store.path(card), device)), Judge.open(device)
    faces = held_out(data)
    before = _judged(editor, judge, faces, np.zeros(len(SLUGS), np.float32))
    figures = []
    for attribute in range(len(SLUGS)):
        row: list[float] = []
        for sign in (1, -1):
            chosen = (before[:, attribute] > 0.5) == (sign < 0)
            change = np.zeros(len(SLUGS), np.float32)
            change[attribute] = sign
            after = _judged(editor, judge, faces[chosen], change)
            row += _figures(before[chosen], after, attribute, sign)
        figures.append(row)
    figures.append([float(mean) for mean in np.nanmean(figures, axis=0)])
    return HEADER, [
        [name, *_texts(row)] for name, row in zip([*SLUGS, "mean"], figures, strict=True)
    ]


def evaluate_judge(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[list[str]]]:
    """How often the classifier agrees with CelebA's labels on the held-out faces.

    "baseline" is the agreement of always answering as most faces are; "recall" is the share of the
    faces with the attribute in which the classifier sees it.
    """
    judge = open_session(store.path(store.find(store.installed(), model or JUDGE, JUDGES)), device)
    listing = data / ATTRIBUTES_FILE
    if not listing.exists():
        raise Failure(f"{listing} is missing: name CelebA's folder with --data")
    _, table = read_attributes(listing)
    labels = np.stack([table[path.name] for path in _held_out(data)]) > 0.5
    seen = judge.run(encode(held_out(data))) > 0
    share = labels.mean(0)
    columns = [
        (seen == labels).mean(0),
        np.maximum(share, 1 - share),
        (seen & labels).sum(0) / labels.sum(0).clip(1),
    ]
    table_rows = zip([*SLUGS, "mean"], *([*c, c.mean()] for c in columns), strict=True)
    header = ("attribute", "accuracy", "baseline", "recall")
    return header, [[name, *(f"{value:.3f}" for value in row)] for name, *row in table_rows]


def held_out(data: Path) -> Bytes:
    """The last 500 faces of a folder by name, [N, 64, 64, 3]. Raises Failure when there is none."""
    opened = [open_picture(path) for path in _held_out(data)]
    faces = [Image.fromarray(to_srgb(picture.pixels, picture.source)) for picture in opened]
    return np.stack([np.asarray(square(face, SIZE)) for face in faces])


def _held_out(data: Path) -> list[Path]:
    return pictures(data)[-HELD_OUT:]


def _judged(editor: Vector, judge: Judge, faces: Bytes, change: Floats) -> Floats:
    """Probabilities [N, 40] of the attributes after a change [40]."""
    chances = [np.empty((0, len(SLUGS)), np.float32)]
    for start in range(0, len(faces), BATCH):
        crops = faces[start : start + BATCH]
        moved, masks = editor(crops, np.repeat(change[None], len(crops), 0))
        edited = (crops + masks[..., None] * moved).round().clip(0, 255).astype(np.uint8)
        chances.append(judge.probabilities(edited))
    return np.concatenate(chances)


def _figures(before: Floats, after: Floats, attribute: int, sign: int) -> list[float]:
    """Share of successes, drift of the other attributes, and the number of faces."""
    if not len(before):
        return [np.nan, np.nan, 0]
    seen = (after[:, attribute] > 0.5) == (sign > 0)
    return [float(seen.mean()), drift(before, after, [attribute]), len(before)]


def _texts(row: list[float]) -> list[str]:
    texts = [f"{value:{form}}" for value, form in zip(row, (".2f", ".3f", ".0f") * 2, strict=True)]
    return ["-" if text == "nan" else text for text in texts]
