"""Inpainting networks of other projects: ONNX files that take an image and a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imgan.errors import Failure, UnsupportedFile
from imgan.files import whole_file
from imgan.models.cards import METADATA_KEY, Description, card_to_json, name_of
from imgan.models.sessions import Session, open_session
from imgan.models.store import embedded_description
from imgan_inpaint import NAME
from imgan_inpaint.painter import STEP, Painter

SIDE = 512
"""What LaMa and MI-GAN were trained to see, in pixels: for networks that take any size."""

PROBE = 256
"""The side at which those are tried."""


def convert(file: Path, target: Path) -> str:
    """Copy an inpainter, with a card in it that says how its ports are to be used.

    It is tried: the mask is white in the hole if what lies there does not matter to the result,
    and what is known shows in which range the result comes.

    Raises UnsupportedFile for another network, and for one that has a card; Failure when it cannot
    be loaded, or does nothing that makes sense.
    """
    if embedded_description(file) is not None:
        raise UnsupportedFile("a network with a card")
    session = open_session(file, "cpu")
    shapes = session.shapes
    if not {"image", "mask"} <= shapes.keys() or len(shapes) != 3:
        raise UnsupportedFile(f"a network of the ports {', '.join(shapes)}")
    painter = _tried(session, file)
    traits: dict[str, float | str] = {
        "side": painter.side,
        "stays": 1,
        "known": painter.known,
        "white": painter.white,
        "span": painter.span,
    }
    card = Description(
        name=name_of(file),
        operation=NAME,
        input=f"RGB 0..{painter.white:g} and a mask",
        traits=traits,
    )
    with whole_file(target, overwrite=False) as written:
        written.write(file.read_bytes() + _metadata(METADATA_KEY, card_to_json(card)))
    colour = "known" if painter.known else "to be filled"
    return (
        f"image 0..{painter.white:g}, mask white where it is {colour}, result 0..{painter.span:g}"
    )


def _tried(session: Session, file: Path) -> Painter:
    """The network, and how its ports are used. Raises Failure when there is no such way."""
    fixed = session.shapes["image"][-1]
    side = fixed if isinstance(fixed, int) else SIDE
    size = side if isinstance(fixed, int) else PROBE // STEP * STEP
    rng = np.random.default_rng(0)
    picture = rng.uniform(60, 200, (size, size, 3)).astype(np.float32)
    hole = np.zeros((size, size), bool)
    hole[size // 4 : size // 2, size // 4 : size // 2] = True
    other = np.where(hole[..., None], 255 - picture, picture)
    white = 255 if session.bytes_of("image") else 1
    for known in (0, 1):
        painter = Painter(session, side, stays=True, known=known, white=white, span=255)
        made, again = painter.made(picture, hole), painter.made(other, hole)
        # In 255ths of the output: what is known tells how bright white is.
        span = 255 * float(np.median(made[~hole]) / np.median(picture))
        nearest = min((1, 255), key=lambda known_span: abs(np.log(max(span, 1e-6) / known_span)))
        moved, least = np.abs(made - again)[hole].mean(), 0.02 * max(made.std(), 1e-6)
        if moved < least and 0.5 < span / nearest < 2:
            return Painter(session, side, stays=True, known=known, white=white, span=nearest)
    raise Failure(f"{file}: it does not fill what a mask marks, white or black")


def _metadata(key: str, value: str) -> bytes:
    """An entry of a model's `metadata_props` as ONNX has it on disk: fields that are appended to a
    protocol buffer are read as if they had stood in it."""
    fields = [b"\x0a" + _sized(key.encode()), b"\x12" + _sized(value.encode())]
    return b"\x72" + _sized(b"".join(fields))


def _sized(content: bytes) -> bytes:
    """Bytes behind their number, as a varint."""
    length, number = len(content), bytearray()
    while length > 127:
        number.append(length & 127 | 128)
        length >>= 7
    return bytes([*number, length]) + content
