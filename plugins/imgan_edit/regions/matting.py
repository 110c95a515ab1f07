"""Natural image matting: how much of each pixel is in front, and what is in front and behind."""

from __future__ import annotations

import numpy as np

from imgan.images.fields import Floats, blurred, inverted, resized

RADIUS = 2
"""Of the windows in which all colours are taken to lie on one line for each layer, in pixels."""

EPS = 1e-5
"""The variance of a window below which it counts as flat."""

STEPS = (50, 25, 12)
"""Of conjugate gradients, on the smallest copy, a larger one and the picture."""


class Laplacian:
    """The matting Laplacian of a picture [h, w, 3] in 0..1 (Levin et al. 2008, equation 12).

    In every window alpha is an affine function of the colours, as it is where the colours of both
    layers lie on lines. The Laplacian adds up how far it is from that: it is what a guided filter
    takes away (He et al. 2010, section 3), so it is never written down as a matrix.
    """

    def __init__(self, pixels: Floats) -> None:
        planes = np.moveaxis(pixels, 2, 0).astype(np.float32)
        height, width = pixels.shape[:2]
        self.count = _sums(np.ones((1, height, width), np.float32))[0]
        self.planes = planes
        self.mean = _sums(planes) / self.count
        pairs = np.stack([planes[i] * planes[j] for i in range(3) for j in range(i, 3)])
        products = _sums(pairs) / self.count
        variance = np.empty((3, 3, height, width), np.float32)
        places = [(i, j) for i in range(3) for j in range(i, 3)]
        for (i, j), product in zip(places, products, strict=True):
            variance[i, j] = variance[j, i] = product - self.mean[i] * self.mean[j]
        self.inverse = inverted(variance, EPS)

    def __call__(self, plane: Floats) -> Floats:
        """The Laplacian times a plane [h, w], for windows that weigh 1 in all."""
        sums = _sums(np.concatenate([self.planes * plane, plane[None]])) / self.count
        covariance = sums[:3] - self.mean * sums[3]
        slopes = np.stack([(row * covariance).sum(0) for row in self.inverse])
        offsets = sums[3] - (slopes * self.mean).sum(0)
        sums = _sums(np.concatenate([slopes, offsets[None]]))
        area = (2 * RADIUS + 1) ** 2
        return (self.count * plane - (sums[:3] * self.planes).sum(0) - sums[3]) / area


def alpha_matte(pixels: Floats, wanted: Floats, weights: Floats) -> Floats:
    """Alpha [h, w] in 0..1 of a picture [h, w, 3], as near to `wanted` [h, w] as `weights` say.

    It minimizes alpha^T L alpha + sum of weights (alpha - wanted)^2 by conjugate gradients, from a
    small copy to the picture.
    """
    height, width = wanted.shape
    alpha = wanted
    for level, steps in zip(range(len(STEPS) - 1, -1, -1), STEPS, strict=True):
        size = max(8, height >> level), max(8, width >> level)
        small, goal, trust = (resized(p, *size) for p in (pixels, wanted, weights))
        alpha = _solved(Laplacian(small), goal, trust.clip(0), resized(alpha, *size), steps)
    return alpha.clip(0, 1)


def _solved(laplacian: Laplacian, goal: Floats, trust: Floats, x: Floats, steps: int) -> Floats:
    """Conjugate gradients, with the diagonal as preconditioner."""
    scale = 1 / (0.3 + trust)
    rest = trust * goal - laplacian(x) - trust * x
    way = better = scale * rest
    product = float((rest * better).sum())
    for _ in range(steps):
        bent = laplacian(way) + trust * way
        step = product / max(float((way * bent).sum()), 1e-12)
        x, rest = x + step * way, rest - step * bent
        better = scale * rest
        last, product = product, float((rest * better).sum())
        way = better + product / max(last, 1e-12) * way
    return x


def layers(pixels: Floats, alpha: Floats, radii: tuple[float, ...]) -> tuple[Floats, Floats]:
    """The colours in front and behind, [h, w, 3] each, that alpha mixes to the picture: means
    nearby, and what they leave unexplained (blur fusion, Forte 2021), from wide to near."""
    fore = back = pixels
    a = alpha[..., None]
    for radius in radii:
        near = blurred(alpha, radius)[..., None]
        fore = blurred(fore * a, radius) / (near + 1e-5)
        back = blurred(back * (1 - a), radius) / (1 - near + 1e-5)
        rest = pixels - a * fore - (1 - a) * back
        fore, back = (fore + a * rest).clip(0, 1), (back + (1 - a) * rest).clip(0, 1)
    return fore, back


def _sums(planes: Floats) -> Floats:
    """Over windows of 2 `RADIUS` + 1 pixels a side, as far as they lie in the planes [C, h, w]."""
    for axis in (1, 2):
        sums = planes.copy()
        for step in range(1, RADIUS + 1):
            if axis == 1:
                sums[:, step:] += planes[:, :-step]
                sums[:, :-step] += planes[:, step:]
            else:
                sums[:, :, step:] += planes[:, :, :-step]
                sums[:, :, :-step] += planes[:, :, step:]
        planes = sums
    return planes
