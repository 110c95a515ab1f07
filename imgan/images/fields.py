"""Smooth fields over a crop: means, mattes, displacements. Planes are float32 [h, w] or [h, w, C].

What is smooth is computed on a small copy and enlarged; only what meets the photo's own detail is
computed at its size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating]

PASSES = 3
"""Box filters in a row that make a Gaussian (Wells 1986)."""

COARSEST = 2.0
"""A blur of more pixels than this is made on a smaller copy."""


def resized(planes: Floats, height: int, width: int) -> Floats:
    """The planes at another size: cubic, antialiased when smaller, and within their own range."""
    if planes.shape[:2] == (height, width):
        return planes
    if planes.ndim == 2:
        image = Image.fromarray(np.ascontiguousarray(planes, np.float32))
        plane = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        return plane.clip(planes.min(), planes.max())
    channels = [resized(plane, height, width) for plane in np.moveaxis(planes, 2, 0)]
    return np.stack(channels, 2)


def boxed(planes: Floats, radius: int) -> Floats:
    """Means over windows of 2 radius + 1 pixels a side, as far as they lie in the planes."""
    for axis in (0, 1):
        count = planes.shape[axis]
        sums = np.cumsum(planes, axis, np.float64)
        sums = np.insert(sums, 0, 0, axis)
        places = np.arange(count)
        upper, lower = (places + radius + 1).clip(max=count), (places - radius).clip(min=0)
        shape = [1] * planes.ndim
        shape[axis] = count
        widths = (upper - lower).reshape(shape)
        planes = ((sums.take(upper, axis) - sums.take(lower, axis)) / widths).astype(np.float32)
    return planes


def blurred(planes: Floats, sigma: float) -> Floats:
    """A Gaussian of `sigma` pixels, very nearly."""
    height, width = planes.shape[:2]
    factor = min(sigma / COARSEST, min(height, width) / 8)
    if factor >= 2:
        small = resized(planes, round(height / factor), round(width / factor))
        return resized(blurred(small, sigma / factor), height, width)
    # A box of 2 r + 1 pixels has the variance ((2 r + 1)^2 - 1) / 12.
    radius = (np.sqrt(12 * sigma**2 / PASSES + 1) - 1) / 2
    fine, coarse = int(radius), int(radius) + 1
    part = np.float32(radius - fine)
    for _ in range(PASSES):
        mean = boxed(planes, fine) if fine else planes
        planes = mean + part * (boxed(planes, coarse) - mean) if part > 0.01 else mean
    return planes


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
    ridge = eps * np.eye(3, dtype=np.float32)
    slopes = np.linalg.solve(variance + ridge, covariance[..., None])[..., 0]
    offsets = plane_mean - (slopes * mean).sum(2)
    slopes, offsets = boxed(slopes, radius), boxed(offsets, radius)
    if photo is not None:
        guide = photo
        slopes, offsets = (resized(p, *photo.shape[:2]) for p in (slopes, offsets))
    return ((slopes * guide).sum(2) + offsets).astype(np.float32)


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
