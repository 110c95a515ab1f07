"""Pictures in and out: what a file holds beside its pixels comes back with the result.

A picture is opened upright, as RGB in the file's own colour space and depth, with alpha as a plane
of its own. Networks see `to_srgb` of a tile and their answer goes back through `from_srgb`, so
pixels that no edit touches are never converted.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import EllipsisType
from typing import BinaryIO, cast

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from imgan import codecs, colour
from imgan.codecs import Samples, rows
from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.metadata import upright, with_source_type

MAX_PIXELS = 400_000_000
"""Pictures with more pixels than this are taken for decompression bombs and not opened."""

_JPEG_SEGMENT = 65_533  # bytes
_BROKEN = "broken, truncated or unsupported picture"
_EXIF_HEADER = b"Exif\0\0"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"

for _plugin in ("Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP"):
    import_module(f"PIL.{_plugin}ImagePlugin")
pillow_heif.register_heif_opener()


@dataclass(frozen=True)
class Format:
    """What a file format can hold, and how imgan writes it."""

    name: str  # Pillow's name
    suffixes: tuple[str, ...]
    longest_side: int = 2**31 - 1
    alpha: bool = True
    deep: bool = False  # 16 bits a channel
    metadata: bool = True  # EXIF, XMP and ICC
    quality: int | None = None  # the default; None where the format loses nothing
    options: Mapping[str, object] = field(default_factory=dict)


FORMATS = (
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        longest_side=65_500,  # libjpeg's own limit, a little below the format's 65,535
        alpha=False,
        quality=95,
        options={"subsampling": "4:4:4"},
    ),
    Format("PNG", (".png",), deep=True),
    Format("WEBP", (".webp",), longest_side=16_383, quality=90),
    Format("TIFF", (".tif", ".tiff"), deep=True),
    Format("BMP", (".bmp",), alpha=False, metadata=False),
    Format("GIF", (".gif",), longest_side=65_535, metadata=False),
    Format("HEIF", (".heic", ".heif"), quality=90),
    Format("AVIF", (".avif",), longest_side=65_536, quality=90, options={"subsampling": "4:4:4"}),
)
"""Every format that imgan reads and writes. Default qualities: JPEG 95 without colour subsampling,
since an edit should not lose more than the camera did; WebP, HEIC and AVIF 90."""

SUFFIXES: Mapping[str, Format] = {suffix: form for form in FORMATS for suffix in form.suffixes}
"""File suffix, in lower case and with its dot, to format."""


@dataclass(frozen=True)
class Source:
    """What a file holds beside its pixels: all that writing its twin needs.

    Attributes:
        format: Pillow's name of the format ("JPEG", "HEIF", ...).
        grey: the file was grey; it is written grey again if its channels are still equal.
        depth: bits a channel, 8 or 16.
        exif: EXIF from its TIFF header on, already upright, or b"".
        xmp: the XMP packet, or b"".
        icc: the ICC profile that `Picture.pixels` are in, or b"" for sRGB.
        dpi: pixels per inch, or 0 when unknown.
        notes: what a person should know about the opening, a line each.
        made: IPTC's DigitalSourceType (`imgan.metadata`) that is to stand in the XMP written, or
            "" to leave what is there.
    """

    format: str = "PNG"
    grey: bool = False
    depth: int = 8
    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    dpi: float = 0.0
    notes: tuple[str, ...] = ()
    made: str = ""


@dataclass(frozen=True)
class Picture:
    """An upright picture.

    Attributes:
        pixels: [H, W, 3], uint8 or uint16 over the dtype's full range, in the file's own RGB space.
        alpha: [H, W] of the same dtype, 0 is transparent, not premultiplied; None when opaque.
        source: where it came from. The default suits a picture that no file stood behind.
    """

    pixels: Samples
    alpha: Samples | None = None
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"pixels must be [H, W, 3], not {list(self.pixels.shape)}")
        if self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels must be uint8 or uint16, not {self.pixels.dtype}")
        if self.alpha is not None and (
            self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype
        ):
            raise ValueError("alpha must be a plane of the pixels' own height, width and dtype")

    def with_pixels(self, pixels: Samples, alpha: Samples | EllipsisType | None = ...) -> Picture:
        """The same picture with other pixels, and with other alpha when it is given."""
        return replace(self, pixels=pixels, alpha=self.alpha if alpha is ... else alpha)


def pictures(folder: Path) -> list[Path]:
    """Every picture file under a folder, sorted by path. Raises Failure when there is none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise Failure(f"{folder}: no picture in it; name a folder of pictures")
    return found


