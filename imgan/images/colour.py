"""ICC profiles: from a file's own colour space to sRGB and back, on arrays of 8 bits.

Relative colorimetric with black point compensation, the usual choice for photographs: what both
spaces can show keeps its colour, the rest goes to the nearest colour that can be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_UNUSABLE = (ImageCms.PyCMSError, OSError, TypeError, ValueError)
# Profiles called sRGB differ from one another by rounding; this much (of 255) cannot be seen.
_SAME = 2


@dataclass(frozen=True)
class Space:
    """What a profile means to imgan.

    `srgb`: no conversion is needed. `rgb`: `forward` and `back` convert. `grey`: `curve` holds the
    sRGB level of each of the 256 levels. `unusable`: it cannot be read, or not used both ways.
    """

    kind: Literal["srgb", "rgb", "grey", "unusable"]
    forward: ImageCms.ImageCmsTransform | None = None
    back: ImageCms.ImageCmsTransform | None = None
    curve: NDArray[np.uint8] | None = None


@lru_cache(maxsize=16)
def space(profile: bytes, grey: bool) -> Space:
    """Read the profile of an RGB picture, or of a grey one.

    No profile (`b""`) is sRGB, as on the web. One of another colour space than the picture's cannot
    be used, except that sRGB in a grey picture means what it says.
    """
    if not profile:
        return Space("srgb")
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if kind_of(profile) == "GRAY":
            if not grey:
                return Space("unusable")
            forward = _transform(opened, _srgb(), "L", "RGB")
            levels = np.arange(256, dtype=np.uint8)[None]
            curve = _apply(forward, levels)[0, :, 1].copy()
            if np.abs(curve.astype(int) - levels[0]).max() <= _SAME:
                return Space("srgb")
            return Space("grey", curve=curve)
        forward = _transform(opened, _srgb(), "RGB", "RGB")
        probe = _probe()
        if np.abs(_apply(forward, probe).astype(int) - probe).max() <= _SAME:
            return Space("srgb")
        if grey:
            return Space("unusable")
        return Space("rgb", forward, _transform(_srgb(), opened, "RGB", "RGB"))
    except _UNUSABLE:
        return Space("unusable")


def kind_of(profile: bytes) -> str:
    """The colour space that a profile says it is of: "RGB", "GRAY", "CMYK", ..."""
    return profile[16:20].decode("latin-1").strip()


def to_srgb(pixels: NDArray[np.uint8], own: Space) -> NDArray[np.uint8]:
    """Convert [H, W, 3] pixels from a space to sRGB; the same object where nothing changes."""
    if own.forward is not None:
        return _apply(own.forward, pixels)
    if own.curve is not None:
        return own.curve[pixels]
    return pixels


def from_srgb(pixels: NDArray[np.uint8], own: Space) -> NDArray[np.uint8]:
    """Convert [H, W, 3] sRGB pixels to a space; the same object where nothing changes."""
    if own.back is not None:
        return _apply(own.back, pixels)
    if own.curve is not None:
        inverse = np.interp(np.arange(256), own.curve, np.arange(256))
        return np.rint(inverse).astype(np.uint8)[pixels]
    return pixels


def cmyk_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a CMYK image through its profile, or by the plain formula when it has none to use."""
    if profile:
        try:
            opened = ImageCms.ImageCmsProfile(BytesIO(profile))
            return _transform(opened, _srgb(), "CMYK", "RGB").apply(image)
        except _UNUSABLE:
            pass
    return image.convert("RGB")


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert a CIE L*a*b* image, which no profile needs to describe."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return _transform(lab, _srgb(), "LAB", "RGB").apply(image)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _probe() -> NDArray[np.uint8]:
    """Colours on a 9 x 9 x 9 grid over the whole cube, as [81, 9, 3] pixels."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(81, 9, 3)


def _transform(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str, out: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(source, target, mode, out, _INTENT, _FLAGS)


def _apply(transform: ImageCms.ImageCmsTransform, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(transform.apply(Image.fromarray(pixels)))
