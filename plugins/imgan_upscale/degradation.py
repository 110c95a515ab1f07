"""What a photo went through before it came here: JPEG, noise, blur, estimated from the picture.

All levels are of 0..255 luma.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from imgan.images import Picture, to_srgb
from imgan.images.tensors import Floats
from imgan.images.upsampling import LUMA

BLOCK = 8
"""Side of a block of JPEG, in pixels."""

TILE = 16
"""Side of the places whose noise is compared, in pixels."""

CHANCE = 1.3
"""Blocking of clean photos, at most nearly, by the number of blocks along a side."""

LARGEST = 1024
"""Side, in pixels, of the middle of a picture that is looked at."""


QUANTISED, BLOCKED, NOISY, BLURRED = 6.0, 0.07, 5.0, 1.1
"""From where on `upscale-x4-photo` was nearer to the truth than `upscale-x4`, on twelve photos
made small and saved as JPEG, with noise, blurred."""


@dataclass(frozen=True)
class Degradation:
    """Traces of what happened to a photo.

    Attributes:
        quantisation: the mean step of JPEG's lowest luma frequencies, 0 for none known.
        blocking: how much larger differences are across the borders of 8 x 8 blocks than beside
            them, beyond what chance makes of so many blocks.
        noise: its standard deviation in each channel.
        blur: the standard deviation of the Gaussian that edges look like, in pixels.
    """

    quantisation: float
    blocking: float
    noise: float
    blur: float

    @classmethod
    def of(cls, picture: Picture) -> Degradation:
        """The estimate for a picture of any size."""
        middle = _middle(picture)
        luma = middle @ LUMA
        return cls(
            round(picture.source.quantisation, 1),
            round(_blocking(luma), 3),
            round(_noise(middle), 2),
            round(_blur(luma), 2),
        )

    @property
    def reason(self) -> str:
        """What speaks for a network that restores, in words; "" where nothing does."""
        found = {
            "JPEG": self.quantisation >= QUANTISED or self.blocking >= BLOCKED,
            "noise": self.noise >= NOISY,
            "blur": self.blur >= BLURRED,
        }
        return ", ".join(name for name, holds in found.items() if holds)

    @property
    def facts(self) -> dict[str, float]:
        return asdict(self)


def _middle(picture: Picture) -> Floats:
    """[H, W, 3], sRGB in 0..255; it begins at a corner of a block."""
    height, width = picture.pixels.shape[:2]
    top, left = (max(0, side - LARGEST) // 2 // BLOCK * BLOCK for side in (height, width))
    middle = picture.pixels[top : top + LARGEST, left : left + LARGEST]
    return to_srgb(middle, picture.source).astype(np.float32)


def _blocking(luma: Floats) -> float:
    """Over the eight places at which a grid may begin, the largest; the smaller of both axes."""
    shares = []
    for plane in (luma, luma.T):
        if plane.shape[1] < 4 * BLOCK:
            return 0.0
        steps = np.abs(np.diff(plane, 2, axis=1)).mean(0)
        steps = steps[: len(steps) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(0)
        # A border disturbs the second differences on both of its sides.
        pairs = steps + np.roll(steps, -1)
        chance = CHANCE * BLOCK / plane.shape[1]
        shares.append(float(pairs.max() / (np.median(pairs) + 0.1) - 1 - chance))
    return max(0.0, min(shares))


def _noise(middle: Floats) -> float:
    """The least of what luma and the differences of channels have: texture is grey, nearly, and
    noise is each channel's own."""
    red, green, blue = np.moveaxis(middle, 2, 0)
    if (red == green).all() and (green == blue).all():
        return _immerkaer(green)
    own = _immerkaer(middle @ LUMA) / float(np.linalg.norm(LUMA))
    apart = (_immerkaer(plane) / 2**0.5 for plane in (red - green, green - blue))
    return min(own, *apart)


def _immerkaer(luma: Floats) -> float:
    """Immerkaer 1996, Fast noise variance estimation, on the calmest tenth of the places."""
    if min(luma.shape) < 3:
        return 0.0
    across = luma[:, :-2] - 2 * luma[:, 1:-1] + luma[:, 2:]
    residue = np.abs(across[:-2] - 2 * across[1:-1] + across[2:])
    height, width = (side // TILE * TILE for side in residue.shape)
    if not height or not width:
        return 0.0
    tiles = residue[:height, :width].reshape(height // TILE, TILE, width // TILE, TILE)
    return float(np.quantile(tiles.mean((1, 3)), 0.1) * np.sqrt(np.pi / 2) / 6)


def _blur(luma: Floats) -> float:
    """From how much the steepest edges lose when they are blurred again by a known Gaussian: with a
    ratio R of the gradients, sigma = 1 / sqrt(R^2 - 1) (Zhuo and Sim 2011)."""
    if min(luma.shape) < 8:
        return 0.0
    again = luma
    kernel = np.exp(-0.5 * np.arange(-3, 4) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(again, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], "edge")
        count = luma.shape[axis]
        again = sum(
            weight * padded.take(range(i, i + count), axis) for i, weight in enumerate(kernel)
        )
    steep, soft = (np.hypot(*(np.gradient(p, axis=a) for a in (0, 1))) for p in (luma, again))
    edges = steep > max(8.0, float(np.quantile(steep, 0.98)))
    if not edges.any():
        return 0.0
    ratio = float(np.median(steep[edges] / np.maximum(soft[edges], 1e-3)))
    return float(1 / np.sqrt(max(ratio**2 - 1, 1e-2)))