def open_picture(source: Path | bytes, name: str = "") -> Picture:
    """Open a picture file, or the bytes of one.

    Args:
        source: path, or the whole file as read from standard input.
        name: what messages call it; the path, or "standard input", when empty.

    Raises:
        Failure: missing, unreadable, empty, no picture, broken, truncated, of an unsupported kind,
            or over `MAX_PIXELS`.
    """
    name = name or (str(source) if isinstance(source, Path) else "standard input")
    try:
        with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            return _decode(stream)
    except OSError as error:
        if error.errno is None:
            raise Failure(f"{name}: {_BROKEN}: {_line(error)}") from error
        raise Failure(f"{name}: cannot be read: {error.strerror}") from error
    except Image.DecompressionBombError as error:
        raise Failure(f"{name}: too many pixels: {_line(error)}") from error
    except Failure as error:
        raise Failure(f"{name}: {error}") from error
    except Exception as error:  # decoders raise almost anything when fed malformed bytes
        raise Failure(f"{name}: {_BROKEN}: {_line(error)}") from error


def save_picture(
    picture: Picture,
    target: Path | BinaryIO,
    *,
    quality: int | None = None,
    strip_metadata: bool = False,
    overwrite: bool = False,
    format: str | None = None,
) -> tuple[str, ...]:
    """Write a picture whole or not at all.

    A path is written through a temporary file in its own folder and a rename; a stream gets its
    bytes once all are encoded.

    Args:
        quality: 1 to 100 for JPEG, WebP, HEIC and AVIF, ignored by formats that lose nothing;
            None is the format's default (`FORMATS`).
        strip_metadata: leave out EXIF and XMP. A profile other than sRGB stays, since colours need
            it, and so does `Source.made`.
        overwrite: replace a file that is there.
        format: a suffix or a format's name, for a target whose own suffix does not tell; the
            picture's own format when None.

    Returns:
        What a person should know about the writing, a line each ("GIF holds 256 colours").

    Raises:
        Misuse: unknown suffix or format, quality out of range.
        Failure: the file exists, cannot be written, or cannot hold the picture.
    """
    form = format_of(target if isinstance(target, Path) else None, format or picture.source.format)
    name = str(target) if isinstance(target, Path) else "standard output"
    if quality is not None and not 1 <= quality <= 100:
        raise Misuse(f"--quality {quality}: give a number from 1 to 100")
    height, width = picture.pixels.shape[:2]
    if max(height, width) > form.longest_side:
        raise Failure(
            f"{name}: {form.name} holds at most {form.longest_side:,} pixels a side, not "
            f"{width:,} x {height:,}: choose PNG or TIFF"
        )
    if form.name == "HEIF" and form.name not in Image.SAVE:
        raise Failure(f"{name}: this build of pillow-heif cannot write HEIC: choose another format")
    try:
        if isinstance(target, Path):
            with whole_file(target, overwrite) as file:
                return _encode(picture, form, file, quality, strip_metadata)
        with tempfile.TemporaryFile() as file:
            notes = _encode(picture, form, file, quality, strip_metadata)
            file.seek(0)
            shutil.copyfileobj(file, target)
            target.flush()
            return notes
    except Failure as error:
        raise Failure(f"{name}: {error}") from error
    except OSError as error:
        raise Failure(f"{name}: cannot be written: {error.strerror or _line(error)}") from error
    except Exception as error:  # encoders of other libraries have their own kinds
        raise Failure(f"{name}: cannot be written as {form.name}: {_line(error)}") from error


def format_of(target: Path | None, default: str) -> Format:
    """The format that a target's suffix names, else `default` (a suffix or a format's name).

    Raises:
        Misuse: the suffix, or the default, names no format that imgan writes.
    """
    suffix = target.suffix if target is not None and target.suffix else default
    try:
        return SUFFIXES["." + suffix.lower().removeprefix(".")]
    except KeyError:
        known = " ".join(SUFFIXES)
        raise Misuse(f"{target or default}: unknown picture format; known: {known}") from None


