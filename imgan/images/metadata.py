"""EXIF and XMP as bytes, mended in place: what is not touched stays equal to the byte."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from imgan.operations import TRAINED

_ORIENTATION = 0x0112
_THUMBNAIL_OFFSET = 0x0201
_THUMBNAIL_LENGTH = 0x0202
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = f"{_IPTC} DigitalSourceType"
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
).encode()
_TAG = re.compile(rb"""<(?P<name>[^\s/>]+)(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")
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


def with_source_type(xmp: bytes, kind: str) -> bytes:
    """XMP that says by IPTC's DigitalSourceType how the picture came to be; all else stays.

    The statement takes the place of one that is there, except that what a network has made wholly
    stays that. Without XMP, the packet is new.

    Raises ValueError for XMP that cannot be read: not UTF-8, not XML, or without rdf:RDF.
    """
    packet = _Packet(xmp or _PACKET)
    if packet.stated == TRAINED:
        return xmp
    statement = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about={quoteattr(packet.about)} '
        f'xmlns:Iptc4xmpExt="{_IPTC}" Iptc4xmpExt:DigitalSourceType="{kind}"/>'
    ).encode()
    return packet.with_first(statement)


@dataclass
class _Packet:
    """Where things lie in an XMP packet, by a parser that knows namespaces.

    The bytes are then mended, not written anew: other people's prefixes, order and padding stay.
    """

    xmp: bytes
    about: str = ""
    """What the packet's descriptions are about."""
    stated: str = ""
    """The DigitalSourceType that is there."""
    _root: re.Match[bytes] | None = None
    _cuts: list[tuple[int, int]] = field(default_factory=list)
    _path: list[str] = field(default_factory=list)
    _started: int = 0

    def __post_init__(self) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._parser = parser
        try:
            # Offsets are those of UTF-8; a packet may end in zeros.
            self.xmp.decode()
            parser.Parse(self.xmp.rstrip(b"\0"), True)
        except expat.ExpatError as error:
            raise ValueError(f"not XML: {error}") from error
        if self._root is None:
            raise ValueError("no rdf:RDF")

    def with_first(self, description: bytes) -> bytes:
        """The packet with this as the first child of rdf:RDF, in place of what was stated."""
        assert self._root is not None
        tag, end = self._root[0], self._root.end()
        if tag.endswith(b"/>"):
            tag = tag[:-2] + b">"
            description += b"</" + self._root["name"] + b">"
        rest = self.xmp
        for start, stop in reversed(self._cuts):
            rest = rest[:start] + rest[stop:]
        return rest[: self._root.start()] + tag + description + rest[end:]

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        name = _plain(name)
        self._path.append(name)
        if name == f"{_RDF} RDF":
            self._root = self._root or _TAG.match(self.xmp, at)
        elif self._path[-2:] == [f"{_RDF} RDF", f"{_RDF} Description"]:
            for qualified, value in attributes.items():
                plain = _plain(qualified)
                if plain == f"{_RDF} about":
                    self.about = self.about or value
                elif plain == _SOURCE_TYPE:
                    self.stated = value
                    self._cut_attribute(at, qualified)
        elif self._states():
            self._started = at
            by_plain_name = {_plain(key): value for key, value in attributes.items()}
            self.stated = by_plain_name.get(f"{_RDF} resource", "")

    def _text(self, text: str) -> None:
        if self._states():
            self.stated += text.strip()

    def _end(self, name: str) -> None:
        if self._states():
            first = _TAG.match(self.xmp, self._started)
            assert first is not None
            stop = first.end()
            if not first[0].endswith(b"/>"):
                stop = self.xmp.index(b">", self._parser.CurrentByteIndex) + 1
            self._cuts.append((self._started, stop))
        self._path.pop()

    def _states(self) -> bool:
        return self._path[-3:] == [f"{_RDF} RDF", f"{_RDF} Description", _SOURCE_TYPE]

    def _cut_attribute(self, at: int, qualified: str) -> None:
        prefix = qualified.split(" ")[2]
        tag = _TAG.match(self.xmp, at)
        assert tag is not None
        for attribute in _ATTRIBUTE.finditer(self.xmp, tag.end("name"), tag.end()):
            if attribute[1] == f"{prefix}:DigitalSourceType".encode():
                self._cuts.append(attribute.span())


def _plain(name: str) -> str:
    """Namespace and name, without the prefix that stands for the namespace."""
    return " ".join(name.split(" ")[:2])
