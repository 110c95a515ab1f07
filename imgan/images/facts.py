"""What a file tells beside its pixels, by Pillow's image of it and the boxes of HEIF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from imgan.images import calibration, codecs, colour, heif, png, profiles
from imgan.images.exif import says_adobe_rgb
from imgan.images.picture import EXIF_HEADER
from imgan.images.xmp import DEPTH, GAIN_MAP

MAX_DPI = 65_535
"""More cannot be stated in JPEG, and is no resolution of anything."""

UNUSABLE = "colour profile cannot be used: pixels taken as sRGB"
_RESOLUTION = (282, 283, 296)
_GAIN_MAP_KIND = b"urn:iso:std:iso:ts:21496"


def quantisation(image: Image.Image) -> float:
    """The mean step of the nine lowest frequencies but the mean, in zigzag order, of luma."""
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    return sum(tables[0][1:10]) / 9 if 0 in tables and len(tables[0]) == 64 else 0.0


def frame_notes(image: Image.Image, form: str) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    moving = form in ("GIF", "PNG", "WEBP", "AVIF")
    return [f"{form}: first of {frames} {'frames' if moving else 'pictures'}"] if frames > 1 else []


def depth_notes(image: Image.Image, form: str, boxes: bytes, direct: bool) -> list[str]:
    depth = 8
    if form == "HEIF":
        depth = image.info.get("bit_depth", 8)
    elif form == "AVIF" and (at := boxes.find(b"pixi")) >= 0:
        depth = boxes[at + 9]
    elif form == "TIFF" and not direct:
        depth = max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]
    return [f"{form}: {depth} bits a channel read as 8"] if depth > 8 else []


def profile(
    icc: bytes,
    grey: bool,
    told: png.Told,
    image: Image.Image,
    boxes: bytes,
    exif: bytes,
    stream: BinaryIO,
) -> tuple[bytes, str]:
    """The ICC profile of the pixels, b"" for sRGB, from all ways to tell it, and a note or ""."""
    if told.codes:  # goes before ICC in PNG, after it in HEIC and AVIF
        return profiles.of_codes(*told.codes, grey)
    note = ""
    if not icc and image.format == "BMP":
        icc, note = calibration.of_bmp(stream, grey)
    elif not icc and image.format == "TIFF":
        icc, note = calibration.of_tiff(image, grey)
    if icc:
        return icc, UNUSABLE if colour.space(icc, grey).kind == "unusable" else ""
    if codes := _color_codes(image, boxes):
        return profiles.of_codes(*codes, grey)
    if (told.gamma or told.chromaticities) and not told.srgb:
        try:
            return profiles.of_gamma(told.gamma, told.chromaticities, grey), ""
        except ValueError as error:
            return b"", f"PNG: {error}: pixels taken as sRGB"
    if image.format in ("JPEG", "MPO") and not grey and says_adobe_rgb(exif):
        return profiles.adobe_rgb(), ""
    return b"", note


def _color_codes(image: Image.Image, boxes: bytes) -> tuple[int, int] | None:
    if nclx := image.info.get("nclx_profile"):  # of the very picture, where there are several
        return nclx["color_primaries"], nclx["transfer_characteristics"]
    return heif.color_codes(boxes)


def other_parts(image: Image.Image, boxes: bytes) -> Iterator[str]:
    """Notes on what a file holds beside its picture and is not carried over."""
    if any(_GAIN_MAP_KIND in data[:40] for _, data in getattr(image, "applist", ())):
        yield GAIN_MAP
    auxiliary = " ".join(image.info.get("aux", ())).lower()
    if "hdrgainmap" in auxiliary or b"tmap" in boxes:
        yield GAIN_MAP
    if image.info.get("depth_images") or "depth" in auxiliary or "disparity" in auxiliary:
        yield DEPTH


def resolution(image: Image.Image) -> tuple[float, float]:
    """Pixels per inch across and down, or zeros where the file tells nothing that can be."""
    try:
        across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    except (TypeError, ValueError, ArithmeticError):
        return 0.0, 0.0
    # Without one in the file Pillow says 1 of TIFF.
    tags = getattr(image, "tag_v2", _RESOLUTION)
    if _RESOLUTION[0] not in tags:
        return 0.0, 0.0
    if not (1 <= across <= MAX_DPI and 1 <= down <= MAX_DPI):  # NaN is not, either
        return 0.0, 0.0
    return across, down


def exif(image: Image.Image, dpi: tuple[float, float]) -> bytes:
    """EXIF from its TIFF header on. TIFF has none of its own: its directory is written anew."""
    if block := image.info.get("exif"):
        return bytes(block).removeprefix(EXIF_HEADER)
    if image.format != "TIFF" and "Raw profile type exif" not in image.info:
        return b""
    exif = image.getexif()
    exif.bigtiff = False
    for tag in list(exif):
        if tag in codecs.STORAGE_TAGS or (tag in _RESOLUTION and not dpi[0]):
            del exif[tag]
    return exif.tobytes().removeprefix(EXIF_HEADER) if exif else b""


def xmp(image: Image.Image) -> bytes:
    """The XMP packet, or b""."""
    packet: str | bytes = image.info.get("xmp") or b""
    return packet.encode() if isinstance(packet, str) else packet
