"""Small pictures as they are found: what cameras, programs and websites did to them, at random."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor
from torch.nn.functional import conv2d, pad

from imgan.images.tensors import Bytes

KERNELS = (Resampling.BICUBIC, Resampling.BILINEAR, Resampling.BOX, Resampling.LANCZOS)

RADIUS = 8
"""Of the kernels that blur and ring, in pixels."""

CALM = 0.3
"""The part of the pictures that JPEG alone happens to after they were made small: such as most
photos from websites, of which nothing is to be smoothed away."""


def degrade(large: Bytes, size: int, rng: Generator) -> Bytes:
    """[H, H, 3] to [size, size, 3], both sRGB: second-order degradations (Wang et al. 2021,
    Real-ESRGAN, section 3): blur, resize, noise and JPEG, and all of it once more, at random.

    The second JPEG comes before or after the last resize with a sinc filter, which rings as
    sharpening and other JPEGs do. Milder than published: a small network that is to undo anything
    smooths everything.
    """
    if rng.random() < CALM:
        return _jpeg(_resized(large, size, rng), rng, 60, 96)
    picture = large
    if rng.random() < 0.6:
        picture = _filtered(picture, _gaussian(rng, 2.0))
    # Halfway to what it becomes, or beyond it and back.
    picture = _resized(picture, round(size * rng.uniform(0.8, large.shape[0] / size)), rng)
    if rng.random() < 0.5:
        picture = _noisy(picture, rng, 10)
    if rng.random() < 0.6:
        picture = _jpeg(picture, rng, 45, 96)
    if rng.random() < 0.3:
        picture = _filtered(picture, _gaussian(rng, 1.0))
    ringing = _sinc(rng) if rng.random() < 0.3 else None
    last = rng.random() < 0.5
    if last:
        picture = _ringing(picture, size, ringing, rng)
    if rng.random() < 0.3:
        picture = _noisy(picture, rng, 6)
    if rng.random() < 0.8:
        picture = _jpeg(picture, rng, 45, 96)
    return picture if last else _ringing(picture, size, ringing, rng)


def _ringing(picture: Bytes, size: int, kernel: Tensor | None, rng: Generator) -> Bytes:
    small = _resized(picture, size, rng)
    return small if kernel is None else _filtered(small, kernel)


def _resized(picture: Bytes, side: int, rng: Generator) -> Bytes:
    if side == picture.shape[0]:
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((side, side), Resampling(rng.choice(KERNELS))))


def _jpeg(picture: Bytes, rng: Generator, least: int, beyond: int) -> Bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=int(rng.integers(least, beyond)))
    return np.asarray(Image.open(stream))


def _noisy(picture: Bytes, rng: Generator, most: float) -> Bytes:
    """Noise of a sensor, which grows with the root of the light, or of the same size everywhere;
    in each channel, or grey. `most` is its standard deviation in levels of 255, at most."""
    shape = (*picture.shape[:2], 1 if rng.random() < 0.4 else 3)
    noise = rng.normal(0, rng.uniform(1, most), shape)
    if rng.random() < 0.5:
        noise = noise * np.sqrt(picture.mean(2, keepdims=True) / 128)
    return _bytes(picture + noise)


def _gaussian(rng: Generator, most: float) -> Tensor:
    """Of one width in all directions, or of two along turned axes, each up to `most` pixels."""
    sigmas = rng.uniform(0.2, most, 2)
    if rng.random() < 0.5:
        sigmas[1] = sigmas[0]
    turn = rng.uniform(0, np.pi)
    y, x = _places()
    along = (x * np.cos(turn) + y * np.sin(turn)) / sigmas[0]
    across = (y * np.cos(turn) - x * np.sin(turn)) / sigmas[1]
    return _kernel(torch.exp(-(along**2 + across**2) / 2))


def _sinc(rng: Generator) -> Tensor:
    """The circular low-pass filter of a cutoff w: w J1(w r) / (2 pi r)."""
    cutoff = rng.uniform(np.pi / 2, np.pi)
    y, x = _places()
    radius = torch.hypot(y, x)
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[RADIUS, RADIUS] = cutoff**2 / (4 * np.pi)
    return _kernel(kernel)


def _places() -> tuple[Tensor, Tensor]:
    line = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y, x


def _kernel(weights: Tensor) -> Tensor:
    return weights / weights.sum()


def _filtered(picture: Bytes, kernel: Tensor) -> Bytes:
    planes = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[:, None]
    around = pad(planes, (RADIUS,) * 4, "replicate")
    return _bytes(conv2d(around, kernel[None, None])[:, 0].permute(1, 2, 0).numpy())


def _bytes(picture: np.ndarray) -> Bytes:
    return picture.clip(0, 255).round().astype(np.uint8)
