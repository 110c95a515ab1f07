"""`imgan evaluate edit`: how often the attribute classifier sees an edit, and what else moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan import store
from imgan.celeba import HELD_OUT, square
from imgan.errors import Failure
from imgan.session import Session, open_session
from imgan_edit.attributes import SLUGS
from imgan_edit.run import SIZE, Bytes, Floats, difference, encode, soft_mask

JUDGE = "edit-classifier"
BATCH = 100

HEADER = ("attribute", "added", "others moved", "faces", "removed", "others moved", "faces")


def evaluate(data: Path, model: str | None, device: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """A header and a row for each attribute, from the 500 held-out faces of CelebA's folder.

    The judge sees what a person would: the face as it is, and with the masked difference of a
    change of strength 1 pasted onto it. An attribute is there when its probability is above a half.
    "added" is the share of the faces without it that have it afterwards, "removed" of those with it
    that have lost it; "others moved" is the mean absolute change of the other 39 probabilities.
    """
    cards = store.installed()
    editor = open_session(store.path(store.find(cards, model or "edit-vector")), device)
    judge = open_session(store.path(store.find(cards, JUDGE)), device)
    faces = held_out(data)
    before = _judged(editor, judge, faces, np.zeros(len(SLUGS), np.float32))
    rows = []
    for attribute, slug in enumerate(SLUGS):
        row = [slug]
        for sign in (1, -1):
            chosen = (before[:, attribute] > 0.5) == (sign < 0)
            change = np.zeros(len(SLUGS), np.float32)
            change[attribute] = sign
            after = _judged(editor, judge, faces[chosen], change)
            row += _figures(before[chosen], after, attribute, sign)
        rows.append(row)
    return HEADER, rows


def held_out(data: Path) -> Bytes:
    """The last 500 faces of a folder by name, [N, 64, 64, 3]. Raises Failure when there is none."""
    paths = sorted(data.rglob("*.jpg"))[-HELD_OUT:]
    if not paths:
        raise Failure(f"{data}: no JPEG in it; name CelebA's folder with --data")
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                pictures.append(np.asarray(square(picture.convert("RGB"), SIZE)))
        except OSError as error:
            raise Failure(f"{path}: not a readable picture ({error})") from error
    return np.stack(pictures)


def _judged(editor: Session, judge: Session, faces: Bytes, change: Floats) -> Floats:
    """Probabilities [N, 40] of the attributes after a change [40]."""
    chances = [np.empty((0, len(SLUGS)), np.float32)]
    for start in range(0, len(faces), BATCH):
        crops = faces[start : start + BATCH]
        moved = difference(editor, crops, np.repeat(change[None], len(crops), 0))
        edited = (crops + soft_mask(SIZE)[..., None] * moved).round().clip(0, 255)
        logits = judge.run(encode(edited))
        chances.append(1 / (1 + np.exp(-logits)))
    return np.concatenate(chances)


def _figures(before: Floats, after: Floats, attribute: int, sign: int) -> list[str]:
    if not len(before):
        return ["-", "-", "0"]
    seen: NDArray[np.bool_] = (after[:, attribute] > 0.5) == (sign > 0)
    others = np.delete(np.abs(after - before), attribute, axis=1)
    return [f"{seen.mean():.2f}", f"{others.mean():.3f}", str(len(before))]
