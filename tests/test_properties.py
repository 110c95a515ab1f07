"""What holds for every input: tiles, names of results, cards, and the parsers written by hand."""

from __future__ import annotations

import string
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Failure
from imgan.images import codecs, metadata
from imgan.images import xmp as xmp_packet
from imgan.images.tiles import run_tiled, smallest, tile_count
from imgan.models.cards import Description, ModelCard, card_from_json, card_to_json

quick = settings(max_examples=150, deadline=None, derandomize=True, database=None)

ORIENTED = bytes.fromhex(
    "4d4d002a00000008 0002 011200030000000100060000 010000040000000100000200 00000000"
)
"""An EXIF block, big-endian: orientation 6, a width of 512."""
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"><tiff:ImageWidth>9'
    b"</tiff:ImageWidth></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@st.composite
def damaged(draw: st.DrawFn, block: bytes) -> bytes:
    """A block with some bytes changed, put in, or cut off."""
    content = bytearray(block)
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(content)


@quick
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.integers(0, 8),
    st.integers(0, 60),
    st.sampled_from([1, 2]),
)
def test_tiles_give_every_pixel_as_the_whole_does(
    height: int, width: int, overlap: int, more: int, scale: int
) -> None:
    def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = tile.transpose(2, 0, 1).astype(np.float32) / 255
        seen.append(tile.shape)
        return planes.repeat(scale, 1).repeat(scale, 2)

    seen: list[tuple[int, ...]] = []
    tile = smallest(overlap) + more
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    result = run_tiled(pixels, run, scale=scale, tile=tile, overlap=overlap)
    assert np.array_equal(result, pixels.repeat(scale, 0).repeat(scale, 1))
    assert len(seen) == tile_count(height, width, tile, overlap)
    assert len(set(seen)) == 1
    assert max(seen[0][:2]) <= max(tile, 1)


words = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=12
)
values = st.one_of(words, st.floats(allow_nan=False, allow_infinity=False, width=32))
names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=9)


@quick
@given(names, words, words, st.dictionaries(words, values, max_size=3))
def test_a_card_comes_back_from_json_as_it_went(
    name: str, licence: str, dataset: str, figures: dict[str, float | str]
) -> None:
    try:
        card = Description(
            name=name, operation="edit", licence=licence, dataset=dataset, figures=figures
        )
    except Failure:
        return
    assert card_from_json(card_to_json(card), Path("a.onnx")) == card


@quick
@given(damaged(b'{"name": "a", "operation": "edit", "traits": {"side": 64}, "figures": {}}'))
def test_a_damaged_card_is_a_failure(content: bytes) -> None:
    try:
        card = card_from_json(content.decode("utf-8", "replace"), Path("a.onnx"))
    except Failure:
        return
    assert not isinstance(card, ModelCard)
    assert replace(card) == card


@quick
@given(damaged(ORIENTED), damaged(PACKET))
def test_damaged_metadata_never_stop_a_picture(exif: bytes, xmp: bytes) -> None:
    orientation, block, packet, _ = metadata.upright(exif, xmp)
    assert 1 <= orientation <= 8
    assert len(block) == len(exif)
    assert metadata.upright(block, packet)[0] == 1 or orientation == 1
    metadata.sized(exif, xmp, (4, 5), (6, 7))


@quick
@given(damaged(PACKET))
def test_a_damaged_packet_is_said_to_be_one(xmp: bytes) -> None:
    try:
        stated = xmp_packet.with_source_type(xmp, "made")
    except ValueError:
        return
    assert b"DigitalSourceType" in stated
    assert xmp_packet.with_source_type(stated, "made").count(b"DigitalSourceType=") == 1


@quick
@given(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20))
def test_what_is_put_into_a_packet_comes_out(text: str) -> None:
    assert xmp_packet.pipeline_in(xmp_packet.with_pipeline(PACKET, text)) == text


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of tags that were damaged
@settings(quick, max_examples=40)
@given(damaged(ORIENTED), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["u1", "u2"]))
def test_a_tiff_is_read_as_it_was_written_whatever_its_exif(
    exif: bytes, height: int, width: int, depth: str
) -> None:
    most = np.iinfo(depth).max
    plane = np.random.default_rng(width).integers(0, most, (height, width), depth, endpoint=True)
    file = BytesIO()
    _, exif, _, _ = metadata.upright(exif, b"")  # Pillow turns what says that it lies on its side
    codecs.write_tiff(file, [plane], exif=exif, xmp=b"", icc=b"", dpi=(72.0, 72.0))
    file.seek(0)
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(image), plane)


@quick
@given(st.lists(st.sampled_from(["a.jpg", "b.png", "c.webp", "a.png"]), unique=True, min_size=1))
def test_no_two_results_of_a_folder_have_one_name(files: list[str]) -> None:
    from imgan.batch.job import Job
    from imgan.batch.plan import make_plan
    from imgan.errors import Misuse
    from imgan_adjust import Adjust

    with TemporaryDirectory() as name:
        folder = Path(name)
        for file in files:
            (folder / file).write_bytes(b"x")
        job = Job([str(folder)], output=str(folder / "out"), quiet=True)
        try:
            plan = make_plan(job, Adjust())
        except (Misuse, Failure):
            return
        targets = [task.target for task in plan.tasks]
        assert len(set(targets)) == len(targets) == len(files)
        assert not {str(target) for target in targets} & {str(folder / file) for file in files}
