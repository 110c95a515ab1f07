"""Masks grown and shrunk, and smooth surfaces over holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def grown(mask: Mask, pixels: int = 1) -> Mask:
    """A mask [H, W] and what is at most so many pixels from it, diagonally or straight."""
    for axis in (0, 1) if pixels else ():
        mask = _along(mask, pixels, axis)
    return mask


def _along(mask: Mask, pixels: int, axis: int) -> Mask:
    # By the number of marks in a window, so that a large distance costs what a small one does.
    length = mask.shape[axis]
    count = np.zeros([n + (i == axis) for i, n in enumerate(mask.shape)], np.int32)
    count[(slice(None),) * axis + (slice(1, None),)] = np.cumsum(mask, axis, dtype=np.int32)
    places = np.arange(length)
    above = np.minimum(places + pixels + 1, length)
    below = np.maximum(places - pixels, 0)
    return np.asarray(count.take(above, axis) > count.take(below, axis))


def depth(mask: Mask, most: int) -> NDArray[np.uint8]:
    """How far each pixel of a mask [H, W] is from what is not masked, up to `most`; 0 outside."""
    deep = mask.astype(np.uint8)
    inside = mask
    for _ in range(most - 1):
        inside = ~grown(~inside)
        if not inside.any():
            break
        deep += inside
    return deep


def halved(picture: Floats, known: Mask) -> tuple[Floats, Mask]:
    """A picture [H, W, C] at half its size: means of what is known of each 2 x 2 pixels, and
    whether any of it is."""
    height, width = picture.shape[:2]
    odd = ((0, height % 2), (0, width % 2))
    if height % 2 or width % 2:
        picture, known = np.pad(picture, (*odd, (0, 0)), "edge"), np.pad(known, odd, "edge")
    weight = known.astype(np.float32)[..., None]
    total, weights = _sums(picture * weight), _sums(weight)
    mean = np.asarray(total / np.maximum(weights, 1), np.float32)
    return mean, weights[..., 0] > 0


def _sums(planes: Floats) -> Floats:
    rows = planes[0::2] + planes[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2])


def membrane(picture: Floats, hole: Mask) -> Floats:
    """A picture [H, W, C] whose hole is filled by the smoothest surface over its border: the
    solution of Laplace's equation, nearly, from coarse to fine."""
    if not hole.any() or hole.all():
        return picture
    filled = picture.copy()
    if min(hole.shape) > 2:
        small, known = halved(picture, ~hole)
        rough = membrane(small, ~known)
        height, width = hole.shape
        filled[hole] = doubled(rough)[:height, :width][hole]
    return _relaxed(filled, hole)


def doubled(planes: Floats) -> Floats:
    """Twice the size, linear between the middles of the pixels."""
    for axis in (0, 1):
        before = np.concatenate([planes.take([0], axis), planes], axis)
        after = np.concatenate([planes, planes.take([-1], axis)], axis)
        length = planes.shape[axis]
        first = 0.75 * planes + 0.25 * before.take(range(length), axis)
        second = 0.75 * planes + 0.25 * after.take(range(1, length + 1), axis)
        shape = list(planes.shape)
        shape[axis] *= 2
        planes = np.stack([first, second], axis + 1).reshape(shape)
    return planes


def _relaxed(filled: Floats, hole: Mask, rounds: int = 8) -> Floats:
    """Every pixel of the hole is the mean of its four neighbours, again and again."""
    places = np.flatnonzero(hole)
    height, width = hole.shape
    y, x = np.divmod(places, width)
    neighbours = [
        np.maximum(y - 1, 0) * width + x,
        np.minimum(y + 1, height - 1) * width + x,
        y * width + np.maximum(x - 1, 0),
        y * width + np.minimum(x + 1, width - 1),
    ]
    flat = filled.reshape(-1, filled.shape[2])
    for _ in range(rounds):
        flat[places] = sum(flat[neighbour] for neighbour in neighbours) / 4
    return filled


def seamless(picture: Floats, hole: Mask, made: Floats) -> Floats:
    """A picture [H, W, C] whose hole is filled with what was `made` for it, lighter or darker as it
    takes to meet the border, as in Poisson blending (Perez et al. 2003)."""
    weight = hole[..., None].astype(np.float32)
    beside = _box(made * weight) / np.maximum(_box(weight), 1e-6)
    border = grown(hole) & ~hole
    weight = border[..., None].astype(np.float32)
    # The mean along the border: light is to meet, and not texture.
    apart = np.asarray((picture - beside) * weight, np.float32)
    mean = _box(apart) / np.maximum(_box(weight), 1e-6)
    light = membrane(np.asarray(mean * weight, np.float32), ~border)
    return np.asarray(np.where(hole[..., None], made + light, picture), np.float32)


REACH = 15.0
"""How far, in pixels, a seam is spread."""

EDGE = 40.0
"""What is as steep as this against what is wanted is an edge, and stays."""

ROUNDS = 30
"""Steps of conjugate gradients."""


def smoothed(apart: Floats, hole: Mask) -> Floats:
    """What to add to the pixels of a hole, [N, 3], so that it gets other gradients.

    `apart` [H, W, 6] is how much larger the step to the next pixel is to be, on the right (three
    channels) and below. What is added is the screened Poisson equation's solution by conjugate
    gradients (Bhat et al. 2008): it fades with the distance REACH, and is 0 around the hole.
    """
    height, width = hole.shape
    places = np.flatnonzero(hole)
    index = np.full((height + 1, width + 1), len(places), np.int32)
    index[:-1, :-1].flat[np.flatnonzero(hole)] = np.arange(len(places), dtype=np.int32)
    y, x = np.divmod(places, width)
    sides = [index[y, x + 1], index[y + 1, x], index[y, x - 1], index[y - 1, x]]
    inner = [x + 1 < width, y + 1 < height, x > 0, y > 0]
    weight = (sum(i.astype(np.float32) for i in inner) + REACH**-2)[:, None]

    steps = apart.reshape(-1, 6)[places].reshape(-1, 2, 3)
    steps[np.abs(steps).max((1, 2)) > EDGE] = 0
    wanted = np.zeros((len(places) + 1, 3), np.float32)
    for axis in (0, 1):
        step = np.where((sides[axis] < len(places))[:, None], steps[:, axis], 0)
        wanted[:-1] -= step
        wanted[sides[axis]] += step  # no pixel is twice to the right of another
    left = wanted[:-1]

    added = np.zeros_like(left)
    way = np.zeros((len(places) + 1, 3), np.float32)
    way[:-1] = left
    length = np.square(left).sum(0)
    for _ in range(ROUNDS):
        bent = weight * way[:-1] - sum(way[side] for side in sides)
        far = length / np.maximum((way[:-1] * bent).sum(0), 1e-9)
        added += far * way[:-1]
        left -= far * bent
        before, length = length, np.square(left).sum(0)
        way[:-1] = left + (length / np.maximum(before, 1e-9)) * way[:-1]
    return added


def _box(planes: Floats) -> Floats:
    """Sums over 3 x 3 pixels."""
    height, width = planes.shape[:2]
    padded = np.pad(planes, ((1, 1), (1, 1), (0, 0)))
    parts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.asarray(sum(parts), np.float32)
