"""Likeness of two pictures as the super-resolution field measures it: PSNR and SSIM on luma."""

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
    likeness = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))))


def fidelity(
    result: NDArray[np.uint8], truth: NDArray[np.uint8], shave: int
) -> tuple[float, float]:
    """PSNR and SSIM on luma of two [H, W, 3] pictures, `shave` pixels cut off each side."""
    height, width = truth.shape[:2]
    inside = np.s_[shave : height - shave, shave : width - shave]
    a, b = luma(result[inside]), luma(truth[inside])
    return psnr(a, b), ssim(a, b)


def _blur(plane: Plane) -> Plane:
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    height, width = (side - 2 * _RADIUS for side in plane.shape)
    columns = sum(k * plane[i : i + height] for i, k in enumerate(kernel))
    return np.asarray(sum(k * columns[:, i : i + width] for i, k in enumerate(kernel)))