def to_srgb(pixels: Samples, source: Source) -> NDArray[np.uint8]:
    """What a network may look at: [H, W, 3] pixels of `source` as 8-bit sRGB.

    The same object comes back where nothing changes: 8 bits, and sRGB or no profile.
    """
    return colour.to_srgb(_eight_bits(pixels), source.icc)


def from_srgb(pixels: NDArray[np.uint8], source: Source) -> Samples:
    """The way back: [H, W, 3] 8-bit sRGB pixels in the colour space and depth of `source`."""
    own = colour.from_srgb(pixels, source.icc)
    return own.astype(np.uint16) * np.uint16(257) if source.depth == 16 else own


def _decode(stream: BinaryIO) -> Picture:
    image = _identify(stream)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Failure(f"{width:,} x {height:,} pixels; imgan opens at most {MAX_PIXELS:,}")
    form = "JPEG" if image.format == "MPO" else str(image.format)
    stream.seek(0)
    header = stream.read(4096)
    direct = codecs.decodes(image, header)
    notes = _frame_notes(image, form) + _depth_notes(image, form, header, direct)
    if not (direct and form == "TIFF"):
        image.load()  # PNG may keep its metadata at the end; Pillow turns TIFF upright by this
    orientation, exif, xmp = upright(_exif(image), _bytes(image.info.get("xmp")))
    icc = _bytes(image.info.get("icc_profile"))
    dpi = image.info.get("dpi", (0.0,))[0]

    if image.mode in ("CMYK", "LAB"):
        notes.append(f"{image.mode} colours converted to sRGB")
        image = (
            colour.cmyk_to_srgb(image, icc) if image.mode == "CMYK" else colour.lab_to_srgb(image)
        )
        icc = b""
    if direct:
        stream.seek(0)
        samples = codecs.decode(image, stream.read())
        grey = samples.ndim == 2 or samples.shape[2] == 2
        pixels, alpha = _planes(samples, grey)
    else:
        grey = image.mode in ("1", "L", "LA", "La")
        pixels, alpha = _planes(_plain(image, grey), grey)
    if colour.space(icc).kind == "unusable":
        notes.append("colour profile cannot be used: pixels taken as sRGB")

    depth = pixels.itemsize * 8
    source = Source(form, grey, depth, exif, xmp, icc, float(dpi or 0.0), tuple(notes))
    turned_alpha = None if alpha is None else _turned(alpha, orientation)
    return Picture(_turned(pixels, orientation), turned_alpha, source)


def _identify(stream: BinaryIO) -> Image.Image:
    """Open lazily, without `Image.open`: its limit on pixels is a global of the whole process."""
    prefix = stream.read(16)
    if not prefix:
        raise Failure("the file is empty")
    broken: Exception | None = None
    for form in FORMATS:
        factory, accept = Image.OPEN[form.name]
        if accept is None or accept(prefix) is not True:
            continue
        stream.seek(0)
        try:
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            broken = broken or error
    if broken is not None:
        raise broken
    known = ", ".join("HEIC" if form.name == "HEIF" else form.name for form in FORMATS)
    raise Failure(f"not a picture that imgan reads ({known})")


def _frame_notes(image: Image.Image, form: str) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    moving = form in ("GIF", "PNG", "WEBP", "AVIF")
    return [f"{form}: first of {frames} {'frames' if moving else 'pictures'}"] if frames > 1 else []


def _depth_notes(image: Image.Image, form: str, header: bytes, direct: bool) -> list[str]:
    depth = 8
    if form == "HEIF":
        depth = image.info.get("bit_depth", 8)
    elif form == "AVIF" and (at := header.find(b"pixi")) >= 0:
        depth = header[at + 9]
    elif form == "TIFF" and not direct:
        depth = max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]
    return [f"{form}: {depth} bits a channel read as 8"] if depth > 8 else []


