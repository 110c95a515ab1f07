"""The boxes of HEIF files (ISO/IEC 23008-12), which HEIC and AVIF are."""

from __future__ import annotations

import struct
from functools import cache
from typing import BinaryIO

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_ANY = {b"mif1", b"mif2", b"msf1", b"miaf"}
_MOST = 2**20
"""Bytes that are read of a box."""


@cache
def register() -> None:
    """Have Pillow read and write HEIC: its library is loaded for those files alone."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def kind(stream: BinaryIO) -> str:
    """Pillow's name of the format, by the brands of a file and by how its pictures are coded; ""
    for another kind of file, such as a film."""
    major, *compatible = _brands(stream)
    for brands in ({major}, set(compatible)):
        if brands & _AVIF:
            return "AVIF"
        if brands & _HEIC:
            return "HEIF"
    if not {major, *compatible} & _ANY:
        return ""
    return "AVIF" if b"av01" in meta(stream) else "HEIF"


def meta(stream: BinaryIO) -> bytes:
    """The box that describes the pictures of a file; empty when there is none."""
    return _box(stream, b"meta")


def color_codes(meta: bytes) -> tuple[int, int] | None:
    """ColourPrimaries and TransferCharacteristics (H.273), if they are told."""
    at = meta.find(b"colrnclx")
    if not 0 <= at <= len(meta) - 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", meta, at + 8)
    return primaries, transfer


def _brands(stream: BinaryIO) -> list[bytes]:
    body = _box(stream, b"ftyp")
    major, compatible = body[:4], body[8:]
    return [major, *(compatible[at : at + 4] for at in range(0, len(compatible), 4))]


def _box(stream: BinaryIO, wanted: bytes) -> bytes:
    position = 0
    while True:
        stream.seek(position)
        head = stream.read(16)
        if len(head) < 8:
            return b""
        size, name = struct.unpack_from(">I4s", head)
        length = 8
        if size == 1 and len(head) == 16:
            (size,), length = struct.unpack_from(">Q", head, 8), 16
        if name == wanted:
            stream.seek(position + length)
            return stream.read(min(size - length, _MOST) if size else _MOST)
        if size < length:  # to the end of the file, or nonsense
            return b""
        position += size
