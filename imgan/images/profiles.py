"""Colour spaces that a file tells otherwise than by an ICC profile, as one.

HEIC and AVIF tell them by code points (ITU-T H.273), PNG by those or by gamma and chromaticities,
TIFF and BMP by chromaticities and curves, cameras' JPEG by EXIF. As a profile they go the way of
all others: networks see sRGB, and the result states the same space in any format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

D65 = (0.3127, 0.3290)
# Chromaticities x and y of red, green, blue and white, by H.273's ColourPrimaries (table 2).
_PRIMARIES = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65),  # BT.709, sRGB
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),  # BT.470 M
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),  # BT.601, 625 lines
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),  # BT.601, 525 lines
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *D65),  # SMPTE 240M
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),  # BT.2020
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),  # DCI-P3
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),  # Display P3
}
SRGB_PRIMARIES = _PRIMARIES[1]
_ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *D65)
# The curves of video (BT.709, BT.601, BT.2020) are meant for sRGB's in pictures.
_SRGB_CURVES, _PQ, _HLG = (1, 6, 13, 14, 15), 16, 18
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_UNSPECIFIED = 2
_WHITE = 203.0
"""Luminance of diffuse white in HDR pictures, cd/m^2 (ITU-R BT.2408)."""
_KNEE = 0.6
"""Up to this part of diffuse white, HDR keeps its levels; what is brighter is brought below 1."""
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])
_LEVELS = np.linspace(0, 1, 1024)


@cache
def of_codes(primaries: int, transfer: int, grey: bool) -> tuple[bytes, str]:
    """The profile of H.273's code points, b"" for sRGB, and a note or "".

    HDR (PQ and HLG) is brought into the range of a screen by its curve, which can be undone.
    """
    transfer = 13 if transfer in (*_SRGB_CURVES, _UNSPECIFIED) else transfer
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    if primaries not in _PRIMARIES or transfer not in (13, *_GAMMAS, _PQ, _HLG):
        return b"", f"colour space {primaries}/{transfer} is not known: pixels taken as sRGB"
    if transfer == 13 and (primaries == 1 or grey):
        return b"", ""
    if transfer in _GAMMAS:
        curve, note = _LEVELS ** _GAMMAS[transfer], ""
    elif transfer == 13:
        curve, note = _srgb(_LEVELS), ""
    else:
        curve = _compressed(_pq(_LEVELS) if transfer == _PQ else _hlg(_LEVELS))
        note = f"HDR ({'PQ' if transfer == _PQ else 'HLG'}) brought into the range of a screen"
    return _profile(_PRIMARIES[primaries], [curve], grey), note


@cache
def of_gamma(gamma: float, chromaticities: tuple[float, ...], grey: bool) -> bytes:
    """The profile of PNG's gAMA (its value: the exponent of encoding) and cHRM; b"" for sRGB.

    Either may be missing: 0, and no chromaticities (white, red, green, blue). Raises ValueError for
    values that describe no colours.
    """
    white_last = (*chromaticities[2:], *chromaticities[:2]) or _PRIMARIES[1]
    usual = not gamma or abs(gamma - 0.45455) < 0.005  # which all write, whatever they mean
    if usual and (grey or np.allclose(white_last, _PRIMARIES[1], atol=0.002)):
        return b""
    if gamma and not 0.1 <= gamma <= 2.0:
        raise ValueError(f"gamma {gamma}")
    return _profile(white_last, [_srgb(_LEVELS) if usual else _LEVELS ** (1 / gamma)], grey)


def of_curves(primaries: tuple[float, ...], curves: Sequence[Floats], grey: bool = False) -> bytes:
    """The profile of chromaticities x and y of red, green, blue and white, or (), and of one curve
    for all channels, or one each: light of evenly spaced levels, both 0..1. b"" for sRGB.

    Raises ValueError for values that describe no colours.
    """
    told = [np.interp(_LEVELS, np.linspace(0, 1, len(curve)), curve) for curve in curves]
    if any((np.diff(curve) < 0).any() or curve[-1] - curve[0] < 0.5 for curve in told):
        raise ValueError("a curve that does not rise")
    # That of a gamma of 2.2 is what all write, whatever they mean.
    usual = all(np.abs(curve - _srgb(_LEVELS)).max() < 0.02 for curve in told)
    primaries = primaries or _PRIMARIES[1]
    if usual and (grey or np.allclose(primaries, _PRIMARIES[1], atol=0.002)):
        return b""
    return _profile(primaries, [_srgb(_LEVELS)] if usual else told, grey)


@cache
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998)."""
    return _profile(_ADOBE_RGB, [_LEVELS ** (563 / 256)], grey=False)


