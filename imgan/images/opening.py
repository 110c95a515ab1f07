"""Files to pictures."""

from __future__ import annotations

import struct
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from imgan.errors import Failure
from imgan.images import codecs, colour, facts, heif, jpeg, png
from imgan.images.codecs import Samples, rows
from imgan.images.metadata import upright
from imgan.images.picture import (
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


def size_of(source: Path) -> tuple[int, int]:
    """Width and height in pixels, upright, from the head of a file.

    Raises Failure for what cannot be read and for no picture; what is wrong further on is not seen.
    """
    try:
        with BytesIO(read_object(source)) if is_remote(source) else source.open("rb") as stream:
            image = _identify(stream)
            exif = facts.exif(image, facts.resolution(image))
            orientation = upright(exif, facts.xmp(image))[0]
            width, height = image.size
    except OSError as error:
        raise Failure(f"{source}: cannot be read: {error.strerror or _BROKEN}") from error
    except Failure as error:
        raise Failure(f"{source}: {error}") from error
    except Exception as error:  # as in `open_picture`
        raise Failure(f"{source}: {_BROKEN}: {line(error)}") from error
    return (height, width) if orientation >= 5 else (width, height)


def _decode(stream: BinaryIO, max_pixels: int) -> Picture:
    stream, told = _cleaned(stream)
    image = _identify(stream)
    boxes = heif.meta(stream) if image.format in ("HEIF", "AVIF") else b""
    width, height = image.size
    if width * height > max_pixels:
        raise Failure(
            f"{width:,} x {height:,} pixels; imgan opens at most {max_pixels:,}", code="too-large"
        )
    form = "JPEG" if image.format == "MPO" else str(image.format)
    stream.seek(0)
    header = stream.read(4096)
    direct = codecs.decodes(image, header)
    quantisation = facts.quantisation(image)
    notes = (
        told.notes + facts.frame_notes(image, form) + facts.depth_notes(image, form, boxes, direct)
    )
    if not (direct and form == "TIFF"):
        image.load()  # PNG may keep its metadata at the end; Pillow turns TIFF upright by this
    dpi = facts.resolution(image)
    orientation, exif, xmp, lost = upright(facts.exif(image, dpi), facts.xmp(image))
    notes += dict.fromkeys([*lost, *facts.other_parts(image, boxes)])
    icc = image.info.get("icc_profile") or b""
    dpi = dpi[::-1] if orientation >= 5 else dpi

    converted = image.mode in ("CMYK", "LAB")
    if converted:
        notes.append(f"{image.mode} colours converted to sRGB")
        if image.mode == "LAB":
            image = colour.lab_to_srgb(image)
        elif icc and colour.kind_of(icc) != "CMYK":
            notes.append(facts.UNUSABLE)
            image = colour.cmyk_to_srgb(image, b"")
        else:
            image = colour.cmyk_to_srgb(image, icc)
        icc = b""
    if direct:
        stream.seek(0)
        samples = codecs.decode(image, stream.read())
        grey = samples.ndim == 2 or samples.shape[2] == 2
        pixels, alpha = _planes(samples, grey)
    else:
        grey = image.mode in ("1", "L", "LA", "La")
        pixels, alpha = _planes(_plain(image, grey), grey)
    if not converted:
        icc, note = facts.profile(icc, grey, told, image, boxes, exif, stream)
        notes += [note] if note else []

    pixels = _turned(pixels, orientation)
    source = Source(
        format=form,
        grey=grey,
        depth=pixels.itemsize * 8,
        exif=exif,
        xmp=xmp,
        icc=icc,
        dpi=dpi,
        notes=tuple(notes),
        quantisation=quantisation,
        size=pixels.shape[:2],
    )
    return Picture(pixels, None if alpha is None else _turned(alpha, orientation), source)


def _cleaned(stream: BinaryIO) -> tuple[BinaryIO, png.Told]:
    """The file, at its start, without what its picture can be decoded without, where that is
    damaged; with what it tells of colours and notes on what is left out."""
    start = stream.read(len(png.SIGNATURE))
    stream.seek(0)
    if start == png.SIGNATURE:
        return png.read(stream)
    told = png.Told()
    if start.startswith(b"\xff\xd8\xff"):
        try:
            _open_jpeg(stream)
        except Exception:
            stream = jpeg.without_damage(stream, _open_jpeg)
            told.notes.append("JPEG: damaged metadata is left out")
        stream.seek(0)
    return stream, told


def _open_jpeg(stream: BinaryIO) -> Image.Image:
    return Image.OPEN["JPEG"][0](stream, "")


def _identify(stream: BinaryIO) -> Image.Image:
    """Open lazily, without `Image.open`: its limit on pixels is a global of the whole process."""
    prefix = stream.read(16)
    if not prefix:
        raise Failure("the file is empty")
    broken: Exception | None = None
    boxed = heif.kind(stream) if prefix[4:8] == b"ftyp" else None
    if boxed == "HEIF":
        heif.register()
    for form in FORMATS:
        if form.name not in Image.OPEN:  # HEIF, and the file is none
            continue
        factory, accept = Image.OPEN[form.name]
        fits = (
            accept is not None and accept(prefix) is True if boxed is None else form.name == boxed
        )
        if not fits:
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
