"""L-BFGS for pictures, without PyTorch: few steps, each as dear as a pass through a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from imgan.images.tensors import Floats

MEMORY = 8
"""The steps that are remembered, each with two copies of the picture."""

Remembered = tuple[Floats, Floats, np.float32]
"""A step, the change of the slope along it, and their product."""

CURVED = 1e-6
"""The cosine between a step and the change of the slope from which on it is remembered."""


def descend(
    picture: Floats,
    slope: Callable[[Floats], tuple[float, Floats]],
    steps: int,
    watch: Callable[[int], None] = lambda taken: None,
) -> Floats:
    """Go `steps` steps down from a picture of values in 0..1, which is not left.

    `slope` gives a loss of 0 or more and its gradient, and `watch` hears of every step. The first
    is Polyak's for a loss that may reach 0 (1987, section 5.3), the others are those of L-BFGS
    (Nocedal & Wright 2006, algorithm 7.4). No line is searched, for that costs evaluations: a step
    that led up is taken again at a quarter of its length, and the last one is not looked at.
    """
    memory: deque[Remembered] = deque(maxlen=MEMORY)
    best, least = picture, np.inf
    there = direction = np.zeros_like(picture)
    for taken in range(steps):
        loss, gradient = slope(picture)
        if loss < least:
            step, change = picture - best, gradient - there
            rise = _dot(step, change)
            if rise > CURVED * np.sqrt(_dot(step, step) * _dot(change, change)):
                memory.append((step, change, rise))
            best, least, there = picture, loss, gradient
            direction = _direction(gradient, loss, memory)
        else:
            direction = direction * np.float32(0.25)
        picture = np.clip(best - direction, 0, 1)
        watch(taken + 1)
    return picture


def _direction(gradient: Floats, loss: float, memory: deque[Remembered]) -> Floats:
    """What is to be taken from the picture."""
    if not memory:
        steepness = max(_dot(gradient, gradient), np.finfo(np.float32).tiny)
        return gradient * np.float32(loss / steepness)
    way = gradient
    shares = []
    for step, change, rise in reversed(memory):
        shares.append(_dot(step, way) / rise)
        way = way - shares[-1] * change
    _, change, rise = memory[-1]
    way = way * (rise / _dot(change, change))
    for (step, change, rise), share in zip(memory, reversed(shares), strict=True):
        way = way + step * (share - _dot(change, way) / rise)
    return way


def _dot(a: Floats, b: Floats) -> np.float32:
    product: np.float32 = np.vdot(a, b)
    return product
