"""What EXIF and XMP say of the pixels, kept true."""

from __future__ import annotations

from imgan.images import exif as exif_block
from imgan.images import xmp as xmp_packet


def upright(exif: bytes, xmp: bytes) -> tuple[int, bytes, bytes, tuple[str, ...]]:
    """Read the orientation, and say in both blocks that the picture is upright and alone.

    Embedded thumbnails go: they show the picture as it was before the edit. So does what XMP states
    of parts that are not carried over, such as the video of a motion photo.

    Returns:
        The orientation, 1 to 8 (1 when nothing tells it), the mended EXIF and XMP, and notes on
        what is left out. What cannot be read comes back as it is.
    """
    block = bytearray(exif)
    told_by_exif = exif_block.upright(block)
    told_by_xmp, xmp, notes = xmp_packet.upright(xmp)
    orientation = told_by_exif or told_by_xmp or 1
    if orientation > 1:
        exif_block.forget_places(block)
        xmp = xmp_packet.without_places(xmp)
    return orientation, bytes(block), xmp, notes


def sized(
    exif: bytes, xmp: bytes, size: tuple[int, int], former: tuple[int, int] | None
) -> tuple[bytes, bytes]:
    """Both blocks with this size (height, width) where they state one, and with no place in pixels
    that was one at another, former size."""
    block = bytearray(exif)
    exif_block.state_size(block, *size)
    if former not in (None, size):
        exif_block.forget_places(block)
    return bytes(block), xmp_packet.sized(xmp, size, former or size)
