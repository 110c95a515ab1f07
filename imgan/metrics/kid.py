"""How near one set of pictures is to another: kernel distances of what is seen in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from imgan.images.tensors import Pixels
from imgan.metrics import kernel_distance
from imgan.metrics.perceptual import Perceptual

VIEWS = ("colour", "conv1_2", "conv3_3", "conv5_3")
"""What kernel distances are computed of: colours, and layers of the bundled features, which see
texture, its patterns, and things."""

BINS = 6
"""Steps of R, G and B in which colours are counted."""

HALVINGS = 50
"""Random halvings of the real pictures."""

Floats = NDArray[np.float64]


def distances(
    features: Perceptual, real: Sequence[Pixels], *sets: Sequence[Pixels]
) -> Iterator[tuple[str, list[float]]]:
    """For each of `VIEWS` how far each of the sets is from `real`, and what chance makes of it: the
    root mean square of the distances between two halves of `real`.

    Raises what `kernel_distance` and `Perceptual.means` raise.
    """
    seen = [[_views(features, picture) for picture in pictures] for pictures in (*sets, real)]
    for name in VIEWS:
        *others, wanted = (np.stack([view[name] for view in views]) for views in seen)
        yield name, [*(kernel_distance(other, wanted) for other in others), _by_chance(wanted)]


def _by_chance(wanted: Floats) -> float:
    rng = np.random.default_rng(0)
    orders = (rng.permutation(len(wanted)) for _ in range(HALVINGS))
    halves = [kernel_distance(wanted[o[::2]], wanted[o[1::2]]) for o in orders]
    return float(np.sqrt(np.mean(np.square(halves))))


def _views(features: Perceptual, picture: Pixels) -> dict[str, Floats]:
    """What stands for a picture in each of `VIEWS`: numbers whose mean square is 1 or less.

    Colours are the roots of how often each occurs, so that what two pictures have in common is
    the Bhattacharyya coefficient of their histograms.
    """
    counts, _ = np.histogramdd(picture.reshape(-1, 3), BINS, [(0, 256)] * 3)
    colours = np.sqrt(counts.ravel() / counts.sum())
    views = {**features.means(picture), "colour": colours}
    return {name: view * np.sqrt(view.size) for name, view in views.items()}
