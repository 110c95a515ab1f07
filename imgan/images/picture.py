"""A picture in memory, the formats that hold one, and the way to sRGB and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import EllipsisType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure, Misuse
from imgan.images import colour
from imgan.images.codecs import Samples, rows

EXIF_HEADER = b"Exif\0\0"


XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"


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

    def require_room(self, height: int, width: int) -> None:
        """Raises Failure for a picture that is too large for the format."""
        if max(height, width) > self.longest_side:
            raise Failure(
                f"{self.name} holds at most {self.longest_side:,} pixels a side, not "
                f"{width:,} x {height:,}: choose PNG or TIFF",
                code="too-large",
            )


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
    Format(
        "HEIF",
        (".heic", ".heif", ".hif"),
        longest_side=32_768,
        quality=90,
        options={"enc_params": {"preset": "fast"}},
    ),
    Format("AVIF", (".avif",), longest_side=32_768, quality=90, options={"subsampling": "4:4:4"}),
)
"""Every format that imgan reads and writes. Default qualities: JPEG 95 without colour subsampling,
since an edit should not lose more than the camera did; WebP, HEIC and AVIF 90. The longest sides of
HEIC and AVIF are those that can be read again. HEIC is encoded by x265's preset `fast`: 1.8 CPU
seconds a megapixel instead of 4.1, and 0.3 % more bytes on a photo."""


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
        dpi: pixels per inch across and down, or zeros when unknown.
        size: height and width as the file was opened, upright; None for what no file stood behind.
        quantisation: the mean step of the lowest luma frequencies of a JPEG file, else 0.
        notes: what a person should know about the opening, a line each.
        made: IPTC's DigitalSourceType (`imgan.images.xmp`) that is to stand in the XMP
            written, or "" to leave what is there.
        pipeline: what is to stand there as the way to make it again, or "", likewise.
        name: the file's name, without its folder, for people; "" for standard input.
    """

    format: str = "PNG"
    grey: bool = False
    depth: int = 8
    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] = (0.0, 0.0)
    notes: tuple[str, ...] = ()
    quantisation: float = field(default=0.0, compare=False)
    made: str = ""
    pipeline: str = ""
    name: str = field(default="", compare=False)
    size: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def space(self) -> colour.Space:
        """What the profile means for the pixels."""
        return colour.space(self.icc, self.grey)


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
    return colour.to_srgb(eight_bits(pixels), source.space)


def from_srgb(pixels: NDArray[np.uint8], source: Source) -> Samples:
    """The way back: [H, W, 3] 8-bit sRGB pixels in the colour space and depth of `source`."""
    own = colour.from_srgb(pixels, source.space)
    return own.astype(np.uint16) * np.uint16(257) if source.depth == 16 else own


def eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """Round 16 bits to 8: the nearest level, since 65535 / 255 is 257."""
    if samples.dtype == np.uint8:
        return cast("NDArray[np.uint8]", samples)
    rounded = np.empty(samples.shape, np.uint8)
    for band in rows(*samples.shape[:2]):
        rounded[band] = (samples[band].astype(np.uint32) + 128) // 257
    return rounded


def line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