def srgb_curve() -> Floats:
    """Light of 1,024 levels."""
    return _srgb(_LEVELS)


def _srgb(levels: Floats) -> Floats:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _pq(levels: Floats) -> Floats:
    """Luminance in diffuse whites (SMPTE ST 2084)."""
    root = levels ** (32 / 2523)
    return (
        10_000
        / _WHITE
        * ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    )


def _hlg(levels: Floats) -> Floats:
    """Luminance in diffuse whites on a screen of 1000 cd/m^2 (ITU-R BT.2100)."""
    scene = np.where(
        levels <= 0.5, levels**2 / 3, (np.exp((levels - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    return 1000 / _WHITE * scene**1.2


def _compressed(light: Floats) -> Floats:
    room = 1 - _KNEE
    over = (light - _KNEE).clip(0)
    return np.minimum(light, _KNEE) + room * over / (over + room)


def _profile(primaries: tuple[float, ...], curves: Sequence[Floats], grey: bool) -> bytes:
    """An ICC profile of a display, version 2, with the curve or the three curves (light of 1,024
    levels) as tables.

    Raises ValueError when the primaries span no colours.
    """
    responses = [_table(curve) for curve in curves]
    text = b"imgan: the colours that the file states"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(79),
        b"cprt": b"text" + bytes(4) + b"public domain\0",
        b"wtpt": _xyz(_D50),
    }
    if grey:
        tags[b"kTRC"] = responses[0]
    else:
        for name, column in zip(b"rgb", _colorants(primaries).T, strict=True):
            tags[b"%cXYZ" % name] = _xyz(column)
        three = responses if len(responses) == 3 else responses * 3
        tags |= zip((b"rTRC", b"gTRC", b"bTRC"), three, strict=True)
    bodies = list(dict.fromkeys(tags.values()))  # equal curves are one table
    starts, end = {}, 128 + 4 + 12 * len(tags)
    for body in bodies:
        starts[body] = end
        end += len(body) + -len(body) % 4
    header = struct.pack(
        ">I4sI4s4s4s", end, b"", 0x02400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
    )
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    directory = b"".join(
        name + struct.pack(">II", starts[body], len(body)) for name, body in tags.items()
    )
    data = b"".join(body + bytes(-len(body) % 4) for body in bodies)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + directory + data


def _table(curve: Floats) -> bytes:
    values = np.rint(curve.clip(0, 1) * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", len(curve)) + values


def _xyz(values: Floats) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *np.rint(values * 65536).astype(int))


def _colorants(primaries: tuple[float, ...]) -> Floats:
    """XYZ of red, green and blue, as columns, seen in the light of D50 (Bradford)."""
    x, y = np.array(primaries).reshape(4, 2).T
    if (y <= 0).any():
        raise ValueError("chromaticities out of range")
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    try:
        light = np.linalg.solve(xyz[:, :3], xyz[:, 3])
    except np.linalg.LinAlgError as error:
        raise ValueError("chromaticities in a line") from error
    if (light <= 0).any() or not np.isfinite(light).all() or light.max() > 1000:
        raise ValueError("chromaticities that span no colours")
    adapted = (_BRADFORD @ _D50) / (_BRADFORD @ xyz[:, 3])
    adaptation = np.linalg.inv(_BRADFORD) @ (adapted[:, None] * _BRADFORD)
    result: Floats = adaptation @ (xyz[:, :3] * light)
    return result
