"""Smooth fields over a crop: means, mattes, displacements. Planes are float32 [h, w] or [h, w, C].

What is smooth is computed on a small copy and enlarged; only what meets the photo's own detail is
computed at its size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating]

Place = tuple[slice, slice]
"""Rows and columns."""

PASSES = 3
"""Box filters in a row that make a Gaussian (Wells 1986)."""

COARSEST = 2.0
"""A blur of more pixels than this is made on a smaller copy."""

FEW = 8
"""Windows up to this radius are added up pixel by pixel, larger ones by running sums."""

NEAR_WHOLE = 0.01
"""The part of a pixel that a radius is taken for whole by."""

REDUCED = 2.0
"""What becomes smaller by twice as much is made so by whole pixels first."""


def resized(planes: Floats, height: int, width: int, place: Place | None = None) -> Floats:
    """The planes at another size: cubic, antialiased when smaller, and within their own range; of
    that only the rows and columns of a `place`, if one is given."""
    if planes.shape[:2] == (height, width):
        return planes if place is None else planes[place]
    if planes.ndim == 3:
        rows, columns = place or (slice(0, height), slice(0, width))
        shape = rows.stop - rows.start, columns.stop - columns.start, planes.shape[2]
        made = np.empty(shape, np.float32)
        for channel in range(shape[2]):
            made[..., channel] = resized(planes[..., channel], height, width, place)
        return made
    image = Image.fromarray(np.ascontiguousarray(planes, np.float32))
    rows, columns = place or (slice(0, height), slice(0, width))
    down, across = planes.shape[0] / height, planes.shape[1] / width
    box = columns.start * across, rows.start * down, columns.stop * across, rows.stop * down
    size = columns.stop - columns.start, rows.stop - rows.start
    if not all(size):
        return np.zeros(size[::-1], np.float32)
    smaller = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=REDUCED))
    return smaller.clip(planes.min(), planes.max())


def reached(place: Place, shape: tuple[int, int], larger: tuple[int, int]) -> Place:
    """The rows and columns of a plane of a `larger` shape that those of a smaller one reach."""
    rows, columns = (
        slice(
            max(0, int((side.start - 2) * full / length)),
            min(full, int(np.ceil((side.stop + 2) * full / length))),
        )
        for side, length, full in zip(place, shape, larger, strict=True)
    )
    return rows, columns


def boxed(planes: Floats, radius: float) -> Floats:
    """Means over windows of 2 radius + 1 pixels a side, as far as they lie in the planes; between
    whole radii a mean of both windows'."""
    for axis in (0, 1):
        fine = int(radius)
        part = np.float32(radius - fine)
        if part <= NEAR_WHOLE:
            planes = _sums(planes, fine, axis) * _widths(planes, fine, axis)
            continue
        coarse = part * _widths(planes, fine + 1, axis)
        # The wider window is the narrower one and its two neighbours.
        sums, ends = _sums(planes, fine, axis), _ends(planes, fine + 1, axis)
        planes = sums * ((1 - part) * _widths(planes, fine, axis) + coarse) + ends * coarse
    return planes


def _sums(planes: Floats, radius: int, axis: int) -> Floats:
    """Over 2 radius + 1 neighbours along an axis."""
    count = planes.shape[axis]
    sums = np.array(planes, np.float32)
    if radius <= FEW:
        for step in range(1, min(radius, count - 1) + 1):
            _add_moved(sums, planes, step, axis)
        return sums
    totals = np.cumsum(planes, axis, np.float64)
    upper = np.minimum(np.arange(count) + radius, count - 1)
    sums = totals.take(upper, axis)
    start = radius + 1
    if axis == 0:
        sums[start:] -= totals[:-start]
    else:
        sums[:, start:] -= totals[:, :-start]
    return sums.astype(np.float32)


def _ends(planes: Floats, step: int, axis: int) -> Floats:
    """The sum of both pixels so many steps away along an axis."""
    sums = np.zeros(planes.shape, np.float32)
    if step < planes.shape[axis]:
        _add_moved(sums, planes, step, axis)
    return sums


def _add_moved(sums: Floats, planes: Floats, step: int, axis: int) -> None:
    """Add to `sums` both neighbours of each pixel so many steps away along an axis."""
    if axis == 0:
        sums[step:] += planes[:-step]
        sums[:-step] += planes[step:]
    else:
        sums[:, step:] += planes[:, :-step]
        sums[:, :-step] += planes[:, step:]


def _widths(planes: Floats, radius: int, axis: int) -> Floats:
    """1 / how many pixels windows hold, along an axis."""
    count = planes.shape[axis]
    places = np.arange(count)
    widths = (places + radius + 1).clip(max=count) - (places - radius).clip(min=0)
    shape = [1] * planes.ndim
    shape[axis] = count
    return (1 / widths).astype(np.float32).reshape(shape)


def blurred(planes: Floats, sigma: float) -> Floats:
    """A Gaussian of `sigma` pixels, very nearly."""
    height, width = planes.shape[:2]
    factor = min(sigma / COARSEST, min(height, width) / 8)
    if factor >= 2:
        small = resized(planes, round(height / factor), round(width / factor))
        return resized(blurred(small, sigma / factor), height, width)
    # A box of 2 r + 1 pixels has the variance ((2 r + 1)^2 - 1) / 12.
    radius = (np.sqrt(12 * sigma**2 / PASSES + 1) - 1) / 2
    for _ in range(PASSES):
        planes = boxed(planes, radius)
    return planes


