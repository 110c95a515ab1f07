"""The chunks of a PNG file that Pillow is not asked about."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT = 2**20
"""Bytes of one text, unpacked, over which Pillow refuses the whole file."""
_MUCH_TEXT = 2**16
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"acTL": 8}
_NEEDED = (b"XML:com.adobe.xmp\0", b"Raw profile type ")  # texts with XMP or EXIF in them
_FRAMES = (b"fcTL", b"fdAT")  # of a moving picture; not looked into


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    length: int
    """Of the whole chunk."""


@dataclass
class Told:
    """What the ancillary chunks say of colours, and what of them is passed over."""

    codes: tuple[int, int] | None = None
    """ColourPrimaries and TransferCharacteristics of H.273."""
    gamma: float = 0.0
    chromaticities: tuple[float, ...] = ()
    """x and y of white, red, green and blue."""
    srgb: bool = False
    """Whether sRGB is stated, which goes before gamma and chromaticities."""
    notes: list[str] = field(default_factory=list)


def read(stream: BinaryIO) -> tuple[BinaryIO, Told]:
    """The file without ancillary chunks that would keep it from being decoded: damaged ones, and
    text. The same stream where it has none. Both are at their start."""
    told = Told()
    chunks, left_out = [], False
    for chunk in _chunks(stream):
        ancillary = chunk.kind[0] & 0x20 and chunk.kind not in _FRAMES
        if ancillary and (trouble := _heed(stream, chunk, told)):
            told.notes.append(f"PNG: {trouble} is left out")
            left_out = True
        else:
            chunks.append(chunk)
    if not left_out:
        stream.seek(0)
        return stream, told
    cleaned = BytesIO()
    cleaned.write(SIGNATURE)
    for chunk in chunks:
        stream.seek(chunk.start)
        cleaned.write(stream.read(chunk.length))
    stream.seek(chunks[-1].start + chunks[-1].length if chunks else len(SIGNATURE))
    cleaned.write(stream.read())  # what cannot be told apart is the decoder's to judge
    cleaned.seek(0)
    return cleaned, told


def _chunks(stream: BinaryIO) -> Iterator[_Chunk]:
    position = len(SIGNATURE)
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield _Chunk(kind, position, length + 12)
        if kind == b"IEND":
            return
        position += length + 12


def _heed(stream: BinaryIO, chunk: _Chunk, told: Told) -> str:
    """Take up what an ancillary chunk says of colours; returns what is wrong with it, if so."""
    stream.seek(chunk.start + 4)
    body = stream.read(chunk.length - 4)
    checksum, body = body[-4:], body[4:-4]
    name = chunk.kind.decode("latin-1")
    if struct.pack(">I", zlib.crc32(chunk.kind + body)) != checksum or _LENGTHS.get(
        chunk.kind, len(body)
    ) != len(body):
        return f"a damaged {name} chunk"
    if chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
        size = _text_size(chunk.kind, body)
        if size > (_MOST_TEXT if body.startswith(_NEEDED) else _MUCH_TEXT):
            return f"a text of over {_MUCH_TEXT // 1024} KiB ({name})"
    elif chunk.kind == b"cICP":
        told.codes = body[0], body[1]
    elif chunk.kind == b"gAMA":
        told.gamma = struct.unpack(">I", body)[0] / 100_000
    elif chunk.kind == b"cHRM":
        told.chromaticities = tuple(number / 100_000 for number in struct.unpack(">8I", body))
    elif chunk.kind == b"sRGB":
        told.srgb = True
    return ""


def _text_size(kind: bytes, body: bytes) -> int:
    """Bytes of a text, unpacked; more than any limit when it cannot be unpacked."""
    keyword, _, rest = body.partition(b"\0")
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    else:
        # XMP, as it is, has no limit.
        return 0 if keyword + b"\0" in _NEEDED else len(rest)
    try:
        return len(zlib.decompressobj().decompress(packed, _MOST_TEXT + 1))
    except zlib.error:
        return _MOST_TEXT + 1
