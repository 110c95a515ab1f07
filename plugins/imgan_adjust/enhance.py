"""Pillow's enhancers on pictures of 8 and 16 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from imgan.images import Picture
from imgan.operations import Result

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "grayscale": ImageEnhance.Color,
}
STEP = 257  # 16-bit levels between two 8-bit ones: 65535 / 255


@dataclass(frozen=True)
class Enhancing:
    """The work on a picture: factors by name, one after the other."""

    changes: Mapping[str, float]

    def __call__(self, picture: Picture) -> Result:
        pixels = picture.pixels
        for name, factor in self.changes.items():
            pixels = enhance(pixels, name, factor)
        return Result(picture.with_pixels(pixels))


def enhance(pixels: NDArray[Any], name: str, factor: float) -> NDArray[Any]:
    """One of `ENHANCERS` on pixels [H, W, 3], uint8 or uint16; the result has the same type.

    An enhancer goes from a duller picture (black, even grey, no colour) through the picture and
    beyond: duller + factor * (pixels - duller). Pillow does that in 8 bits; in 16 bits it is done
    here, from Pillow's 8-bit idea of the duller picture.
    """
    enhancer = ENHANCERS[name]
    if pixels.dtype == np.uint8:
        return np.asarray(enhancer(Image.fromarray(pixels)).enhance(factor))
    rounded = ((pixels + np.uint32(STEP // 2)) // STEP).astype(np.uint8)
    duller = np.asarray(enhancer(Image.fromarray(rounded)).degenerate, np.float32) * STEP
    enhanced = duller + np.float32(factor) * (pixels - duller)
    return enhanced.round().clip(0, 65535).astype(np.uint16)
