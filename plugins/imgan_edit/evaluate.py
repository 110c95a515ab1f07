"""`imgan evaluate edit`: how often a classifier sees an edit, and how good that classifier is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.errors import Failure
from imgan.faces import Face
from imgan.images import Picture, open_picture, to_srgb
from imgan.images.tensors import Floats, encode
from imgan.metrics import fidelity
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import open_session
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.training.celeba import ATTRIBUTES_FILE, held_out, read_attributes, read_faces
from imgan_edit import Engine
from imgan_edit.attributes import SLUGS
from imgan_edit.engines import Editor, open_editor
from imgan_edit.judge import JUDGE, JUDGES, SIZE, drift
from imgan_edit.occlusion import Finder
from imgan_edit.receipt import Witness
from imgan_edit.run import added_figure, removed_figure
from imgan_edit.stroke import strokes

ENGINES = tuple(engine.model for engine in Engine if engine is not Engine.regions)
"""The models that are measured by default, as far as they are there."""

SUMMARY = {
    "PSNR of the network's face, unchanged": ".2f",
    "SSIM of the network's face, unchanged": ".3f",
    "PSNR of the photo, unchanged": ".2f",
    "SSIM of the photo, unchanged": ".3f",
    "similarity after an edit (features, conv5_3)": ".4f",
    "seconds an edit": ".3f",
}
"""The last rows, and how their figures are written."""


def evaluate(data: Path, model: str | None, device: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """A header and rows: of each attribute added and removed, of their means, and of `SUMMARY`. On
    CelebA's 500 held-out faces, for the model given or else for every engine that is installed.

    The judge sees what a person would: the photo as it is, and with an edit of strength 1. An
    attribute is there when its probability is above a half. "added" is the share of the faces
    without it that have it afterwards, "removed" of those with it that have lost it; "others moved"
    is the mean absolute change of the other 39 probabilities. "real" is what no edit need surpass:
    of the faces which CelebA's list, where there is one, says have it, the share in which the judge
    sees it, or likewise of those that have it not. The means are over the attributes that every
    model in the table knows. PSNR (dB) and SSIM, on luma, are those of no change at all: of the
    face that the network gives back, and of the photo. The similarity is the cosine between deep
    features of the bundled network, before and after one edit of each face. The seconds are the
    median for a face whose place is known.
    """
    photos = [open_picture(path) for path in held_out(data)]
    labels = _labels(data) if (data / ATTRIBUTES_FILE).exists() else None
    runtime = Runtime(device, Models.installed())
    witness, finder = Witness.open(runtime), Finder.open(runtime)
    before = np.stack([witness.judge.sees(photo, _face(photo)) for photo in photos])
    measured = {
        card.name: _measure(open_editor(card, runtime), witness, finder, photos, before)
        for card in _cards(model)
    }
    header = [f"{name}{figure}" for name in measured for figure in ("", ": others moved")]
    rows = []
    for key, there in ((added_figure, False), (removed_figure, True)):
        figures = {
            slug: [figure for engine in measured.values() for figure in engine.figures(slug, there)]
            for slug in SLUGS
            if any(slug in engine.knows for engine in measured.values())
        }
        real = {slug: _in_real(before, labels, SLUGS.index(slug), not there) for slug in figures}
        for slug, row in figures.items():
            count = ((before[:, SLUGS.index(slug)] > 0.5) == there).sum()
            rows.append([key(slug), str(count), *_texts([*row, real[slug]])])
        shared = {slug: row for slug, row in figures.items() if np.isfinite(row).all()}
        means = np.mean(list(shared.values()), axis=0) if shared else [np.nan] * len(header)
        ceiling = float(np.mean([real[slug] for slug in shared])) if shared else np.nan
        rows.append([key("mean"), "", *_texts([*means, ceiling])])
    for index, (name, form) in enumerate(SUMMARY.items()):
        values = (f"{engine.summary[index]:{form}}" for engine in measured.values())
        cells = (cell for value in values for cell in (value, ""))
        rows.append([name, str(len(photos)), *cells, ""])
    return ("figure", "faces", *header, "real"), rows


def evaluate_judge(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[list[str]]]:
    """How often the classifier agrees with CelebA's labels on the held-out faces.

    "baseline" is the agreement of always answering as most faces are; "recall" is the share of the
    faces with the attribute in which the classifier sees it.
    """
    judge = open_session(store.path(store.find(store.installed(), model or JUDGE, JUDGES)), device)
    labels = _labels(data)
    seen = judge.run(encode(read_faces(held_out(data), SIZE))) > 0
    share = labels.mean(0)
    columns = [
        (seen == labels).mean(0),
        np.maximum(share, 1 - share),
        (seen & labels).sum(0) / labels.sum(0).clip(1),
    ]
    table_rows = zip([*SLUGS, "mean"], *([*c, c.mean()] for c in columns), strict=True)
    header = ("attribute", "accuracy", "baseline", "recall")
    return header, [[name, *(f"{value:.3f}" for value in row)] for name, *row in table_rows]


def _labels(data: Path) -> NDArray[np.bool_]:
    """What CelebA's list says of the held-out faces, [F, 40]. Raises Failure without a list."""
    listing = data / ATTRIBUTES_FILE
    if not listing.exists():
        raise Failure(f"{listing} is missing: name CelebA's folder with --data")
    _, table = read_attributes(listing)
    return np.stack([table[path.name] for path in held_out(data)]) > 0.5


