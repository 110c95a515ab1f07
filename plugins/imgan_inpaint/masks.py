"""Where the hole of a picture is: masks, transparency, boxes and colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan_inpaint import Inpaint
from imgan_inpaint.membrane import grown

Mask = NDArray[np.bool_]
"""[H, W], True in the hole."""

MARK = "_mask"
"""What a mask's name may have beside its picture's: photo_mask.png."""

WHITE = 127
"""Brighter than this a mask is white."""


def hole_of(picture: Picture, request: Inpaint) -> Mask:
    """All that is to be filled in a picture, grown as asked for.

    Raises Failure for a mask of another size, for none that belongs to the picture, and when the
    hole is empty or all of the picture.
    """
    hole = np.zeros(picture.pixels.shape[:2], bool)
    if request.mask is not None:
        hole |= _masked(picture, request)
    if request.alpha:
        if picture.alpha is None:
            raise Failure("nothing in it is transparent: name the hole by --mask FILE or --box")
        hole |= picture.alpha < np.iinfo(picture.alpha.dtype).max
    for left, top, width, height in request.boxes:
        hole[top : top + height, left : left + width] = True
    if request.color is not None:
        hole |= _coloured(picture, *request.colour)
    if not hole.any():
        raise Failure(_empty(request))
    if request.grow:
        hole = grown(hole, request.grow)
    if hole.all():
        raise Failure(
            "the hole is the whole picture: nothing is left to fill it from"
            + (
                ""
                if request.mask_black or request.mask is None
                else " (--mask-black takes what is black)"
            )
        )
    return hole


def _empty(request: Inpaint) -> str:
    if request.mask is not None:
        colour, other = ("black", "leave --mask-black out") if request.mask_black else (
            "white", "--mask-black takes what is black"
        )  # fmt: skip
        return f"the hole is empty: nothing in the mask is {colour} ({other})"
    if request.color is not None:
        return (
            f"the hole is empty: nothing has the colour {request.color} (--color RRGGBB:TOLERANCE)"
        )
    if request.box:
        return "the hole is empty: the boxes lie beyond the picture"
    return "the hole is empty: nothing in it is transparent"


def _masked(picture: Picture, request: Inpaint) -> Mask:
    assert request.mask is not None
    source = request.mask.source
    if isinstance(source, Path) and source.is_dir():
        mask = open_picture(mask_for(picture.source.name, source))
    else:
        mask = request.mask.picture
    if mask.pixels.shape != picture.pixels.shape:
        sizes = [f"{p.pixels.shape[1]}x{p.pixels.shape[0]}" for p in (mask, picture)]
        raise Failure(f"the mask is {sizes[0]} px and the picture {sizes[1]}: they must be equal")
    bright = to_srgb(mask.pixels, mask.source).max(2)
    if request.mask_black:
        bright = 255 - bright
    white: Mask = bright > WHITE
    # What is drawn on a transparent layer counts, and not what lies beneath it.
    return (
        white if mask.alpha is None else white & (mask.alpha > np.iinfo(mask.alpha.dtype).max // 2)
    )


def mask_for(name: str, folder: Path) -> Path:
    """The mask that belongs to a picture called `name`: photo.png or photo_mask.png for photo.jpg.

    Raises Failure when there is none, or there are several.
    """
    stem = Path(name).stem
    if not stem:
        raise Failure(f"{folder}: masks are found by the picture's name, and it has none")
    found = [path for path in pictures(folder) if path.stem in (stem, stem + MARK)]
    if len(found) != 1:
        wanted = f"{stem}.png or {stem}{MARK}.png"
        raise Failure(f"{folder} has {len(found) or 'no'} masks called {wanted}")
    return found[0]


def _coloured(picture: Picture, rgb: tuple[int, int, int], tolerance: int) -> Mask:
    pixels = to_srgb(picture.pixels, picture.source).astype(np.int16)
    apart = np.abs(pixels - np.array(rgb, np.int16)).max(2)
    return np.asarray(apart <= tolerance)
