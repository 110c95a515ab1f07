"""EXIF and XMP as bytes, mended in place: what is not touched stays equal to the byte."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_ORIENTATION = 0x0112
_THUMBNAIL_OFFSET = 0x0201
_THUMBNAIL_LENGTH = 0x0202
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([1-8])')


def byte_order(block: bytes | bytearray) -> str:
    """The `struct` prefix of a TIFF structure, which is what an EXIF block is."""
    if block[:4] == b"II*\0":
        return "<"
    if block[:4] == b"MM\0*":
        return ">"
    raise struct.error("not a TIFF structure")


def directory(block: bytes | bytearray, offset: int) -> Iterator[tuple[int, int]]:
    """Tag and position of the 12 bytes of each entry of the directory at `offset`."""
    order = byte_order(block)
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    for position in range(offset + 2, offset + 2 + 12 * count, 12):
        yield struct.unpack_from(f"{order}H", block, position)[0], position


def first_directory(block: bytes | bytearray) -> int:
    """Offset of the directory that describes the main picture."""
    offset: int = struct.unpack_from(f"{byte_order(block)}I", block, 4)[0]
    return offset


def upright(exif: bytes, xmp: bytes) -> tuple[int, bytes, bytes]:
    """Read the orientation, and say in both blocks that the picture is upright.

    The embedded thumbnail is blanked as well: it shows the picture as it was before the edit.

    Returns:
        The orientation, 1 to 8 (1 when nothing tells it), and the mended EXIF and XMP. A block that
        cannot be read comes back as it is.
    """
    orientation = 0
    block = bytearray(exif)
    try:
        orientation = _mend(block)
    except struct.error:
        block = bytearray(exif)
    if told := _XMP_ORIENTATION.search(xmp):
        orientation = orientation or int(told[2])
    return orientation or 1, bytes(block), _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _mend(block: bytearray) -> int:
    order = byte_order(block)
    orientation = 0
    first = first_directory(block)
    end = first + 2
    for tag, position in directory(block, first):
        end = position + 12
        if tag == _ORIENTATION:
            (orientation,) = struct.unpack_from(f"{order}H", block, position + 8)
            struct.pack_into(f"{order}H", block, position + 8, 1)
    (second,) = struct.unpack_from(f"{order}I", block, end)
    if second:
        entries = dict(directory(block, second))
        if _THUMBNAIL_OFFSET in entries and _THUMBNAIL_LENGTH in entries:
            (start,) = struct.unpack_from(f"{order}I", block, entries[_THUMBNAIL_OFFSET] + 8)
            (length,) = struct.unpack_from(f"{order}I", block, entries[_THUMBNAIL_LENGTH] + 8)
            length = max(0, min(length, len(block) - start))
            block[start : start + length] = bytes(length)
        struct.pack_into(f"{order}I", block, end, 0)
    return orientation if 1 <= orientation <= 8 else 0
