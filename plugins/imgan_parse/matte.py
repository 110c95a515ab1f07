"""Masks of a small size, carried to a photo's own size along the photo's edges."""

from __future__ import annotations

import numpy as np
from PIL import Image

from imgan.images.codecs import rows
from imgan.images.tensors import Bytes, Floats

RIDGE = 2e-4
"""Variance of a window's colours, of values in 0..1, below which it counts as flat."""

HAZE = 0.1
"""What is nearer to 0 or 1 than this is taken for it."""


class Matte:
    """Planes [k, h, w] as affine functions of the colours of a picture [h, w, 3] in windows.

    A guided filter (He et al. 2013, equations 14 to 19) whose windows are triangles, twice `cell`
    pixels a side, of which only every `cell`-th is computed; between them slopes and offsets are
    interpolated, and meet the pixels of the picture at any size (He & Sun 2015). So what was
    blurred gets the picture's edges.
    """

    def __init__(self, picture: Bytes, planes: Floats, cell: float, ridge: float = RIDGE) -> None:
        height, width = (max(1, round(side / cell)) for side in picture.shape[:2])

        def mean(plane: Floats) -> Floats:
            return resized(plane, height, width)

        colours = np.moveaxis(np.divide(picture, 255, dtype=np.float32), 2, 0)
        colour = np.stack([mean(plane) for plane in colours])
        variance = np.empty((3, 3, height, width), np.float32)
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            variance[i, j] = mean(colours[i] * colours[j]) - colour[i] * colour[j]
            variance[j, i] = variance[i, j]
        variance += np.float32(ridge) * np.eye(3, dtype=np.float32)[..., None, None]
        inverse = np.linalg.inv(variance.transpose(2, 3, 0, 1))
        self._affine = np.empty((len(planes), 4, height, width), np.float32)
        """Of each plane the slopes over red, green and blue, and the offset."""
        for plane, affine in zip(planes, self._affine, strict=True):
            value = mean(plane)
            together = np.stack(
                [mean(plane * c) - value * m for c, m in zip(colours, colour, strict=True)]
            )
            affine[:3] = np.einsum("hwij,jhw->ihw", inverse, together)
            affine[3] = value - (affine[:3] * colour).sum(0)

    def plane(self, index: int, picture: Bytes, place: tuple[slice, slice] | None = None) -> Floats:
        """A plane at the size of a picture [H, W, 3], which shows the same as the small one; of
        that only the rows and columns of a `place`, if one is given."""
        height, width = picture.shape[:2]
        lines, columns = place or (slice(0, height), slice(0, width))
        affine = self._affine[index] / np.float32(1 - 2 * HAZE)
        affine[:3] /= 255
        affine[3] -= HAZE / (1 - 2 * HAZE)
        planes = [Image.fromarray(plane) for plane in affine]
        down, across = planes[0].height / height, planes[0].width / width
        left, right = columns.start * across, min(columns.stop * across, planes[0].width)
        picture = picture[lines, columns]
        height, width = picture.shape[:2]
        result = np.empty((height, width), np.float32)
        for band in rows(height, width):
            top, bottom = (down * (lines.start + edge) for edge in (band.start, band.stop))
            box = left, top, right, min(bottom, planes[0].height)
            size = width, band.stop - band.start
            *slopes, offset = (
                np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box)) for plane in planes
            )
            total = result[band]
            total[:] = offset
            for channel, slope in enumerate(slopes):
                total += slope * picture[band][..., channel]
            total.clip(0, 1, out=total)
        return result


def resized(plane: Floats, height: int, width: int) -> Floats:
    """A plane at another size, linear, antialiased when smaller."""
    if plane.shape == (height, width):
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
