"""What pictures suffer: the distortions that the features are taught and measured with."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageFilter

from imgan.images.tensors import Bytes


def blur(picture: Bytes, sigma: float, rng: Generator) -> Bytes:
    """Gaussian blur of `sigma` pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def noise(picture: Bytes, sigma: float, rng: Generator) -> Bytes:
    """Gaussian noise of standard deviation `sigma`, in 255ths."""
    noisy = picture + rng.normal(0, sigma, picture.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)


def jpeg(picture: Bytes, loss: float, rng: Generator) -> Bytes:
    """JPEG of quality 100 - `loss`."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=round(100 - loss))
    return np.asarray(Image.open(stream))


def shift(picture: Bytes, pixels: float, rng: Generator) -> Bytes:
    """Moved by whole `pixels` to the left and up; the last row and column are repeated."""
    step = round(pixels)
    return np.pad(picture, ((0, step), (0, step), (0, 0)), "edge")[step:, step:]


def colour(picture: Bytes, strength: float, rng: Generator) -> Bytes:
    """Brightness, contrast and saturation each by a factor 1 + or - `strength`, as `rng` says."""
    image = Image.fromarray(picture)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(1 + strength * rng.choice((-1, 1)))
    return np.asarray(image)


Distortion = Callable[[Bytes, float, Generator], Bytes]

STRENGTHS: dict[Distortion, tuple[float, ...]] = {
    blur: (0.7, 1.2, 2.0, 3.5),
    noise: (4.0, 8.0, 16.0, 32.0),
    jpeg: (25.0, 50.0, 70.0, 88.0),
    shift: (1.0, 2.0, 4.0, 8.0),
    colour: (0.08, 0.16, 0.3, 0.5),
}
"""The strengths at which each distortion is measured, from hardly visible to strong."""


def distort(picture: Bytes, rng: Generator) -> Bytes:
    """One distortion of any strength in the range of `STRENGTHS`, at random."""
    distortion = list(STRENGTHS)[rng.integers(len(STRENGTHS))]
    weakest, *_, strongest = STRENGTHS[distortion]
    strength = np.exp(rng.uniform(np.log(weakest), np.log(strongest)))
    return distortion(picture, float(strength), rng)
