"""The colours that TIFF and BMP state by their own fields: chromaticities and curves."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from imgan.images import profiles

TRANSFER, WHITE, PRIMARIES = 301, 318, 319
"""Tags of TIFF 6.0, section 20."""

_CALIBRATED, _EMBEDDED, _LINKED = 0, b"DEBM", b"KNIL"
"""Kinds of a BMP's colours (bV5CSType), as they lie in the file."""

_ELSEWHERE = "BMP: the colour profile is in another file: pixels taken as sRGB"


def of_tiff(image: Image.Image, grey: bool) -> tuple[bytes, str]:
    """The profile of a TIFF without one, b"" for sRGB, and a note or ""."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    try:
        primaries: tuple[float, ...] = ()
        if not grey and (WHITE in tags or PRIMARIES in tags):
            told = [float(value) for value in (*tags.get(PRIMARIES, ()), *tags.get(WHITE, ()))]
            usual = profiles.SRGB_PRIMARIES
            primaries = tuple(told[:6] if PRIMARIES in tags else usual[:6])
            primaries += tuple(told[-2:] if WHITE in tags else usual[6:])
            if len(primaries) != 8 or not np.isfinite(primaries).all():
                raise ValueError("chromaticities out of range")
        return profiles.of_curves(primaries, _curves(tags.get(TRANSFER)), grey), ""
    except (ValueError, TypeError, ArithmeticError) as error:
        return b"", f"TIFF: {error}: pixels taken as sRGB"


def _curves(table: tuple[int, ...] | None) -> list[profiles.Floats]:
    """One curve, or one a channel; sRGB's where there is no table."""
    if table is None:
        return [profiles.srgb_curve()]
    light = np.asarray(table, np.float64) / 65535
    channels = 1 if len(light) in (2**bits for bits in range(1, 17)) else 3
    if len(light) < 2 or len(light) % channels:
        raise ValueError(f"a curve of {len(light)} values")
    return list(light.reshape(channels, -1))


def of_bmp(stream: BinaryIO, grey: bool) -> tuple[bytes, str]:
    """The profile of a BMP, b"" for sRGB, and a note or ""."""
    stream.seek(14)
    header = stream.read(124)
    (size,) = struct.unpack_from("<I", header)
    if size < 108 or len(header) < 108:  # before version 4
        return b"", ""
    kind = header[56:60]
    if kind == _LINKED:
        return b"", _ELSEWHERE
    if kind == _EMBEDDED and size >= 124 and len(header) == 124:
        start, length = struct.unpack_from("<II", header, 112)
        stream.seek(14 + start)
        return stream.read(length), ""
    if kind != struct.pack("<I", _CALIBRATED):  # Windows' own space and sRGB
        return b"", ""
    ends = np.array(struct.unpack_from("<9i", header, 60)).reshape(3, 3) / 2**30
    gammas = np.array(struct.unpack_from("<3I", header, 96)) / 2**16
    if not ends.any() and not gammas.any():  # not filled in
        return b"", ""
    try:
        primaries = _chromaticities(ends) if ends.any() and not grey else ()
        if not gammas.any():
            return profiles.of_curves(primaries, [profiles.srgb_curve()], grey), ""
        if (gammas < 0.1).any() or (gammas > 10).any():
            raise ValueError("gamma out of range")
        levels = np.linspace(0, 1, 1024)
        curves = [levels**gamma for gamma in gammas[: 1 if grey else 3]]
        return profiles.of_curves(primaries, curves, grey), ""
    except ValueError as error:
        return b"", f"BMP: {error}: pixels taken as sRGB"


def _chromaticities(ends: profiles.Floats) -> tuple[float, ...]:
    """x and y of red, green, blue and white from XYZ of the first three [3, 3]."""
    four = np.concatenate([ends, ends.sum(0, keepdims=True)])
    sums = four.sum(1, keepdims=True)
    if (sums <= 0).any():
        raise ValueError("endpoints out of range")
    return tuple(map(float, (four / sums)[:, :2].ravel()))