def mean_of(planes: Floats, weights: Floats) -> Floats:
    """The mean [C] of planes [h, w, C] by weights [h, w]."""
    mean: Floats = (planes * weights[..., None]).sum((0, 1)) / weights.sum()
    return mean


def weighted_mean(planes: Floats, weights: Floats, sigma: float, least: float = 1e-3) -> Floats:
    """The planes' Gaussian mean where `weights` [h, w] say (normalized convolution, Knutsson and
    Westin 1993); where nothing weighs, the mean of all that does."""
    weight = weights[..., None] if planes.ndim == 3 else weights
    total = float(weights.sum()) + 1e-6
    overall = (planes * weight).sum((0, 1)) / total
    near = blurred(weights, sigma)
    near = near[..., None] if planes.ndim == 3 else near
    mean = (blurred(planes * weight, sigma) + least * overall) / (near + least)
    return mean.astype(np.float32)


def guided(
    guide: Floats, plane: Floats, radius: int, eps: float, photo: Floats | None = None
) -> Floats:
    """A guided filter with a guide in colour (He et al. 2013, equations 14 to 19).

    `guide` [h, w, 3] in 0..1, `plane` [h, w]: in every window the plane as an affine function of
    the guide's colours, so that its edges become the guide's. `eps` is the variance of the guide
    below which a window counts as flat. Of a larger `photo` [H, W, 3] the guide may be a small
    copy: the functions are enlarged and meet the photo's own pixels (He and Sun 2015).
    """
    height, width = guide.shape[:2]
    products = (guide[..., :, None] * guide[..., None, :]).reshape(height, width, 9)
    mean, squares = boxed(guide, radius), boxed(products, radius)
    variance = squares.reshape(height, width, 3, 3) - mean[..., :, None] * mean[..., None, :]
    plane_mean = boxed(plane, radius)
    covariance = boxed(guide * plane[..., None], radius) - mean * plane_mean[..., None]
    inverse = inverted(np.moveaxis(variance, (2, 3), (0, 1)), eps)
    slopes = np.einsum("ijhw,hwj->hwi", inverse, covariance)
    offsets = plane_mean - (slopes * mean).sum(2)
    slopes, offsets = boxed(slopes, radius), boxed(offsets, radius)
    if photo is not None:
        guide = photo
        slopes, offsets = (resized(p, *photo.shape[:2]) for p in (slopes, offsets))
    return ((slopes * guide).sum(2) + offsets).astype(np.float32)


def inverted(variance: Floats, ridge: float) -> Floats:
    """The inverses of symmetric matrices [3, 3, ...] with so much added along their diagonals, by
    cofactors."""
    xx, yy, zz = (variance[i, i].astype(np.float64) + ridge for i in range(3))
    xy, xz, yz = (variance[i, j].astype(np.float64) for i, j in ((0, 1), (0, 2), (1, 2)))
    first, second, third = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    scale = 1 / (xx * first + xy * second + xz * third)
    inverse = np.empty(variance.shape, np.float32)
    inverse[0, 0], inverse[1, 1] = scale * first, scale * (xx * zz - xz * xz)
    inverse[2, 2] = scale * (xx * yy - xy * xy)
    inverse[0, 1] = inverse[1, 0] = scale * second
    inverse[0, 2] = inverse[2, 0] = scale * third
    inverse[1, 2] = inverse[2, 1] = scale * (xy * xz - xx * yz)
    return inverse


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on, a cubic between."""
    t = ((values - low) / (high - low)).clip(0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def opened(mask: Floats, radius: float) -> Floats:
    """A mask in 0..1 that lost about `radius` pixels at its border, and is soft there."""
    return smoothstep(blurred(mask, max(radius, 0.5)), 0.7, 1.0)


def grown(mask: Floats, radius: float) -> Floats:
    """A mask in 0..1 that won about `radius` pixels at its border, and is soft there."""
    return smoothstep(blurred(mask, max(radius, 0.5)), 0.0, 0.3)


def warped(pixels: Floats, dx: Floats, dy: Floats) -> Floats:
    """Each pixel (column i, row j) becomes the picture [h, w, C] at (i + dx, j + dy), as
    `sampled`. Pixels that stay where they are stay equal to the bit."""
    moved = np.nonzero((dx != 0) | (dy != 0))
    result = pixels.copy()
    if not len(moved[0]):
        return result
    y, x = moved[0] + dy[moved], moved[1] + dx[moved]
    result[moved] = sampled(pixels, x, y).clip(0, 1)
    return result


def sampled(planes: Floats, x: Floats, y: Floats) -> Floats:
    """The planes [h, w, C] at columns x and rows y [n], cubic (Catmull and Rom 1974), [n, C]; what
    leaves them sees their edge."""
    height, width = planes.shape[:2]
    row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    down, across = _cubic(y - row), _cubic(x - column)
    flat = planes.reshape(height * width, -1)
    total = np.zeros((len(row), flat.shape[1]), np.float32)
    for j, weight_y in enumerate(down, -1):
        start = (row + j).clip(0, height - 1) * width
        line = np.zeros_like(total)
        for i, weight_x in enumerate(across, -1):
            line += weight_x[:, None] * flat[start + (column + i).clip(0, width - 1)]
        total += weight_y[:, None] * line
    return total


def _cubic(t: NDArray[np.floating]) -> list[Floats]:
    """The weights of the four neighbours of a place that lies `t` past the second."""
    t = t.astype(np.float32)
    t2, t3 = t * t, t * t * t
    return [
        (-t3 + 2 * t2 - t) / 2,
        (3 * t3 - 5 * t2 + 2) / 2,
        (-3 * t3 + 4 * t2 + t) / 2,
        (t3 - t2) / 2,
    ]
