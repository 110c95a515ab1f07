"""XMP packets, mended in place: other people's prefixes, order and padding stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from imgan.operations import TRAINED

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_GOOGLE = "http://ns.google.com/photos/"
_SOURCE_TYPE = f"{_IPTC} DigitalSourceType"
_OWN = "https://pypi.org/project/imgan/xmp/1.0/"
_PIPELINE = f"{_OWN} Pipeline"
_ORIENTATION = f"{_TIFF} Orientation"
_WIDTHS = (f"{_TIFF} ImageWidth", f"{_EXIF} PixelXDimension")
_HEIGHTS = (f"{_TIFF} ImageLength", f"{_EXIF} PixelYDimension")
_PANORAMA = "http://ns.google.com/photos/1.0/panorama/ "
_PLACES = (f"{_EXIF} SubjectArea", f"{_EXIF} SubjectLocation", _PANORAMA)
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
).encode()
_TAG = re.compile(rb"""<(?P<name>[^\s/>]+)(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")

MOTION = "motion photo: its video is left out"
GAIN_MAP = "its HDR gain map is left out"
DEPTH = "its depth map is left out"
# What a packet may state of parts beside the picture, which are not carried over: how the name
# begins (namespace, space, name), and what to say.
_LOST = (
    (f"{_GOOGLE}1.0/camera/ MotionPhoto", MOTION),
    (f"{_GOOGLE}1.0/camera/ MicroVideo", MOTION),
    ("http://ns.adobe.com/hdr-gain-map/1.0/ ", GAIN_MAP),
    ("http://ns.apple.com/HDRGainMap/1.0/ ", GAIN_MAP),
    ("http://ns.apple.com/depthData/1.0/ ", DEPTH),
    (f"{_GOOGLE}1.0/depthmap/ ", DEPTH),
    (f"{_GOOGLE}dd/1.0/", DEPTH),
    (f"{_GOOGLE}1.0/image/ ", "the picture before the camera's blur is left out"),
    (f"{_GOOGLE}1.0/audio/ ", "its sound is left out"),
    ("http://ns.adobe.com/xmp/note/ HasExtendedXMP", "its extended XMP is left out"),
    (f"{_GOOGLE}1.0/container/ ", ""),  # where those parts lie
    ("http://ns.apple.com/pixeldatainfo/1.0/ ", ""),
    ("http://ns.adobe.com/xap/1.0/ Thumbnails", ""),  # the picture before the edit
)


@dataclass(frozen=True)
class Property:
    """A statement of a packet: an attribute or a child of rdf:Description."""

    name: str
    """Namespace, a space, and the local name."""
    value: str
    """Its text, or the URI that it refers to."""
    start: int
    stop: int
    """Of its bytes in the packet."""
    inner: slice
    """The bytes of its value."""


def upright(xmp: bytes) -> tuple[int, bytes, tuple[str, ...]]:
    """Read the orientation; say that the picture is upright, and nothing of parts that are lost.

    Returns the orientation, 1 to 8 or 0 when none can be read, the packet, and notes on what it
    stated of parts beside the picture. A packet that cannot be read comes back as it is.
    """
    orientation, notes = 0, []

    def edit(p: Property) -> str | None:
        nonlocal orientation
        if p.name == _ORIENTATION:
            orientation = int(p.value) if re.fullmatch("[1-8]", p.value) else 0
            return "1"
        note = next((note for name, note in _LOST if p.name.startswith(name)), None)
        if note is None:
            return p.value
        notes.append(note)
        return None

    mended = _mended(xmp, edit)
    return orientation, mended, tuple(dict.fromkeys(filter(None, notes)))


def without_places(xmp: bytes) -> bytes:
    """XMP that says of no place, in pixels, what is there: the pixels have moved."""
    return _mended(xmp, lambda p: None if p.name.startswith(_PLACES) else p.value)


def sized(xmp: bytes, size: tuple[int, int], former: tuple[int, int]) -> bytes:
    """XMP that states this size (height, width) where it states one, and no place in pixels that
    was one at the former size.

    A panorama's sizes and offsets grow with the picture. When its sides have not grown alike, it is
    no longer called a panorama.
    """
    (height, width), growth = size, size[1] / former[1]
    alike = abs(height - former[0] * growth) <= 1

    def edit(p: Property) -> str | None:
        if p.name in _WIDTHS:
            return str(width)
        if p.name in _HEIGHTS:
            return str(height)
        if size == former or not p.name.startswith(_PLACES):
            return p.value
        if not p.name.startswith(_PANORAMA) or not alike:
            return None
        pixels = re.search("(Pixels|Left|Top|Width|Height)$", p.name)
        number = re.fullmatch(r"\d+(\.\d+)?", p.value)
        return str(round(float(p.value) * growth)) if pixels and number else p.value

    return _mended(xmp, edit)


_QUOTED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
"""What stands for what may not be in an attribute. `xml.sax.saxutils` would import a web client."""


def with_source_type(xmp: bytes, kind: str) -> bytes:
    """XMP that says by IPTC's DigitalSourceType how the picture came to be; all else stays.

    The statement takes the place of one that is there, except that what a network has made wholly
    stays that. Without XMP, the packet is new.

    Raises ValueError for XMP that cannot be read: not UTF-8, not XML, or without rdf:RDF.
    """
    packet = Packet(xmp or _PACKET)
    stated = [p for p in packet.properties if p.name == _SOURCE_TYPE]
    if stated and stated[-1].value == TRAINED:
        return xmp
    statement = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="{packet.about.translate(_QUOTED)}" '
        f'xmlns:Iptc4xmpExt="{_IPTC}" Iptc4xmpExt:DigitalSourceType="{kind}"/>'
    ).encode()
    return packet.changed([(p, None) for p in stated], first=statement)


