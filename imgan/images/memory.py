"""Pictures from memory and back: what Python programs hold."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image

from imgan.errors import Misuse
from imgan.images.opening import open_picture
from imgan.images.picture import EXIF_HEADER, Picture, eight_bits
from imgan.images.xmp import with_source_type


def picture_of(value: object) -> Picture:
    """From the bytes of a file, a Pillow image, a uint8 array [H, W, 3|4], or a Picture.

    Raises Failure for bytes that are no picture, Misuse for anything else.
    """
    if isinstance(value, Picture):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return open_picture(bytes(value), "the picture")
    if isinstance(value, Image.Image):
        return _of_image(value)
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] not in (3, 4):
            raise Misuse(
                f"an array of {value.dtype} {list(value.shape)}: a picture is uint8, [H, W, 3] or "
                "[H, W, 4]"
            )
        alpha = np.ascontiguousarray(value[..., 3]) if value.shape[2] == 4 else None
        return Picture(np.ascontiguousarray(value[..., :3]), alpha)
    kind = type(value).__name__
    raise Misuse(f"a {kind} is no picture: give a path, bytes, a Pillow image or an array")


def image_of(picture: Picture) -> Image.Image:
    """As a Pillow image, 8 bits a channel, upright, with `exif`, `xmp` and `icc_profile` of the
    picture in its `info`."""
    source = picture.source
    image = Image.fromarray(eight_bits(picture.pixels))
    if source.grey:
        grey = image.getchannel(1)
        if all(channel.tobytes() == grey.tobytes() for channel in image.split()):
            image = grey
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(eight_bits(picture.alpha)))
    xmp = with_source_type(source.xmp, source.made) if source.made else source.xmp
    exif = EXIF_HEADER + source.exif if source.exif else b""
    facts = {"exif": exif, "xmp": xmp, "icc_profile": source.icc}
    image.info.update({key: value for key, value in facts.items() if value})
    if source.dpi[0]:
        image.info["dpi"] = source.dpi
    return image


def _of_image(image: Image.Image) -> Picture:
    """Through a lossless file in memory, so that orientation, profile and transparency are read as
    from any file."""
    # PNG holds no CMYK, no LAB, and 16 bits only of grey.
    form = "PNG" if image.mode in ("RGB", "RGBA", "L", "LA", "P", "1") else "TIFF"
    file = BytesIO()
    kept = {key: image.info[key] for key in ("exif", "icc_profile", "dpi") if image.info.get(key)}
    image.save(file, form, **kept, **({"compress_level": 1} if form == "PNG" else {}))
    picture = open_picture(file.getvalue(), "the image")
    xmp = image.info.get("xmp", b"")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return replace(picture, source=replace(picture.source, xmp=xmp)) if xmp else picture
