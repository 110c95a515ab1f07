"""`imgan evaluate edit-occlusion`: what is found of the things before a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan import faces
from imgan.images import Picture
from imgan.images.tensors import Bytes
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.training.celeba import held_out, read_faces
from imgan_edit.attribute_classifier import SIZE
from imgan_edit.occlusion import CELLS, Finder, share
from imgan_edit.selection import HIDDEN_MOST

PLACES = {
    "nothing": np.s_[:0, :0],
    "left half": np.s_[:, : CELLS // 2],
    "mouth and chin": np.s_[5 * CELLS // 8 :, :],
    "one cheek": np.s_[CELLS // 2 : 3 * CELLS // 4, CELLS // 2 : 3 * CELLS // 4],
}
"""Where a thing is before the face, in squares of the network."""

HEADER = ("before the face", "of", "found", "seen where nothing is", "refused")


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header and rows: of each place, covered by one colour and by a piece of another face.

    On the 500 held-out faces of a folder in CelebA's layout. "found" is the share of the covered
    squares, "seen where nothing is" that of the others; "refused" are the faces of which `imgan
    edit` would not edit any part. The colour is the mean of another face.
    """
    finder = Finder.open(Runtime(device, Models.installed()), model)
    pixels = read_faces(held_out(data), SIZE)
    # The next face, upside down, so that its mouth is not where a mouth is.
    others = np.roll(pixels, 1, 0)[:, ::-1]
    colours = np.broadcast_to(others.mean((1, 2), keepdims=True), others.shape).astype(np.uint8)
    rows = []
    for place, there in PLACES.items():
        cells = np.zeros((CELLS, CELLS), bool)
        cells[there] = True
        kinds = {"one colour": colours, "another face": others} if cells.any() else {"": pixels}
        for kind, things in kinds.items():
            rows.append((place, kind, *_figures(finder, pixels, things, cells)))
    return HEADER, rows


def _figures(
    finder: Finder, pixels: Bytes, things: Bytes, cells: NDArray[np.bool_]
) -> tuple[str, ...]:
    covered = np.kron(cells, np.ones((SIZE // CELLS, SIZE // CELLS), bool))[..., None]
    seen = np.stack([
        finder.hidden(Picture(face), faces.whole(SIZE, SIZE))
        for face in np.where(covered, things, pixels)
    ])  # fmt: skip
    found = f"{seen[:, cells].mean():.3f}" if cells.any() else "-"
    refused = np.mean([share(hidden) > HIDDEN_MOST for hidden in seen])
    return found, f"{seen[:, ~cells].mean():.3f}", f"{refused:.2f}"
