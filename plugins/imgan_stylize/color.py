"""Colours of the photo under the brightness of its stylised twin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.codecs import rows

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Y of ITU-R BT.601 out of RGB."""


def keep_color(photo: NDArray[np.uint8], stylised: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luminance of `stylised` with the chroma of `photo`; all are [H, W, 3] sRGB bytes.

    Luminance-only transfer (Gatys et al. 2016, arXiv:1606.05897) in YIQ, where a change of Y alone
    is the same change of red, green and blue. What leaves the range is clipped.
    """
    result = np.empty_like(photo)
    for band in rows(*photo.shape[:2]):
        change = np.subtract(stylised[band], photo[band], dtype=np.float32) @ LUMA
        result[band] = np.rint(photo[band] + change[..., None]).clip(0, 255)
    return result
