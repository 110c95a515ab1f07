"""The photo's own pixels moved by a few points that go somewhere and others that stay."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, resized, warped
from imgan_edit.regions.view import Change, View

RIDGE = 1e-3
"""How much a field may miss its points to stay smooth: two of them may be close together."""


def thin_plate(places: Floats, values: Floats, x: Floats, y: Floats) -> Floats:
    """The smoothest field [h, w, C] with these values [n, C] at these places [n, 2]: a thin-plate
    spline (Bookstein 1989), at x and y [h, w]."""
    count = len(places)
    affine = np.concatenate([np.ones((count, 1)), places], 1)
    system = np.zeros((count + 3, count + 3))
    apart = places[:, None] - places
    system[:count, :count] = _bend((apart**2).sum(2)) + RIDGE * np.eye(count)
    system[:count, count:] = affine
    system[count:, :count] = affine.T
    right = np.concatenate([values, np.zeros((3, values.shape[1]))])
    weights = np.linalg.solve(system, right).astype(np.float32)
    field = weights[count] + x[..., None] * weights[count + 1] + y[..., None] * weights[count + 2]
    for (px, py), weight in zip(places.astype(np.float32), weights, strict=False):
        field += _bend((x - px) ** 2 + (y - py) ** 2)[..., None] * weight
    return field.astype(np.float32)


def _bend(squares: Floats) -> Floats:
    return squares * np.log(np.maximum(squares, 1e-12))


def at_full_size(view: View, small: View, right: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Displacements along the face's axes, in distances of the eyes on a small copy of the view,
    as displacements along the photo's, in its pixels; under a hundredth of a pixel is none."""
    cos, sin = np.cos(np.radians(view.roll)), np.sin(np.radians(view.roll))
    unit = view.eye_distance
    planes = (unit * (cos * right - sin * down), unit * (sin * right + cos * down))
    dx, dy = (resized(plane.astype(np.float32), *view.shape) for plane in planes)
    still = np.hypot(dx, dy) < 0.01
    return np.where(still, 0, dx), np.where(still, 0, dy)


def pushed(view: View, small: View, right: Floats, down: Floats) -> Change:
    """The view whose pixels come from so far away, as `at_full_size` takes it."""
    dx, dy = at_full_size(view, small, right, down)
    where = ((dx != 0) | (dy != 0)).astype(np.float32)
    return Change(warped(view.pixels, dx, dy), where)