def _exif(image: Image.Image) -> bytes:
    """EXIF from its TIFF header on. TIFF has none of its own: its directory is written anew."""
    if block := _bytes(image.info.get("exif")):
        return block.removeprefix(_EXIF_HEADER)
    if image.format != "TIFF" and "Raw profile type exif" not in image.info:
        return b""
    exif = image.getexif()
    exif.bigtiff = False
    for tag in list(exif):
        if tag in codecs.STORAGE_TAGS:
            del exif[tag]
    return exif.tobytes().removeprefix(_EXIF_HEADER) if exif else b""


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


def _plain(image: Image.Image, grey: bool) -> Image.Image:
    """As L, LA, RGB or RGBA."""
    if image.mode in ("I", "F", "HSV") or image.mode.startswith("I;"):
        raise Failure(f"{image.mode} pixels: save the picture with 8 or 16 bits a channel first")
    mode = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")
    return image if image.mode == mode else image.convert(mode)


def _planes(samples: Image.Image | Samples, grey: bool) -> tuple[Samples, Samples | None]:
    """Split into [H, W, 3] and alpha, a band at a time."""
    if isinstance(samples, Image.Image):
        width, height = samples.size
        dtype: np.dtype[np.uint8 | np.uint16]
        channels, dtype = len(samples.getbands()), np.dtype("uint8")
    else:
        height, width = samples.shape[:2]
        channels, dtype = 1 if samples.ndim == 2 else samples.shape[2], samples.dtype
    pixels: Samples = np.empty((height, width, 3), dtype)
    alpha: Samples | None = np.empty((height, width), dtype) if channels in (2, 4) else None
    for band in rows(height, width):
        if isinstance(samples, Image.Image):
            piece = np.asarray(samples.crop((0, band.start, width, band.stop)))
        else:
            piece = samples[band]
        piece = piece.reshape(*piece.shape[:2], channels)
        pixels[band] = piece[..., : 1 if grey else 3]
        if alpha is not None:
            alpha[band] = piece[..., -1]
    return pixels, alpha


def _turned(plane: Samples, orientation: int) -> Samples:
    """Upright, from the eight orientations of EXIF."""
    if orientation == 1:
        return plane
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    vertical = -1 if orientation in (3, 4, 7, 8) else 1
    horizontal = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(plane[::vertical, ::horizontal])


def _encode(
    picture: Picture, form: Format, file: BinaryIO, quality: int | None, strip_metadata: bool
) -> tuple[str, ...]:
    if strip_metadata:
        own = picture.source
        kept = own.icc if colour.space(own.icc).kind != "srgb" else b""
        picture = replace(picture, source=replace(own, exif=b"", xmp=b"", icc=kept))
    planes, source, notes = _fitted(picture, form)
    metadata = {"exif": source.exif, "xmp": source.xmp, "icc": source.icc}
    if form.name == "TIFF":
        codecs.write_tiff(file, planes, dpi=source.dpi, **metadata)
    elif planes[0].dtype == np.uint16:
        samples = planes[0] if len(planes) == 1 else np.dstack(planes)
        codecs.write_deep_png(file, samples, dpi=source.dpi, **metadata)
    else:
        options = {"quality": quality or form.quality} if form.quality else {}
        try:
            _image(planes).save(
                file, form.name, **options, **form.options, **_pillow_metadata(form, source)
            )
        except OSError as error:
            if error.errno is None:
                _provoke(file)
            raise
    return notes


def _provoke(file: BinaryIO) -> None:
    """Pillow's encoders hide why a write failed; on a full disk, the next write says it."""
    file.seek(0, os.SEEK_END)
    file.write(bytes(2**20))
    file.flush()


def _pillow_metadata(form: Format, source: Source) -> dict[str, object]:
    options: dict[str, object] = {}
    if source.dpi and form.name in ("JPEG", "PNG", "BMP"):
        options["dpi"] = (source.dpi, source.dpi)
    if not form.metadata:
        return options
    if source.exif:
        options["exif"] = _EXIF_HEADER + source.exif
    if source.icc:
        options["icc_profile"] = source.icc
    if source.xmp and form.name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add(b"iTXt", codecs.xmp_chunk(source.xmp))
        options["pnginfo"] = info
    elif source.xmp:
        options["xmp"] = source.xmp
    return options


