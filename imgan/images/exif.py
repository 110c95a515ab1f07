"""EXIF as bytes, mended in place: what is not touched stays equal to the byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

_ORIENTATION = 0x0112
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_EXIF_DIRECTORY, _INTEROP_DIRECTORY = 0x8769, 0xA005
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_SUBJECT = (0x9214, 0xA214)  # area and location, in pixels
_INTEROP_INDEX = 0x0001
_SHORT, _LONG = 3, 4
# Bytes of a value of each type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# Whole numbers by their type: BYTE, SHORT, LONG, and with a sign.
_NUMBERS = {1: "B", _SHORT: "H", _LONG: "I", 6: "b", 8: "h", 9: "i"}


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


def intact_entries(block: bytes | bytearray, offset: int) -> Iterator[tuple[int, int]]:
    """Of `directory` those entries that a reader understands: of a known type, at least one value,
    and all of them within the block."""
    for tag, position in directory(block, offset):
        kind, count, place = struct.unpack_from(f"{byte_order(block)}HII", block, position + 2)
        length = _SIZES.get(kind, 0) * count
        if length and (length <= 4 or place + length <= len(block)):
            yield tag, position


def first_directory(block: bytes | bytearray) -> int:
    """Offset of the directory that describes the main picture."""
    offset: int = struct.unpack_from(f"{byte_order(block)}I", block, 4)[0]
    return offset


def upright(block: bytearray) -> int:
    """Read the orientation, and say that the picture is upright.

    The embedded thumbnail is blanked as well: it shows the picture as it was before the edit.
    Returns the orientation, 1 to 8, or 0 when none can be read.
    """
    orientation = 0
    with suppress(struct.error):
        for tag, position in directory(block, first_directory(block)):
            if tag == _ORIENTATION:
                orientation = _number(block, position)
                _set(block, position, 1, _SHORT)
    with suppress(struct.error):
        _blank_thumbnail(block)
    return orientation if 1 <= orientation <= 8 else 0


def state_size(block: bytearray, height: int, width: int) -> None:
    """State this size where one is stated."""
    with suppress(struct.error):
        for start in _directories(block):
            for tag, position in directory(block, start):
                side = width if tag in _WIDTHS else height if tag in _HEIGHTS else 0
                if side and _number(block, position) != side:
                    _set(block, position, side, _LONG)


def forget_places(block: bytearray) -> None:
    """Say no more where in the picture, in pixels, the subject is."""
    with suppress(struct.error):
        for start in _directories(block):
            for tag in _SUBJECT:
                _remove(block, start, tag)


def says_adobe_rgb(exif: bytes) -> bool:
    """Whether a camera states by DCF's interoperability index that its colours are Adobe RGB."""
    with suppress(struct.error):
        for start in _directories(exif):
            for tag, position in directory(exif, start):
                if tag == _INTEROP_DIRECTORY:
                    entries = dict(directory(exif, _number(exif, position)))
                    at = entries.get(_INTEROP_INDEX)
                    return at is not None and exif[at + 8 : at + 11] == b"R03"
    return False


def _directories(block: bytes | bytearray) -> Iterator[int]:
    """Offsets of the main picture's directory and of the one of EXIF proper."""
    first = first_directory(block)
    yield first
    for tag, position in directory(block, first):
        if tag == _EXIF_DIRECTORY:
            yield _number(block, position)


def _number(block: bytes | bytearray, position: int) -> int:
    """The value of the entry at `position`; 0 when it is not a whole number."""
    order = byte_order(block)
    kind, count = struct.unpack_from(f"{order}HI", block, position + 2)
    if kind not in _NUMBERS or count != 1:
        return 0
    value: int = struct.unpack_from(order + _NUMBERS[kind], block, position + 8)[0]
    return value


def _set(block: bytearray, position: int, value: int, kind: int) -> None:
    """Let the entry at `position` be one number of this type."""
    order = byte_order(block)
    number = struct.pack(order + _NUMBERS[kind], value).ljust(4, b"\0")
    struct.pack_into(f"{order}HI4s", block, position + 2, kind, 1, number)


def _remove(block: bytearray, start: int, tag: int) -> None:
    """Take an entry out of the directory at `start`; those after it move up."""
    entries = dict(directory(block, start))
    if tag in entries:
        order, end = byte_order(block), start + 2 + 12 * len(entries) + 4
        position = entries[tag]
        block[position:end] = block[position + 12 : end] + bytes(12)
        struct.pack_into(f"{order}H", block, start, len(entries) - 1)


def _blank_thumbnail(block: bytearray) -> None:
    order = byte_order(block)
    first = first_directory(block)
    end = first + 2 + 12 * len(list(directory(block, first)))
    (second,) = struct.unpack_from(f"{order}I", block, end)
    if second:
        entries = dict(directory(block, second))
        if _THUMBNAIL_OFFSET in entries and _THUMBNAIL_LENGTH in entries:
            start = _number(block, entries[_THUMBNAIL_OFFSET])
            length = _number(block, entries[_THUMBNAIL_LENGTH])
            length = max(0, min(length, len(block) - start))
            block[start : start + length] = bytes(length)
        struct.pack_into(f"{order}I", block, end, 0)
