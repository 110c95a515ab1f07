"""`imgan evaluate edit`: how often a classifier sees an edit, and how good that classifier is."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.errors import Failure
from imgan.faces import Face
from imgan.images import Picture, open_picture
from imgan.images.tensors import Floats, encode
from imgan.models import store
from imgan.models.sessions import open_session
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.training.celeba import ATTRIBUTES_FILE, held_out, read_attributes, read_faces
from imgan_edit import Edit, Engine
from imgan_edit.artists import Artist, open_artist
from imgan_edit.attribute_classifier import CLASSIFIER, CLASSIFIERS, SIZE, drift
from imgan_edit.attributes import SLUGS
from imgan_edit.occlusion import Finder
from imgan_edit.receipt import EditMetrics, change_outside
from imgan_edit.run import added_figure, change, removed_figure

SUMMARY = {
    "largest change where none is meant": ".0f",
    "similarity after an edit (features, conv5_3)": ".4f",
    "seconds an edit": ".3f",
}
"""The last rows, and how their figures are written."""


def evaluate(data: Path, model: str | None, device: str) -> tuple[tuple[str, ...], list[list[str]]]:
    """A header and rows: of each attribute added and removed, of their means, and of `SUMMARY`. On
    CelebA's 500 held-out faces, for the model given or else for every engine that is installed.

    The classifier sees what a person would: the photo as it is, and with an edit of strength 1. An
    attribute is there when its probability is above a half. "added" is the share of the faces
    without it that have it afterwards, "removed" of those with it that have lost it; "others moved"
    is the mean absolute change of the other 39 probabilities. Faces on which an engine does not do
    what is asked are left out, also of the column "faces", which is that of the first engine.
    "real" is what no edit need surpass: of the faces which CelebA's list, where there is one, says
    have it, the share in which the classifier sees it, or likewise of those that have it not. The
    means are over the attributes that every engine in the table knows. The change where none is
    meant is the largest of a pixel, in levels. The similarity is the cosine between deep features
    of the bundled network, before and after an edit, and the seconds those of an edit of a face
    whose place is known: the medians.
    """
    photos = [open_picture(path) for path in held_out(data)]
    labels = _labels(data) if (data / ATTRIBUTES_FILE).exists() else None
    runtime = Runtime(device, Models.installed())
    metrics, finder = EditMetrics.open(runtime), Finder.open(runtime)
    before = np.stack([metrics.classifier.sees(photo, _face(photo)) for photo in photos])
    installed = {card.name for card in store.installed()}
    engines = [engine for engine in Engine if engine.model in installed]
    operations = [Edit(engine=engine, experimental=True) for engine in engines]
    if model:
        operations = [Edit(model=model)]
    measured = {
        operation.model or str(operation.engine): _measure(
            open_artist(operation, runtime), metrics, finder, photos, before
        )
        for operation in operations
    }
    header = [f"{name}{figure}" for name in measured for figure in ("", ": others moved")]
    rows = []
    for key, there in ((added_figure, False), (removed_figure, True)):
        figures = {
            slug: [figure for engine in measured.values() for figure in engine.figures(slug, there)]
            for slug in SLUGS
            if any((slug, not there) in engine.edits for engine in measured.values())
        }
        real = {slug: _in_real(before, labels, SLUGS.index(slug), not there) for slug in figures}
        for slug, row in figures.items():
            count = next(iter(measured.values())).chosen(slug, there).sum()
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


def evaluate_classifier(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[list[str]]]:
    """How often the classifier agrees with CelebA's labels on the held-out faces.

    "baseline" is the agreement of always answering as most faces are; "recall" is the share of the
    faces with the attribute in which the classifier sees it.
    """
    card = store.find(store.installed(), model or CLASSIFIER, CLASSIFIERS)
    classifier = open_session(store.path(card), device)
    labels = _labels(data)
    seen = classifier.run(encode(read_faces(held_out(data), SIZE))) > 0
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
    """Of the faces that are labelled so, the share that the classifier sees so; NaN without any."""
    if labels is None or not (chosen := labels[:, index] == there).any():
        return np.nan
    return float(((chances[chosen, index] > 0.5) == there).mean())


def _face(photo: Picture) -> Face:
    height, width = photo.pixels.shape[:2]
    return faces.whole(width, height)


@dataclass(frozen=True)
class Measured:
    """What an engine did to F faces."""

    edits: Collection[tuple[str, bool]]
    before: Floats
    """Probabilities [F, 40]."""
    after: Floats
    """[F, 40, 40], with each attribute made what it was not; NaN where that was not done."""
    summary: Sequence[float]

    def chosen(self, slug: str, there: bool) -> NDArray[np.bool_]:
        """The faces [F] that had the attribute, or had it not, and were edited."""
        index = SLUGS.index(slug)
        had: NDArray[np.bool_] = (self.before[:, index] > 0.5) == there
        return had & np.isfinite(self.after[:, index, 0])

    def figures(self, slug: str, there: bool) -> tuple[float, float]:
        """The share of the chosen in which that is no longer so, and how far the others moved. NaN
        where there is none."""
        index, chosen = SLUGS.index(slug), self.chosen(slug, there)
        if not chosen.any():
            return np.nan, np.nan
        after = self.after[chosen, index]
        moved = (after[:, index] > 0.5) != there
        return float(moved.mean()), drift(self.before[chosen], after, [index])


def _measure(
    artist: Artist, metrics: EditMetrics, finder: Finder, photos: Sequence[Picture], before: Floats
) -> Measured:
    after = np.full((len(photos), len(SLUGS), len(SLUGS)), np.nan, np.float32)
    summaries: list[tuple[float, float, float]] = []
    for number, (photo, chances) in enumerate(zip(photos, before, strict=True)):
        face = _face(photo)
        hidden = finder.hidden(photo, face)
        edited = {}
        for index, slug in enumerate(SLUGS):
            there = chances[index] > 0.5
            if (slug, not there) not in artist.edits:
                continue
            amounts = change({}, {slug: 1}, 1) if there else change({slug: 1}, {}, 1)
            started = time.perf_counter()
            try:
                mark = artist(photo, face, amounts, hidden)
            except Failure:
                continue
            edited[index] = mark.on(photo)
            summaries.append(
                (
                    change_outside(photo, edited[index], [mark]),
                    np.nan,
                    time.perf_counter() - started,
                )
            )
        if not edited:
            continue
        squares = [faces.align(picture, face, SIZE) for picture in edited.values()]
        after[number, list(edited)] = metrics.classifier.probabilities(np.stack(squares))
        one = [*edited][number % len(edited)]
        alike = metrics.compare(photo, edited[one], face, ()).similarity
        summaries.append((0, alike, np.nan))
    outside, similarity, seconds = np.array(summaries or [(np.nan,) * 3]).T
    summary = [np.max(outside), np.nanmedian(similarity), np.nanmedian(seconds)]
    return Measured(artist.edits, before, after, summary)


def _texts(row: Iterable[float]) -> list[str]:
    """Shares and drifts by turns; "-" where there is none."""
    return [
        "-" if np.isnan(value) else f"{value:.{2 + place % 2}f}" for place, value in enumerate(row)
    ]
