"""What Pillow cannot do: samples of 16 bits, and a TIFF whose EXIF is kept to the byte.

Pillow holds colour in 8 bits a channel only. `imagecodecs` (libpng and libtiff) decodes deep
PNG and the usual TIFF and compresses deep PNG; it is imported when the first such file comes.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images.exif import byte_order, first_directory, intact_entries

Samples = NDArray[np.uint8 | np.uint16]

# libpng's warnings come as log records, which Python prints where nobody listens.
logging.getLogger("imagecodecs").addHandler(logging.NullHandler())

_PNG_IHDR_END = 33
_TIFF_LIMIT = 2**32 - 1
# Channels of colour and photometric interpretation: grey (white is 0, or black is 0), RGB.
_TIFF_LAYOUTS = {(1, 0), (1, 1), (3, 2)}
_TIFF_JPEG = (6, 7)
_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
# Tags that say how and where pixels are stored; they belong to one file and are never carried over.
# XMP (700) and the ICC profile (34675) travel by themselves, Photoshop's resources (34377) not.
STORAGE_TAGS = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 301}
    | {*range(317, 326), 330, 332, *range(338, 348), *range(512, 533), 700, 34377, 34675}
)


def rows(height: int, width: int, most: int = 2**20) -> Iterator[slice]:
    """Cut a picture into bands of some `most` pixels, so that no step needs a second whole copy."""
    step = max(1, most // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def decodes(image: Image.Image, header: bytes) -> bool:
    """Whether `decode` and not Pillow should decode an opened image.

    True for PNG of 16 bits and for grey and RGB TIFF of 8 or 16 bits. Pillow could decode the TIFF
    of 8 bits, but its libtiff writes to standard error by itself when the file is broken.
    """
    if image.format == "PNG":
        return header[24] == 16
    if image.format != "TIFF":
        return False
    tags = image.tag_v2  # type: ignore[attr-defined]
    colour = len(tags.get(258, ())) - len(tags.get(338, ()))
    return (
        set(tags.get(258, ())) in ({8}, {16})
        and set(tags.get(339, (1,))) == {1}
        and tags.get(259) not in _TIFF_JPEG
        and (colour, tags.get(262)) in _TIFF_LAYOUTS
        and tags.get(338, ()) in ((), (0,), (2,))
    )


def decode(image: Image.Image, data: bytes) -> Samples:
    """Decode all bits: [H, W] or [H, W, C] with C = 2 (grey, alpha), 3 or 4 (RGB, alpha)."""
    import imagecodecs

    if image.format == "PNG":
        return imagecodecs.png_decode(data)
    tags = image.tag_v2  # type: ignore[attr-defined]
    samples = imagecodecs.tiff_decode(data)
    if samples.ndim == 3 and tags.get(284) == 2:
        samples = np.moveaxis(samples, 0, -1)
    if tags.get(262) == 0:
        samples = np.iinfo(samples.dtype).max - samples
    if tags.get(338) == (0,):
        samples = samples[..., 0] if samples.shape[-1] == 2 else samples[..., :3]
    return samples


def xmp_chunk(xmp: bytes) -> bytes:
    """The body of the PNG chunk `iTXt` that holds XMP, uncompressed as the XMP standard asks."""
    return b"XML:com.adobe.xmp" + bytes(5) + xmp


def write_deep_png(
    file: BinaryIO,
    samples: Samples,
    *,
    exif: bytes,
    xmp: bytes,
    icc: bytes,
    dpi: tuple[float, float],
) -> None:
    """Write [H, W] or [H, W, C] samples of 16 bits as PNG."""
    import imagecodecs

    png = imagecodecs.png_encode(samples, 6)
    file.write(png[:_PNG_IHDR_END])
    if icc:
        _write_chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if dpi[0]:
        across, down = (round(value / 0.0254) for value in dpi)
        _write_chunk(file, b"pHYs", struct.pack(">IIB", across, down, 1))
    if exif:
        _write_chunk(file, b"eXIf", exif)
    if xmp:
        _write_chunk(file, b"iTXt", xmp_chunk(xmp))
    file.write(memoryview(png)[_PNG_IHDR_END:])


def _write_chunk(file: BinaryIO, kind: bytes, body: bytes) -> None:
    checksum = zlib.crc32(kind + body)
    file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum))


def write_tiff(
    file: BinaryIO,
    planes: list[Samples],
    *,
    exif: bytes,
    xmp: bytes,
    icc: bytes,
    dpi: tuple[float, float],
) -> None:
    """Write a TIFF of 8 or 16 bits, deflated with horizontal differencing.

    An EXIF block is a TIFF without a picture: it opens the file as it is, so that all offsets in it
    (maker's notes too) stay good, and a new first directory takes over its entries.

    Args:
        planes: [H, W] or [H, W, C] arrays of one dtype, laid side by side as channels: a grey or
            RGB plane, then alpha when there is one.

    Raises:
        Failure: the file would pass the 4 GiB that TIFF can address.
    """
    try:
        block = bytearray(exif)
        order = byte_order(block)
        inherited = {
            tag: bytes(block[position : position + 12])
            for tag, position in intact_entries(block, first_directory(block))
            if tag not in STORAGE_TAGS
        }
    except (struct.error, IndexError):
        block, order, inherited = bytearray(b"II*\0" + bytes(4)), "<", {}
    file.write(block)

    height, width = planes[0].shape[:2]
    depth = planes[0].itemsize * 8
    channels = sum(1 if plane.ndim == 2 else plane.shape[2] for plane in planes)
    offsets, lengths = [], []
    bands = list(rows(height, width))
    for band in bands:
        strip: Samples = np.dstack([plane[band] for plane in planes])
        strip[:, 1:] -= strip[:, :-1]
        packed = zlib.compress(strip.astype(f"{order}u{strip.itemsize}", copy=False).data, 4)
        offsets.append(_append(file, packed))
        lengths.append(len(packed))

    entries = dict(inherited)

    def add(tag: int, kind: int, count: int, value: bytes) -> None:
        if len(value) > 4:
            value = struct.pack(f"{order}I", _append(file, value))
        entries[tag] = struct.pack(f"{order}HHI", tag, kind, count) + value.ljust(4, b"\0")

    def add_numbers(tag: int, kind: int, *numbers: int) -> None:
        code = "H" if kind == _SHORT else "I"
        add(tag, kind, len(numbers), struct.pack(f"{order}{len(numbers)}{code}", *numbers))

    add_numbers(256, _LONG, width)
    add_numbers(257, _LONG, height)
    add_numbers(258, _SHORT, *[depth] * channels)
    add_numbers(259, _SHORT, 8)  # deflate
    add_numbers(262, _SHORT, 2 if channels > 2 else 1)
    add_numbers(273, _LONG, *offsets)
    add_numbers(277, _SHORT, channels)
    add_numbers(278, _LONG, bands[0].stop)
    add_numbers(279, _LONG, *lengths)
    add_numbers(284, _SHORT, 1)
    add_numbers(317, _SHORT, 2)  # horizontal differencing
    if channels in (2, 4):
        add_numbers(338, _SHORT, 2)  # alpha, not premultiplied
    for tag in (282, 283, 296):
        entries.pop(tag, None)
    if dpi[0]:
        for tag, value in zip((282, 283), dpi, strict=True):
            add(tag, _RATIONAL, 1, struct.pack(f"{order}II", round(value * 1000), 1000))
        add_numbers(296, _SHORT, 2)  # inch
    if xmp:
        add(700, _BYTE, len(xmp), xmp)
    if icc:
        add(34675, _UNDEFINED, len(icc), icc)

    body = b"".join(entries[tag] for tag in sorted(entries))
    start = _append(file, struct.pack(f"{order}H", len(entries)) + body + bytes(4))
    file.seek(4)
    file.write(struct.pack(f"{order}I", start))


def _append(file: BinaryIO, data: bytes) -> int:
    """Write at the next even offset, as TIFF asks, and return that offset."""
    file.write(bytes(file.tell() % 2))
    start = file.tell()
    if start + len(data) > _TIFF_LIMIT:
        raise Failure("TIFF holds at most 4 GiB: write PNG instead")
    file.write(data)
    return start
