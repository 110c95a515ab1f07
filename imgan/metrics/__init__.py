"""Likeness of two pictures, by PSNR, SSIM and edges on luma, and of two sets of pictures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure

Plane = NDArray[np.float64]

_SIGMA = 1.5
_RADIUS = 5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def luma(rgb: NDArray[np.uint8]) -> Plane:
    """Y of ITU-R BT.601 in 16..235, as MATLAB's `rgb2ycbcr` without its rounding.

    `rgb` is [H, W, 3] bytes; the result is [H, W] double.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return rgb @ weights + 16


def psnr(a: Plane, b: Plane) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 255; infinite when the planes are equal."""
    error = float(np.mean(np.square(a - b)))
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(a: Plane, b: Plane) -> float:
    """Structural similarity (Wang et al. 2004, equation 13) of two [H, W] planes in 0..255.

    An 11x11 Gaussian window of sigma 1.5, at the places where it fits whole. Raises Failure when
    it fits nowhere.
    """
    if min(a.shape) < 2 * _RADIUS + 1:
        size = f"{a.shape[1]}x{a.shape[0]}"
        raise Failure(
            f"{size} px are too few for SSIM, whose window is 11x11; leave the picture out"
        )
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float(np.mean(numerator / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))))


def fidelity(
    result: NDArray[np.uint8], truth: NDArray[np.uint8], shave: int
) -> tuple[float, float]:
    """PSNR and SSIM on luma of two [H, W, 3] pictures, `shave` pixels cut off each side."""
    height, width = truth.shape[:2]
    inside = np.s_[shave : height - shave, shave : width - shave]
    a, b = luma(result[inside]), luma(truth[inside])
    return psnr(a, b), ssim(a, b)


def edge_correlation(a: Plane, b: Plane) -> float:
    """Pearson's correlation, -1..1, of the lengths of the gradients of two [H, W] planes.

    0 when one of the planes has no edges.
    """
    one, other = (np.hypot(*np.gradient(plane)) for plane in (a, b))
    one, other = one - one.mean(), other - other.mean()
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.vdot(one, other)) / length if length else 0.0


def kernel_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """How far apart two sets of features lie, [M, D] and [N, D]: the squared maximum mean
    discrepancy, unbiased (Gretton et al. 2012, equation 3), with the kernel (x.y / D + 1)^3 of
    KID (Binkowski et al. 2018, section 4).

    Around 0, and possibly below, for sets of one origin. Raises Failure for a set of fewer than 2.
    """
    if min(len(a), len(b)) < 2:
        raise Failure("a kernel distance is that of two sets, each of 2 pictures or more")

    def kernel(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: NDArray[np.floating]) -> float:
        products = kernel(x, x)
        return float((products.sum() - np.trace(products)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def _blur(plane: Plane) -> Plane:
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    height, width = (side - 2 * _RADIUS for side in plane.shape)
    columns = sum(k * plane[i : i + height] for i, k in enumerate(kernel))
    return np.asarray(sum(k * columns[:, i : i + width] for i, k in enumerate(kernel)))
