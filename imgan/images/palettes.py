"""From one cloud of colours to another."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats


def color_transfer(own: Floats, wanted: Floats) -> Floats:
    """The symmetric matrix [n, n] that gives colours of covariance `own` [n, n] the covariance
    `wanted` and moves them least (Pitie and Kokaram 2007): with S and T the two covariances,
    A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2)."""
    root, back = _power(own, 0.5), _power(own, -0.5)
    return back @ _power(root @ wanted @ root, 0.5) @ back


def _power(matrix: Floats, power: float) -> Floats:
    """Of a symmetric matrix with eigenvalues above 0."""
    values, vectors = np.linalg.eigh(matrix)
    raised: Floats = (vectors * values.clip(min=1e-9) ** power) @ vectors.T
    return raised
