"""Which way hair runs, and what is drawn along it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.images.fields import Floats, blurred, resized
from imgan_edit.regions.view import View

GRAIN, LOCK = 0.015, 0.16
"""How far gradients are gathered, in distances of the eyes: at strands; and where those are not to
be seen, from the locks around."""

LARGE = 120.0
"""Distance of the eyes, in pixels, at which strands are drawn at least."""

WEAK = 2e-5
"""The square of a slope, per pixel, that is as strong as what is expected of a head of hair."""


def hair_flow(view: View, light: Floats, hair: Floats) -> Floats:
    """The direction of the strands [h, w, 2], as unit vectors x, y that mean both ways along them.

    It is the eigenvector of the structure tensor (Bigun and Granlund 1987) along which lightness
    `light` [h, w] changes least, gathered where there is `hair` [h, w]. Where nothing is seen hair
    runs away from the crown, and down beside the face.
    """
    unit = view.eye_distance
    down, across = np.gradient(blurred(light, max(0.6, 0.008 * unit)))
    inside = blurred(hair, 0.02 * unit) ** 2
    tensor = np.stack([across * across, across * down, down * down], 2) * inside[..., None]
    tensor = blurred(tensor.astype(np.float32), GRAIN * unit)
    tensor += 0.3 * blurred(tensor, LOCK * unit)
    right, below = view.frame
    # Away from a crown above the forehead; down, and a little outwards, from the temples on.
    x, y = right, np.maximum(below + 1.3, 0.05)
    y = y + 1.5 * np.maximum(below + 0.3, 0)
    length = np.hypot(x, y) + 1e-6
    x, y = x / length, y / length
    roll = np.radians(view.roll)
    x, y = np.cos(roll) * x - np.sin(roll) * y, np.sin(roll) * x + np.cos(roll) * y
    expected = np.stack([y * y, -x * y, x * x], 2)
    tensor = tensor + WEAK * (64 / unit) ** 2 * expected
    xx, xy, yy = np.moveaxis(tensor, 2, 0)
    # Across the strands is the larger eigenvector, at this angle; along them a quarter further.
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], 2).astype(np.float32)


def along(
    plane: Floats, flow: Floats, length: float, there: NDArray[np.bool_], pace: float = 1.0
) -> Floats:
    """The mean of a plane [h, w] over `length` pixels along a flow, both ways in steps of `pace`,
    at the pixels that are `there` [h, w], and 0 elsewhere: line integral convolution (Cabral and
    Leedom 1993)."""
    height, width = plane.shape
    flat, vectors = plane.ravel(), np.float32(pace) * flow.reshape(-1, 2)
    start = np.flatnonzero(there).astype(np.int32)
    total, count = flat[start].copy(), 1
    for sign in (np.float32(-1), np.float32(1)):
        rows, columns = np.divmod(start, np.int32(width))
        x, y = columns.astype(np.float32), rows.astype(np.float32)
        way = sign * vectors[start]
        for _ in range(max(1, round(length / 2 / pace))):
            x = (x + way[:, 0]).clip(0, width - 1)
            y = (y + way[:, 1]).clip(0, height - 1)
            place = (y + 0.5).astype(np.int32) * width + (x + 0.5).astype(np.int32)
            total += flat[place]
            step = vectors[place]
            # A direction means both ways: keep going.
            back = (step[:, 0] * way[:, 0] + step[:, 1] * way[:, 1]) < 0
            way = np.where(back[:, None], -step, step)
            count += 1
    result = np.zeros(height * width, np.float32)
    result[start] = total / count
    return result.reshape(height, width)


def strands(
    flow: Floats, unit: float, there: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    """Noise [h, w] of deviation 1 at most that looks like hair along a flow, where that is `there`
    [h, w]: single strands, and locks of them. `unit` is the eyes' distance in pixels: of a small
    face strands are drawn larger and reduced, so that they are fainter, as photos have them."""
    height, width = there.shape
    times = max(1, round(LARGE / unit))
    flow = flow.repeat(times, 0).repeat(times, 1)
    there = there.repeat(times, 0).repeat(times, 1)
    made = np.zeros(there.shape, np.float32)
    for thick, length in ((1.3, 0.5), (0.03 * unit * times, 0.6)):
        size = max(2, round(times * height / thick)), max(2, round(times * width / thick))
        noise = resized(rng.standard_normal(size).astype(np.float32), *there.shape)
        line = along(noise, flow, length * unit * times, there, 2.0)
        made += line / (1.41 * line[there].std() + 1e-6)
    return made.reshape(height, times, width, times).mean((1, 3))
