"""The segments of a JPEG file that stand before its picture."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO

_SCAN, _COMMENT = 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)


def without_damage(stream: BinaryIO, opens: Callable[[BinaryIO], object]) -> BinaryIO:
    """The file without those segments for applications (EXIF, XMP, profiles, thumbnails, comments)
    with which `opens` raises. It raises what it does when the fault lies elsewhere."""
    segments = list(_segments(stream))
    end = segments[-1][1].stop if segments else 2
    stream.seek(0)
    whole = stream.read()
    needless = [place for marker, place in segments if _for_applications(marker)]

    def without(left_out: list[slice]) -> BinaryIO:
        parts = [whole[:2], *(whole[p] for _, p in segments if p not in left_out), whole[end:]]
        return BytesIO(b"".join(parts))

    opens(without(needless))
    damaged = list(needless)
    for place in needless:
        tried = [other for other in damaged if other != place]
        try:
            opens(without(tried))
        except Exception:  # it is one of the damaged
            continue
        damaged = tried
    return without(damaged)


def _for_applications(marker: int) -> bool:
    return marker in _APPLICATION or marker == _COMMENT


def _segments(stream: BinaryIO) -> Iterator[tuple[int, slice]]:
    """Marker and place of each segment up to the first scan, which has to follow the last one."""
    position = 2
    while True:
        stream.seek(position)
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            return
        (length,) = struct.unpack_from(">H", head, 2)
        yield head[1], slice(position, position + 2 + length)
        position += 2 + length