def _in_real(chances: Floats, labels: NDArray[np.bool_] | None, index: int, there: bool) -> float:
    """Of the faces that are labelled so, the share that the judge sees so; NaN without any."""
    if labels is None or not (chosen := labels[:, index] == there).any():
        return np.nan
    return float(((chances[chosen, index] > 0.5) == there).mean())


def _cards(model: str | None) -> list[ModelCard]:
    installed = store.installed()
    if model is not None:
        return [store.find(installed, model, "edit")]
    return [card for card in installed if card.name in ENGINES]


def _face(photo: Picture) -> Face:
    height, width = photo.pixels.shape[:2]
    return faces.whole(width, height)


@dataclass(frozen=True)
class Measured:
    """What an engine did to F faces."""

    knows: Sequence[str]
    before: Floats
    """Probabilities [F, 40]."""
    after: Floats
    """[F, K, 40], with each of the attributes that it knows made what it was not."""
    summary: Sequence[float]

    def figures(self, slug: str, there: bool) -> tuple[float, float]:
        """Of the faces that had the attribute, or had it not: the share in which that is no longer
        so, and how far the others moved. NaN where there is none."""
        index = SLUGS.index(slug)
        chosen = (self.before[:, index] > 0.5) == there
        if slug not in self.knows or not chosen.any():
            return np.nan, np.nan
        after = self.after[chosen, self.knows.index(slug)]
        moved = (after[:, index] > 0.5) != there
        return float(moved.mean()), drift(self.before[chosen], after, [index])


def _measure(
    editor: Editor, witness: Witness, finder: Finder, photos: Sequence[Picture], before: Floats
) -> Measured:
    known = [SLUGS.index(slug) for slug in editor.knows]
    afters, summaries = [], []
    for number, (photo, chances) in enumerate(zip(photos, before, strict=True)):
        face = _face(photo)
        wishes = np.eye(len(SLUGS), dtype=np.float32)[known] * np.where(chances > 0.5, -1, 1)
        changes = np.stack([editor.completed(wish, chances) for wish in wishes])
        one = number % len(changes)
        started = time.perf_counter()
        hidden = finder.hidden(photo, face)
        (stroke,) = strokes(editor, photo, face, changes[[one]], hidden)
        stroke.on(photo)
        seconds = time.perf_counter() - started
        (still,) = strokes(editor, photo, face, np.zeros((1, len(SLUGS)), np.float32), hidden)
        unchanged = still.on(photo)
        crop = faces.align(photo, face, editor.size)
        own = editor.own(crop[None])[0].round().clip(0, 255).astype(np.uint8)
        edited = [stroke.on(photo) for stroke in strokes(editor, photo, face, changes, hidden)]
        squares = np.stack([faces.align(picture, face, SIZE) for picture in edited])
        afters.append(witness.judge.probabilities(squares))
        change = witness.compare(photo, edited[one], face, ())
        written, seen = (to_srgb(picture.pixels, picture.source) for picture in (unchanged, photo))
        likeness = *fidelity(own, crop, 0), *fidelity(written, seen, 0)
        summaries.append((*likeness, change.similarity, seconds))
    *means, _ = np.mean(summaries, axis=0)
    summary = [*means, np.median([seconds for *_, seconds in summaries])]
    return Measured(editor.knows, before, np.stack(afters), summary)


def _texts(row: Iterable[float]) -> list[str]:
    """Shares and drifts by turns; "-" where there is none."""
    return [
        "-" if np.isnan(value) else f"{value:.{2 + place % 2}f}" for place, value in enumerate(row)
    ]
