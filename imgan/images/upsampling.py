"""From what a network made of a small copy of a photo back to the photo's size.

Networks that take statistics of the whole picture cannot be tiled: tiles with their own would
differ in colour and show. So they look at a small copy in one go, and what they did to it is
carried up: as detail of the photo on what they made (`with_detail`), or as a change of colours that
the photo's own pixels go through (`guided_upsample`). All pictures are [H, W, 3] sRGB bytes. A
`meter` hears what share of the work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from imgan.images.codecs import rows
from imgan.images.fields import boxed
from imgan.images.tensors import Bytes, Floats

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Y of ITU-R BT.601 out of RGB."""

WINDOW = 1 / 24
"""Radius of the windows in which `guided_upsample` takes the change for affine, of the longer
side."""

FLAT = 1e-3
"""Variance (of values in 0..1) below which a window is taken for flat."""

AROUND = 1 / 64
"""Radius of the windows in which `suppress_flat_texture` looks for what is flat, of the longer
side."""

STROKE = 1 / 128
"""Radius of the windows of `guided_filter`, of the longer side."""

OBJECT = 1 / 48
"""Radius of the windows of `guided_chroma`, of the longer side."""

FINE = 1024
"""Longer side, in pixels, of the copy on which `guided_filter` measures them, at most."""