def _fitted(picture: Picture, form: Format) -> tuple[list[Samples], Source, tuple[str, ...]]:
    """Planes ([H, W] grey or [H, W, 3], then alpha) and metadata that the format can hold."""
    pixels, alpha, source = picture.pixels, picture.alpha, picture.source
    notes = []
    if pixels.dtype == np.uint16 and not form.deep:
        notes.append(f"{form.name} holds 8 bits a channel here: rounded from 16")
        pixels = _eight_bits(pixels)
        alpha = None if alpha is None else _eight_bits(alpha)
    if alpha is not None and not form.alpha:
        if any((alpha[band] < np.iinfo(alpha.dtype).max).any() for band in rows(*alpha.shape)):
            notes.append(f"{form.name} holds no transparency: laid on white")
            pixels = _on_white(pixels, alpha)
        alpha = None
    # Pillow does not know the one TIFF layout of deep grey with alpha, so it is written as RGB.
    unknown = form.name == "TIFF" and alpha is not None and pixels.dtype == np.uint16
    grey = source.grey and not unknown and _is_grey(pixels)
    kind = colour.space(source.icc).kind
    colour_in_grey_space = kind == "grey" and not grey
    if colour_in_grey_space or (not form.metadata and kind in ("rgb", "grey")):
        pixels, source = _whole_in_srgb(pixels, source)
    if not form.metadata and (source.exif or source.xmp or source.icc):
        notes.append(f"{form.name} holds no EXIF, XMP or colour profile: left out")
    if source.made and form.metadata:
        try:
            source = replace(source, xmp=with_source_type(source.xmp, source.made))
        except ValueError as error:
            notes.append(f"XMP stays as it is and does not say how the picture was made: {error}")
    elif source.made:
        notes.append(f"{form.name} holds no XMP: it does not say how the picture was made")
    if form.name == "GIF":
        notes.append("GIF holds 256 colours")
    if form.name == "JPEG":
        if len(_EXIF_HEADER + source.exif) > _JPEG_SEGMENT:
            notes.append("EXIF is over the 64 KiB that JPEG holds: left out")
            source = replace(source, exif=b"")
        if len(_XMP_HEADER + source.xmp) > _JPEG_SEGMENT:
            notes.append("XMP is over the 64 KiB that JPEG holds: left out")
            source = replace(source, xmp=with_source_type(b"", source.made) if source.made else b"")
    plane = np.ascontiguousarray(pixels[..., 1]) if grey else pixels
    return [plane] if alpha is None else [plane, alpha], source, tuple(notes)


def _image(planes: list[Samples]) -> Image.Image:
    """One Pillow image, 4 bytes a pixel; alpha goes into the byte that RGB leaves free."""
    image = Image.fromarray(planes[0])
    if len(planes) == 2:
        image.putalpha(Image.fromarray(planes[1]))
    return image


def _is_grey(pixels: Samples) -> bool:
    return all((pixels[band] == pixels[band][..., :1]).all() for band in rows(*pixels.shape[:2]))


def _eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """Round 16 bits to 8: the nearest level, since 65535 / 255 is 257."""
    if samples.dtype == np.uint8:
        return cast("NDArray[np.uint8]", samples)
    rounded = np.empty(samples.shape, np.uint8)
    for band in rows(*samples.shape[:2]):
        rounded[band] = (samples[band].astype(np.uint32) + 128) // 257
    return rounded


def _on_white(pixels: Samples, alpha: Samples) -> Samples:
    laid = np.empty_like(pixels)
    for band in rows(*alpha.shape):
        cover = alpha[band][..., None].astype(np.uint32)
        laid[band] = (pixels[band] * cover + 255 * (255 - cover) + 127) // 255
    return laid


def _whole_in_srgb(pixels: Samples, source: Source) -> tuple[Samples, Source]:
    """All pixels in sRGB, for a file that cannot hold the profile they came with."""
    converted = np.empty_like(pixels)
    plain = replace(source, icc=b"")
    for band in rows(*pixels.shape[:2]):
        converted[band] = from_srgb(to_srgb(pixels[band], source), plain)
    return converted, plain


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
