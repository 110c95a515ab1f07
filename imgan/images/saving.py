"""Pictures to files, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from PIL import Image, PngImagePlugin

from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.images import codecs, heif
from imgan.images.codecs import Samples, rows
from imgan.images.metadata import sized
from imgan.images.picture import (
    EXIF_HEADER,
    XMP_HEADER,
    Format,
    Picture,
    Source,
    eight_bits,
    format_of,
    from_srgb,
    line,
    to_srgb,
)
from imgan.images.xmp import with_pipeline, with_source_type
from imgan.remote import is_path

_JPEG_SEGMENT = 65_533  # bytes


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
    form = format_of(target if is_path(target) else None, format or picture.source.format)
    name = str(target) if is_path(target) else "standard output"
    if quality is not None and not 1 <= quality <= 100:
        raise Misuse(f"--quality {quality}: give a number from 1 to 100")
    height, width = picture.pixels.shape[:2]
    if form.name == "HEIF":
        heif.register()
    if form.name == "HEIF" and form.name not in Image.SAVE:
        raise Failure(f"{name}: this build of pillow-heif cannot write HEIC: choose another format")
    try:
        form.require_room(height, width)
        if is_path(target):
            with whole_file(target, overwrite) as file:
                return _encode(picture, form, file, quality, strip_metadata)
        stream, encoded = cast(BinaryIO, target), BytesIO()
        notes = _encode(picture, form, encoded, quality, strip_metadata)
        stream.write(encoded.getbuffer())
        stream.flush()
        return notes
    except Failure as error:
        raise type(error)(f"{name}: {error}", code=error.code) from error
    except OSError as error:
        raise Failure(f"{name}: cannot be written: {error.strerror or line(error)}") from error
    except Exception as error:  # encoders of other libraries have their own kinds
        raise Failure(f"{name}: cannot be written as {form.name}: {line(error)}") from error


def _encode(
    picture: Picture, form: Format, file: BinaryIO, quality: int | None, strip_metadata: bool
) -> tuple[str, ...]:
    if strip_metadata:
        own = picture.source
        kept = own.icc if own.space.kind != "srgb" else b""
        picture = replace(picture, source=replace(own, exif=b"", xmp=b"", icc=kept))
    size = picture.pixels.shape[0], picture.pixels.shape[1]
    exif, xmp = sized(picture.source.exif, picture.source.xmp, size, picture.source.size)
    picture = replace(picture, source=replace(picture.source, exif=exif, xmp=xmp))
    planes, source, notes = _fitted(picture, form)
    metadata = {"exif": source.exif, "xmp": source.xmp, "icc": source.icc}
    if form.name == "TIFF":
        codecs.write_tiff(file, planes, dpi=source.dpi, **metadata)
    elif planes[0].dtype == np.uint16:
        samples = planes[0] if len(planes) == 1 else np.dstack(planes)
        codecs.write_deep_png(file, samples, dpi=source.dpi, **metadata)
    else:
        options = {"quality": quality or form.quality} if form.quality else {}
        _image(planes).save(
            file, form.name, **options, **form.options, **_pillow_metadata(form, source)
        )
    return notes


def _pillow_metadata(form: Format, source: Source) -> dict[str, object]:
    options: dict[str, object] = {}
    # Pillow writes 96 into BMP where nothing is given.
    if form.name == "BMP" or (source.dpi[0] and form.name in ("JPEG", "PNG")):
        options["dpi"] = source.dpi
    if not form.metadata:
        return options
    if source.exif:
        options["exif"] = EXIF_HEADER + source.exif
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
        pixels = eight_bits(pixels)
        alpha = None if alpha is None else eight_bits(alpha)
    if alpha is not None and not form.alpha:
        if any((alpha[band] < np.iinfo(alpha.dtype).max).any() for band in rows(*alpha.shape)):
            notes.append(f"{form.name} holds no transparency: laid on white")
            pixels = _on_white(pixels, alpha)
        alpha = None
    # Pillow does not know the one TIFF layout of deep grey with alpha, so it is written as RGB.
    unknown = form.name == "TIFF" and alpha is not None and pixels.dtype == np.uint16
    grey = source.grey and not unknown and _is_grey(pixels)
    kind = source.space.kind
    colour_in_grey_space = kind == "grey" and not grey
    if colour_in_grey_space or (not form.metadata and kind in ("rgb", "grey")):
        pixels, source = _whole_in_srgb(pixels, source)
    elif source.grey and not grey and kind == "unusable":
        source = replace(source, icc=b"")  # it might be one that fits the colours by chance
    if not form.metadata and (source.exif or source.xmp or source.icc):
        notes.append(f"{form.name} holds no EXIF, XMP or colour profile: left out")
    if form.metadata:
        try:
            source = replace(source, xmp=_stated(source.xmp, source))
        except ValueError as error:
            notes.append(f"XMP stays as it is and does not say how the picture was made: {error}")
    elif source.made or source.pipeline:
        notes.append(f"{form.name} holds no XMP: it does not say how the picture was made")
    if form.name == "GIF":
        notes.append("GIF holds 256 colours")
    if form.name == "JPEG":
        if len(EXIF_HEADER + source.exif) > _JPEG_SEGMENT:
            notes.append("EXIF is over the 64 KiB that JPEG holds: left out")
            source = replace(source, exif=b"")
        if len(XMP_HEADER + source.xmp) > _JPEG_SEGMENT:
            notes.append("XMP is over the 64 KiB that JPEG holds: left out")
            source = replace(source, xmp=_stated(b"", source))
    plane = np.ascontiguousarray(pixels[..., 1]) if grey else pixels
    return [plane] if alpha is None else [plane, alpha], source, tuple(notes)


def _stated(xmp: bytes, source: Source) -> bytes:
    """XMP that says how the picture was made, if that is to be said. Raises ValueError."""
    if source.made:
        xmp = with_source_type(xmp, source.made)
    return with_pipeline(xmp, source.pipeline) if source.pipeline else xmp


def _image(planes: list[Samples]) -> Image.Image:
    """One Pillow image, 4 bytes a pixel; alpha goes into the byte that RGB leaves free."""
    image = Image.fromarray(planes[0])
    if len(planes) == 2:
        image.putalpha(Image.fromarray(planes[1]))
    return image


def _is_grey(pixels: Samples) -> bool:
    return all((pixels[band] == pixels[band][..., :1]).all() for band in rows(*pixels.shape[:2]))


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