def reduced(picture: Bytes, size: int) -> Bytes:
    """The picture with its longer side at most `size`, antialiased; itself if it is no larger."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer <= size:
        return picture
    sides = max(1, round(width * size / longer)), max(1, round(height * size / longer))
    return np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.LANCZOS))


def with_detail(
    photo: Bytes, small: Bytes, made: Bytes, meter: Callable[[float], None] = lambda share: None
) -> Bytes:
    """What was made of a small copy at the photo's size, with the detail that the copy had lost.

    up(made) + Y(photo - up(small)), where `up` is bicubic and Y the luminance: the finest bands of
    a Laplacian pyramid (Burt & Adelson 1983) are the photo's, the others are what was made.
    """
    if small.shape == photo.shape:
        return made
    before, result = (enlarged(picture, photo.shape) for picture in (small, made))
    for band in rows(*photo.shape[:2]):
        detail = np.subtract(photo[band], before[band], dtype=np.float32) @ LUMA
        result[band] = np.rint(result[band] + detail[..., None]).clip(0, 255)
        meter(band.stop / len(photo))
    return result


def guided_upsample(
    photo: Bytes, small: Bytes, made: Bytes, meter: Callable[[float], None] = lambda share: None
) -> Bytes:
    """The photo through the change of colours that led from `small` to `made`.

    In each window made - small = A small + b as nearly as can be, with a ridge of `FLAT` on A, a
    matrix over the three colours: a guided filter (He et al. 2013, equation 19) of the change.
    So edges and fine detail are the photo's, and texture that was made up is not there.
    """
    guide, after = (np.divide(picture, 255, dtype=np.float32) for picture in (small, made))
    change = after - guide
    radius = window(small, WINDOW)
    planes = [guide, change, _outer(guide, guide), _outer(guide, change)]
    of_guide, of_change, squares, products = (boxed(each, radius) for each in planes)
    shape = (*small.shape[:2], 3, 3)
    variance = (squares - _outer(of_guide, of_guide)).reshape(shape)
    covariance = (products - _outer(of_guide, of_change)).reshape(shape)
    slopes = np.linalg.solve(variance + FLAT * np.eye(3, dtype=np.float32), covariance)
    offsets = of_change - np.einsum("hwi,hwij->hwj", of_guide, slopes)
    ways = [(there, made) for there in range(3) for made in range(3)]
    return _through(photo, slopes.reshape(*shape[:2], 9), ways, offsets, radius, meter)


def guided_filter(
    photo: Bytes, flat: float, meter: Callable[[float], None] = lambda share: None
) -> Bytes:
    """The photo without texture, such as strokes of a brush, and with its edges.

    A guided filter of each channel by itself (He et al. 2013, equations 5, 6 and 8): what varies in
    a window by much less than `flat` (a variance, of values in 0..1) becomes its mean, what varies
    by much more stays. Windows are measured on a copy of `FINE` pixels at most.
    """
    small = reduced(photo, FINE)
    radius = window(small, STROKE)
    mean, variance = local_stats(small, radius)
    lost = np.float32(flat) / (variance + np.float32(flat))
    return _through(photo, -lost, [(0, 0), (1, 1), (2, 2)], lost * mean, radius, meter)


def guided_chroma(
    gray: Bytes, small: Bytes, made: Bytes, meter: Callable[[float], None] = lambda share: None
) -> Bytes:
    """A gray photo in the chroma of what was made of a small copy of it.

    In each window the chroma is a Y + b as nearly as can be, with Y the luminance of the copy: a
    guided filter (He et al. 2013, equations 5, 6 and 8). So colours end where the photo has edges.
    """
    guide, after = (np.divide(picture, 255, dtype=np.float32) for picture in (small, made))
    chroma, luma = after - (after @ LUMA)[..., None], guide[..., :1]
    radius = window(small, OBJECT)
    of_luma, of_chroma = boxed(luma, radius), boxed(chroma, radius)
    variance = boxed(luma**2, radius) - of_luma**2
    covariance = boxed(luma * chroma, radius) - of_luma * of_chroma
    slopes = np.divide(covariance, variance + FLAT, dtype=np.float32)
    offsets = np.subtract(of_chroma, slopes * of_luma, dtype=np.float32)
    return _through(gray, slopes, [(0, 0), (1, 1), (2, 2)], offsets, radius, meter)


def suppress_flat_texture(small: Bytes, made: Bytes) -> Bytes:
    """What was made of a small copy, as `guided_upsample` has it where the copy is flat: what a
    network draws onto an even sky is a pattern of its own.

    With v the variance in a window, over all three colours, w = (FLAT / (v + FLAT))^2 is the part
    of a pixel that becomes so, in the mean of a window.
    """
    radius = window(small, AROUND)
    variance = local_stats(small, radius)[1].sum(2, keepdims=True)
    part = boxed((FLAT / (variance + np.float32(FLAT))) ** 2, radius)
    calm = np.subtract(guided_upsample(small, small, made), made, dtype=np.float32)
    return np.rint(made + part * calm).astype(np.uint8)


def window(picture: Bytes, part: float) -> int:
    """The radius of windows, in pixels, which is so much of the longer side, and at least one."""
    return max(1, round(part * max(picture.shape[:2])))


def local_stats(picture: Bytes, radius: int) -> tuple[Floats, Floats]:
    """Mean and variance of each channel, of values in 0..1, in windows around each pixel."""
    values = np.divide(picture, 255, dtype=np.float32)
    mean = boxed(values, radius)
    return mean, (boxed(values**2, radius) - mean**2).clip(0)


def _through(
    photo: Bytes,
    slopes: Floats,
    ways: Sequence[tuple[int, int]],
    offsets: Floats,
    radius: int,
    meter: Callable[[float], None],
) -> Bytes:
    """The photo and an affine change of it in windows around each pixel of a small copy: slopes
    [h, w, k], each from one channel to another as `ways` say, and offsets [h, w, 3]. Their means
    are enlarged and meet the photo's own pixels (He & Sun 2015)."""
    planes = boxed(np.concatenate([slopes, 255 * offsets], 2), radius)
    height, width = photo.shape[:2]
    down = len(slopes) / height
    images = [Image.fromarray(plane) for plane in np.moveaxis(planes, 2, 0)]
    result = np.empty_like(photo)
    for band in rows(height, width):
        box = (0, band.start * down, slopes.shape[1], min(band.stop * down, len(slopes)))
        size = width, band.stop - band.start
        parts = [np.asarray(i.resize(size, Image.Resampling.BILINEAR, box)) for i in images]
        changed = np.stack(parts[-3:], 2) + photo[band]
        for slope, (there, made) in zip(parts[:-3], ways, strict=True):
            changed[..., made] += slope * photo[band][..., there]
        result[band] = np.rint(changed).clip(0, 255)
        meter(band.stop / height)
    return result


def keep_color(photo: Bytes, changed: Bytes) -> Bytes:
    """The luminance of `changed` with the chroma of `photo`.

    Luminance-only transfer (Gatys et al. 2016, arXiv:1606.05897) in YIQ, where a change of Y alone
    is the same change of red, green and blue. What leaves the range is clipped.
    """
    result = np.empty_like(photo)
    for band in rows(*photo.shape[:2]):
        change = np.subtract(changed[band], photo[band], dtype=np.float32) @ LUMA
        result[band] = np.rint(photo[band] + change[..., None]).clip(0, 255)
    return result


def enlarged(picture: Bytes, shape: tuple[int, ...]) -> Bytes:
    """The picture at height and width `shape`, bicubic; an array of its own."""
    size = shape[1], shape[0]
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _outer(a: Floats, b: Floats) -> Floats:
    """[H, W, 9]: every product of a channel of `a` and one of `b`."""
    return (a[..., :, None] * b[..., None, :]).reshape(*a.shape[:2], 9)
