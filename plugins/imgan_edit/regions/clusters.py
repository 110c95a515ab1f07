"""Which colours of a photo are a part's: clusters of its pixels, and how much of each is that part.

A network that saw other photos is wrong where this one is unusual: a hand in the hair, a gap
between locks. There the colours are those of the face or of the ground, and most of what has them
here is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.images.fields import Floats, blurred
from imgan.images.oklab import to_oklab
from imgan_edit.regions.view import View

COUNT = 12
"""Clusters."""

SAMPLE = 5000
"""Pixels that they are found from."""

ROUNDS = 5
"""Of k-means, and then of expectation and maximization."""

HUES, PLACE = 2.0, 0.05
"""How much a and b count beside Oklab's lightness, and the distance of the eyes."""

LEAST = np.array([0.02, 0.015, 0.015, 0.025, 0.025]) ** 2
"""The least variance of a cluster's colours and places."""

FINE = 0.02
"""Colours are means over so much, of the eyes' distance."""


def share_of(part: Floats, view: View, near: NDArray[np.bool_]) -> Floats:
    """How much of what has a pixel's colour, thereabouts, is `part` [h, w]: [h, w] in 0..1, for the
    pixels that are `near`, 0 elsewhere.

    Clusters are a mixture of Gaussians over colour and place (Carson et al. 2002).
    """
    share = np.zeros(view.shape, np.float32)
    x, y = view.frame
    lab = blurred(to_oklab(view.pixels), max(0.6, FINE * view.eye_distance))
    planes = lab[..., 0], HUES * lab[..., 1], HUES * lab[..., 2], PLACE * x, PLACE * y
    points = np.stack([plane[near] for plane in planes], 1).astype(np.float32)
    if len(points) < 10 * COUNT:
        return part * near
    belongs = _mixture(points)(points)
    parts = part[near] @ belongs
    share[near] = belongs @ ((parts + 0.5) / (belongs.sum(0) + 1))
    return share


class _Mixture:
    """Gaussians. Called with points [n, d] it says how much each belongs to each of them."""

    def __init__(self, points: Floats, belongs: Floats) -> None:
        """The Gaussians of points that belong [n, k] to them."""
        self.sizes = belongs.sum(0) + 1e-3
        self.means = belongs.T @ points / self.sizes[:, None]
        self.covariances = np.stack(
            [
                ((part[:, None] * (points - mean)).T @ (points - mean)) / size + np.diag(LEAST)
                for part, mean, size in zip(belongs.T, self.means, self.sizes, strict=True)
            ]
        )

    def __call__(self, points: Floats) -> Floats:
        logs = np.empty((len(points), len(self.means)), np.float32)
        for k, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            root = np.linalg.inv(np.linalg.cholesky(covariance))
            apart = (points - mean) @ root.T.astype(np.float32)
            logs[:, k] = np.log(self.sizes[k] * np.linalg.det(root)) - (apart**2).sum(1) / 2
        chances = np.exp(logs - logs.max(1, keepdims=True))
        total: Floats = chances / chances.sum(1, keepdims=True)
        return total


def _mixture(points: Floats) -> _Mixture:
    """The clusters of points [n, 5]. The same points give the same clusters."""
    rng = np.random.default_rng(0)
    points = points[rng.choice(len(points), min(SAMPLE, len(points)), replace=False)]
    means = points[rng.choice(len(points), COUNT, replace=False)]
    for _ in range(ROUNDS):
        nearest = ((points[:, None] - means) ** 2).sum(2).argmin(1)
        belongs = np.eye(COUNT, dtype=np.float32)[nearest]
        sizes = belongs.sum(0)[:, None]
        means = np.where(sizes > 0, belongs.T @ points / np.maximum(sizes, 1), means)
    for _ in range(ROUNDS):
        mixture = _Mixture(points, belongs)
        belongs = mixture(points)
    return mixture