def with_pipeline(xmp: bytes, pipeline: str) -> bytes:
    """XMP that holds a pipeline (`imgan.embedding`) in place of one that is there; all else stays.

    Raises ValueError as `with_source_type` does.
    """
    packet = Packet(xmp or _PACKET)
    held = [p for p in packet.properties if p.name == _PIPELINE]
    statement = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="{packet.about.translate(_QUOTED)}" '
        f'xmlns:imgan="{_OWN}" imgan:Pipeline="{pipeline.translate(_QUOTED)}"/>'
    ).encode()
    return packet.changed([(p, None) for p in held], first=statement)


def pipeline_in(xmp: bytes) -> str | None:
    """The pipeline that a packet holds, if it does and can be read."""
    try:
        held = [p.value for p in Packet(xmp).properties if p.name == _PIPELINE]
    except ValueError:
        return None
    return held[-1] if held else None


def _mended(xmp: bytes, edit: Callable[[Property], str | None]) -> bytes:
    """A packet with each property's value as `edit` has it, and without those where that is None.

    One that cannot be read comes back as it is.
    """
    try:
        packet = Packet(xmp)
    except ValueError:
        return xmp
    edits = [(p, edit(p)) for p in packet.properties]
    return packet.changed([(p, value) for p, value in edits if value != p.value])


@dataclass
class Packet:
    """Where things lie in an XMP packet, by a parser that knows namespaces.

    Raises ValueError for XMP that cannot be read: not UTF-8, not XML, or without rdf:RDF.
    """

    xmp: bytes
    about: str = ""
    """What the packet's descriptions are about."""
    properties: list[Property] = field(default_factory=list)
    _root: re.Match[bytes] | None = None
    _path: list[str] = field(default_factory=list)
    _started: int = 0
    _value: str = ""

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

    def changed(self, edits: Iterable[tuple[Property, str | None]], *, first: bytes = b"") -> bytes:
        """The packet with other values of some properties, without those whose new value is None,
        and with `first` as the first child of rdf:RDF."""
        rest = self.xmp
        for p, new in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
            start, stop = (p.start, p.stop) if new is None else (p.inner.start, p.inner.stop)
            rest = rest[:start] + (new or "").encode() + rest[stop:]
        if not first:
            return rest
        assert self._root is not None
        tag, end = self._root[0], self._root.end()
        if tag.endswith(b"/>"):
            tag = tag[:-2] + b">"
            first += b"</" + self._root["name"] + b">"
        return rest[: self._root.start()] + tag + first + rest[end:]

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        name = _plain(name)
        self._path.append(name)
        if name == f"{_RDF} RDF":
            self._root = self._root or _TAG.match(self.xmp, at)
        elif self._path[-2:] == [f"{_RDF} RDF", f"{_RDF} Description"]:
            self._add_attributes(at, attributes)
        elif self._states():
            self._started = at
            by_plain_name = {_plain(key): value for key, value in attributes.items()}
            self._value = by_plain_name.get(f"{_RDF} resource", "")

    def _text(self, text: str) -> None:
        if self._states():
            self._value += text.strip()

    def _end(self, name: str) -> None:
        if self._states():
            first = _TAG.match(self.xmp, self._started)
            assert first is not None
            inner, stop = slice(first.end(), first.end()), first.end()
            if not first[0].endswith(b"/>"):
                inner = slice(first.end(), self._parser.CurrentByteIndex)
                stop = self.xmp.index(b">", inner.stop) + 1
            self.properties.append(
                Property(self._path[-1], self._value, self._started, stop, inner)
            )
        self._path.pop()

    def _states(self) -> bool:
        """Whether the parser is in a child of a description, and in none of its own children."""
        return len(self._path) > 2 and self._path[-3:-1] == [f"{_RDF} RDF", f"{_RDF} Description"]

    def _add_attributes(self, at: int, attributes: Mapping[str, str]) -> None:
        tag = _TAG.match(self.xmp, at)
        assert tag is not None
        spans = {
            found[1].decode(): (*found.span(), slice(found.start(2) + 1, found.end(2) - 1))
            for found in _ATTRIBUTE.finditer(self.xmp, tag.end("name"), tag.end())
        }
        for qualified, value in attributes.items():
            plain = _plain(qualified)
            if plain == f"{_RDF} about":
                self.about = self.about or value
            elif (typed := ":".join(qualified.split(" ")[:0:-1])) in spans:
                self.properties.append(Property(plain, value, *spans[typed]))


def _plain(name: str) -> str:
    """Namespace and name, without the prefix that stands for the namespace."""
    return " ".join(name.split(" ")[:2])
