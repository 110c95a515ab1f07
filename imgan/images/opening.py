"""Files to pictures."""

from __future__ import annotations

import struct
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import Image

from imgan.errors import Failure
from imgan.images import codecs, colour
from imgan.images.codecs import Samples, rows
from imgan.images.metadata import upright
from imgan.images.picture import (
    EXIF_HEADER,
    FORMATS,
    Picture,
    Source,
    line,
)
from imgan.remote import is_remote, read_object

MAX_PIXELS = 400_000_000
"""Pictures with more pixels than this are taken for decompression bombs and not opened."""


_BROKEN = "broken, truncated or unsupported picture"


for _plugin in ("Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP"):
    import_module(f"PIL.{_plugin}ImagePlugin")
pillow_heif.register_heif_opener()


def open_picture(source: Path | bytes, name: str = "", *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Open a picture file, or the bytes of one.

    Args:
        source: path, or the whole file as read from standard input.
        name: what messages call it; the path, or "standard input", when empty.
        max_pixels: what the picture may have at most; it is looked at before any is decoded.

    Raises:
        Failure: missing, unreadable, empty, no picture, broken, truncated, of an unsupported kind,
            or, with the code "too-large", over `max_pixels`.
    """
    name = name or ("standard input" if isinstance(source, bytes) else str(source))
    own = "" if isinstance(source, bytes) else source.name
    if not isinstance(source, bytes) and is_remote(source):
        source = read_object(source)
    try:
        with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            picture = _decode(stream, max_pixels)
        return replace(picture, source=replace(picture.source, name=own))
    except OSError as error:
        if error.errno is None:
            raise Failure(f"{name}: {_BROKEN}: {line(error)}") from error
        raise Failure(f"{name}: cannot be read: {error.strerror}") from error
    except Image.DecompressionBombError as error:
        raise Failure(f"{name}: too many pixels: {line(error)}") from error
    except Failure as error:
        raise Failure(f"{name}: {error}", code=error.code) from error
    except Exception as error:  # decoders raise almost anything when fed malformed bytes
        raise Failure(f"{name}: {_BROKEN}: {line(error)}") from error


def _decode(stream: BinaryIO, max_pixels: int) -> Picture:
    image = _identify(stream)
    width, height = image.size
    if width * height > max_pixels:
        raise Failure(
            f"{width:,} x {height:,} pixels; imgan opens at most {max_pixels:,}", code="too-large"
        )
    form = "JPEG" if image.format == "MPO" else str(image.format)
    stream.seek(0)
    header = stream.read(4096)
    direct = codecs.decodes(image, header)
    quantisation = _quantisation(image)
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
    source = Source(
        form, grey, depth, exif, xmp, icc, float(dpi or 0.0), tuple(notes), quantisation
    )
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


def _quantisation(image: Image.Image) -> float:
    """The mean step of the nine lowest frequencies but the mean, in zigzag order, of luma."""
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    return sum(tables[0][1:10]) / 9 if 0 in tables and len(tables[0]) == 64 else 0.0


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
        return block.removeprefix(EXIF_HEADER)
    if image.format != "TIFF" and "Raw profile type exif" not in image.info:
        return b""
    exif = image.getexif()
    exif.bigtiff = False
    for tag in list(exif):
        if tag in codecs.STORAGE_TAGS:
            del exif[tag]
    return exif.tobytes().removeprefix(EXIF_HEADER) if exif else b""


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
