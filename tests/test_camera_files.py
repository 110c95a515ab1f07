"""Files as cameras and programs write them: odd, partly damaged, and telling more than pixels."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Failure
from imgan.images import Picture, Source, from_srgb, open_picture, save_picture, to_srgb
from imgan_adjust import Adjust

pillow_heif.register_heif_opener()  # imgan does when it meets one

RAMP = Image.linear_gradient("L").resize((64, 48))
IMAGE = Image.merge("RGB", (RAMP, RAMP.rotate(180), RAMP))
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" {}>'
    "{}</rdf:Description></rdf:RDF></x:xmpmeta>"
)
CAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
PANORAMA = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'


def encoded(form: str = "PNG", image: Image.Image = IMAGE, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(*segments: bytes, tail: bytes = b"") -> bytes:
    whole = encoded("JPEG", quality=95)
    return whole[:2] + b"".join(segments) + whole[2:] + tail


def exif_segment(block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block)


def xmp_segment(attributes: str, children: str = "") -> bytes:
    packet = XMP.format(attributes, children).encode()
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(*chunks: bytes, image: Image.Image = IMAGE) -> bytes:
    whole = encoded("PNG", image)
    return whole[:33] + b"".join(chunks) + whole[33:]


def entry(order: str, tag: int, kind: int, value: int) -> bytes:
    code = {1: "B", 3: "H", 4: "I"}[kind]
    number = struct.pack(order + code, value).ljust(4, b"\0")
    return struct.pack(f"{order}HHI", tag, kind, 1) + number


def exif(order: str, *entries: bytes, own: tuple[bytes, ...] = ()) -> bytes:
    """An EXIF block with one directory, and with EXIF's own one behind it."""
    if own:
        entries = (*entries, entry(order, 0x8769, 4, 8 + 2 + 12 * (len(entries) + 1) + 4))
    block = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    for part in filter(None, (entries, own)):
        block += struct.pack(f"{order}H", len(part)) + b"".join(part) + bytes(4)
    return block


def saved(data: bytes, suffix: str = "jpg") -> Source:
    """What is told in the file that is made of these bytes."""
    stream = io.BytesIO()
    save_picture(open_picture(data), stream, format=suffix)
    return open_picture(stream.getvalue()).source


def enlarged(data: bytes, times: int = 4, suffix: str = "jpg") -> bytes:
    picture = open_picture(data)
    pixels = picture.pixels.repeat(times, 0).repeat(times, 1)
    stream = io.BytesIO()
    save_picture(picture.with_pixels(pixels), stream, format=suffix)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_orientation_of_any_whole_type_is_applied_once(form: str, kind: int, order: str) -> None:
    block = exif(order, entry(order, 0x0112, kind, 6))
    if form in ("TIFF", "AVIF") and kind == 1:
        pytest.skip("Pillow does not write it")
    data = jpeg(exif_segment(block)) if form == "JPEG" else png(chunk(b"eXIf", block))
    if form not in ("JPEG", "PNG"):
        data = encoded(form, exif=b"Exif\0\0" + block)
    picture = open_picture(data)
    assert picture.pixels.shape == (64, 48, 3)
    stream = io.BytesIO()
    save_picture(picture, stream, format="jpg")
    result = Image.open(stream)
    assert result.size == (48, 64)
    assert result.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_heic_file_is_turned_by_its_own_boxes_alone(order: str) -> None:
    block = exif(order, entry(order, 0x0112, 4, 6))
    data = encoded("HEIF", exif=b"Exif\0\0" + exif("<", entry("<", 0x0112, 3, 6)))
    assert open_picture(data).pixels.shape == (64, 48, 3)
    picture = Picture(np.asarray(IMAGE), source=Source(exif=block))
    stream = io.BytesIO()
    save_picture(picture, stream, format="heic")
    assert open_picture(stream.getvalue()).pixels.shape[0] in (48, 64)
    again = saved(data, "heic")
    assert Image.open(io.BytesIO(jpeg(exif_segment(again.exif)))).getexif().get(0x0112, 1) == 1


def test_a_damaged_thumbnail_directory_does_not_hide_the_orientation() -> None:
    block = bytearray(exif(">", entry(">", 0x0112, 3, 6)))
    block[-4:] = struct.pack(">I", 60_000)
    assert open_picture(jpeg(exif_segment(bytes(block)))).pixels.shape == (64, 48, 3)


@pytest.mark.parametrize(
    ("attributes", "children", "gone", "note"),
    [
        (
            f'{CAMERA} GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="4000"',
            "<GCamera:MotionPhotoVersion>1</GCamera:MotionPhotoVersion>",
            (b"MotionPhoto", b"MicroVideo", b"4000"),
            "motion photo: its video is left out",
        ),
        (
            'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"',
            '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/" '
            'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><rdf:Seq><rdf:li '
            'rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" '
            'Item:Length="987654"/>'
            "</rdf:li></rdf:Seq></Container:Directory>",
            (b"hdrgm:Version", b"GainMap", b"987654"),
            "its HDR gain map is left out",
        ),
        (
            'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Near="1"',
            "",
            (b"GDepth:Near",),
            "its depth map is left out",
        ),
        (
            'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="ABC"',
            "",
            (b"HasExtendedXMP",),
            "its extended XMP is left out",
        ),
    ],
    ids=["motion photo", "Ultra HDR", "depth", "extended XMP"],
)
def test_what_is_no_longer_there_is_no_longer_claimed(
    attributes: str, children: str, gone: tuple[bytes, ...], note: str
) -> None:
    kept = 'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="kept" GCamera:BurstID="7"'
    attributes += " " + (kept if CAMERA in attributes else f"{CAMERA} {kept}")
    data = jpeg(xmp_segment(attributes, children), tail=bytes(4000))
    assert open_picture(data).source.notes == (note,)
    source = saved(data)
    for statement in gone:
        assert statement not in source.xmp
    assert b'dc:format="kept"' in source.xmp
    assert b'BurstID="7"' in source.xmp
    assert source.notes == ()


def test_a_depth_map_of_heic_is_noted() -> None:
    class Told:
        format = "HEIF"
        info: ClassVar = {"aux": {"urn:apple:aux:hdrgainmap": [3]}, "depth_images": [object()]}

    from imgan.images import facts

    assert list(facts.other_parts(Told(), b"")) == [
        "its HDR gain map is left out",
        "its depth map is left out",
    ]


def test_a_thumbnail_in_xmp_goes() -> None:
    thumbnail = "<xmp:Thumbnails><rdf:Alt><rdf:li>/9j/4AAQ</rdf:li></rdf:Alt></xmp:Thumbnails>"
    source = saved(jpeg(xmp_segment('xmlns:xmp="http://ns.adobe.com/xap/1.0/"', thumbnail)))
    assert b"Thumbnails" not in source.xmp
    assert b"rdf:Description" in source.xmp


def linear_p3(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Display P3 as sRGB, by the matrices of CSS Color 4."""
    values = pixels / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    to_srgb_light = np.array(
        [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
    )
    light = (light @ to_srgb_light.T).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


MUTED = (np.asarray(IMAGE) // 3 + 90).astype(np.uint8)


def heic(primaries: int, transfer: int) -> bytes:
    stream = io.BytesIO()
    pillow_heif.from_bytes("RGB", (64, 48), MUTED.tobytes()).save(
        stream,
        quality=100,
        chroma=444,
        save_nclx_profile=True,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=6,
        full_range_flag=1,
    )
    return stream.getvalue()


def avif(primaries: int, transfer: int) -> bytes:
    data = encoded("AVIF", Image.fromarray(MUTED), quality=100, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def coded_png(primaries: int, transfer: int) -> bytes:
    codes = bytes([primaries, transfer, 0, 1])
    return png(chunk(b"cICP", codes), image=Image.fromarray(MUTED))


@pytest.mark.parametrize("made", [heic, avif, coded_png])
def test_code_points_of_a_colour_space_reach_networks_and_the_result(made: object) -> None:
    assert callable(made)
    picture = open_picture(made(12, 13))
    assert picture.source.notes == ()
    seen = to_srgb(picture.pixels, picture.source)
    assert np.abs(seen - linear_p3(picture.pixels)).max() <= 2
    assert np.abs(seen.astype(int) - picture.pixels).max() > 5
    for suffix in ("jpg", "png", "heic", "avif", "tif", "webp"):
        stream = io.BytesIO()
        save_picture(picture, stream, format=suffix)
        back = open_picture(stream.getvalue())
        assert np.abs(to_srgb(back.pixels, back.source).astype(int) - seen).mean() < 3, suffix
    assert open_picture(made(1, 13)).source.icc == b""
    assert open_picture(made(1, 1)).source.icc == b""
    if made is not heic:
        assert "not known" in open_picture(made(77, 13)).source.notes[0]


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_comes_into_the_range_of_a_screen_and_back(transfer: int) -> None:
    picture = open_picture(coded_png(9, transfer))
    assert "brought into the range of a screen" in picture.source.notes[0]
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    seen = to_srgb(levels, picture.source)[0, :, 0].astype(int)
    assert (np.diff(seen) >= 0).all()
    white = {16: 148, 18: 191}[transfer]  # diffuse white of 203 cd/m^2 (ITU-R BT.2408)
    assert 220 < seen[white] < 245
    assert 100 < seen[white * 2 // 3] < 200
    back = from_srgb(to_srgb(levels, picture.source), picture.source)
    assert np.abs(back[0, 30:200].astype(int) - levels[0, 30:200]).max() <= 3


def test_gamma_and_chromaticities_of_png_are_carried_over() -> None:
    grey = Image.new("RGB", (8, 8), (128, 128, 128))
    linear = open_picture(png(chunk(b"gAMA", struct.pack(">I", 100_000)), image=grey))
    assert np.abs(to_srgb(linear.pixels, linear.source).astype(int) - 188).max() <= 1
    stream = io.BytesIO()
    save_picture(linear, stream, format="webp")
    back = open_picture(stream.getvalue())
    assert np.abs(to_srgb(back.pixels, back.source).astype(int) - 188).max() <= 2

    usual = open_picture(png(chunk(b"gAMA", struct.pack(">I", 45_455))))
    assert (usual.source.icc, usual.source.notes) == (b"", ())
    p3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    chromaticities = chunk(b"cHRM", struct.pack(">8I", *p3))
    wide = open_picture(png(chromaticities, image=Image.fromarray(MUTED)))
    assert np.abs(to_srgb(wide.pixels, wide.source) - linear_p3(MUTED)).max() <= 2
    overruled = open_picture(png(chunk(b"sRGB", b"\0"), chromaticities))
    assert overruled.source.icc == b""
    level = open_picture(png(chunk(b"gAMA", struct.pack(">I", 100_000)), image=grey.convert("L")))
    assert np.abs(to_srgb(level.pixels, level.source).astype(int) - 188).max() <= 1


P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
D65 = (0.3127, 0.329)


def tiff(image: Image.Image, **tags: object) -> bytes:
    numbers = {"transfer": 301, "white": 318, "primaries": 319}
    stated = {numbers[name]: tag for name, tag in tags.items()}
    return encoded("TIFF", image, tiffinfo=stated)


def bmp(
    image: Image.Image, kind: bytes = bytes(4), ends: tuple[float, ...] = (), gamma: float = 0
) -> bytes:
    """A BMP of version 5."""
    plain = encoded("BMP", image)
    (pixels,) = struct.unpack_from("<I", plain, 10)
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + kind
    header += struct.pack("<9i", *(round(end * 2**30) for end in ends or (0,) * 9))
    header += struct.pack("<3I", *(round(gamma * 65536),) * 3) + bytes(16)
    rest = plain[pixels:]
    return b"BM" + struct.pack("<III", 138 + len(rest), 0, 138) + header + rest


def ends_of(primaries: tuple[float, ...], white: tuple[float, ...]) -> tuple[float, ...]:
    """XYZ of red, green and blue."""
    x, y = np.array([*primaries, *white]).reshape(4, 2).T
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return tuple((xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])).T.ravel())


@pytest.mark.parametrize(
    "stated",
    [
        lambda image: tiff(image, white=D65, primaries=P3),
        lambda image: bmp(image, ends=ends_of(P3, D65)),
        lambda image: bmp(image, ends=ends_of(P3, D65), gamma=2.2),
    ],
    ids=["tiff", "bmp", "bmp-gamma"],
)
def test_chromaticities_of_tiff_and_bmp_are_carried_over(stated: Any) -> None:
    wide = open_picture(stated(Image.fromarray(MUTED)))
    assert np.abs(to_srgb(wide.pixels, wide.source) - linear_p3(MUTED)).max() <= 2
    assert wide.source.notes == ()
    for form in ("tiff", "png", "bmp"):
        stream = io.BytesIO()
        save_picture(wide, stream, format=form)
        back = open_picture(stream.getvalue())
        assert np.abs(to_srgb(back.pixels, back.source) - linear_p3(MUTED)).max() <= 3


LINEAR = tuple(round(level * 65535 / 255) for level in range(256))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "stated",
    [
        lambda image: tiff(image, transfer=LINEAR),
        lambda image: tiff(image, transfer=LINEAR if image.mode == "L" else LINEAR * 3),
        lambda image: bmp(image.convert("RGB"), gamma=1),
    ],
    ids=["tiff", "tiff-each", "bmp"],
)
def test_curves_of_tiff_and_bmp_are_carried_over(stated: Any, mode: str) -> None:
    linear = open_picture(stated(Image.new("L", (8, 8), 128).convert(mode)))
    assert np.abs(to_srgb(linear.pixels, linear.source).astype(int) - 188).max() <= 1
    assert linear.source.notes == ()


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (tiff(IMAGE, primaries=(0.64, 0.33, 0.3, 0.6, 0.15, 0.06), white=D65), ""),
        (tiff(IMAGE, transfer=tuple(round(65535 * (k / 255) ** 2.2) for k in range(256))), ""),
        (bmp(IMAGE), ""),
        (bmp(IMAGE, kind=b"BGRs", gamma=1), ""),
        (bmp(IMAGE, gamma=2.2), ""),
        (bmp(IMAGE, kind=b"KNIL"), "BMP: the colour profile is in another file"),
        (bmp(IMAGE, ends=(-1.0,) * 9), "BMP: endpoints out of range"),
        (tiff(IMAGE, primaries=(0.3,) * 6), "TIFF: chromaticities in a line"),
        (tiff(IMAGE, transfer=(65535,) * 256), "TIFF: a curve that does not rise"),
    ],
)
def test_srgb_and_nonsense_in_tiff_and_bmp(data: bytes, note: str) -> None:
    picture = open_picture(data)
    assert picture.source.icc == b""
    assert [line[: len(note)] for line in picture.source.notes] == ([note] if note else [])


def test_the_profile_within_a_bmp_is_carried_over() -> None:
    profile = open_picture(tiff(IMAGE, primaries=P3, white=D65)).source.icc
    data = bytearray(bmp(Image.fromarray(MUTED), kind=b"DEBM"))
    struct.pack_into("<II", data, 14 + 112, len(data) - 14, len(profile))
    picture = open_picture(bytes(data) + profile)
    assert picture.source.icc == profile


@pytest.mark.parametrize(
    "values",
    [(0,) * 8, (31270, 32900, 64000, 33000, 64000, 33000, 64000, 33000), (2**32 - 1,) * 8],
)
def test_chromaticities_of_no_colours_are_noted(values: tuple[int, ...]) -> None:
    picture = open_picture(png(chunk(b"cHRM", struct.pack(">8I", *values))))
    assert picture.source.icc == b""
    assert len(picture.source.notes) == 1
    assert "taken as sRGB" in picture.source.notes[0]


def test_adobe_rgb_of_cameras_is_told_by_exif() -> None:
    index = struct.pack(">HHI4s", 1, 2, 4, b"R03\0")
    own = entry(">", 0xA005, 4, 8 + 2 + 12 + 4 + 2 + 12 + 4)
    block = exif(">", own=(own,)) + struct.pack(">H", 1) + index + bytes(4)
    picture = open_picture(jpeg(exif_segment(block)))
    red = np.full((1, 1, 3), (180, 60, 60), np.uint8)
    assert to_srgb(red, picture.source)[0, 0, 0] > 200
    assert saved(jpeg(exif_segment(block)), "png").icc == picture.source.icc != b""


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ([chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)))], "64 KiB"),
        ([chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000)], "64 KiB"),
        ([chunk(b"tEXt", b"Comment\0fine")[:-4] + b"oops"], "damaged tEXt"),
        ([chunk(b"gAMA", b"\0\0")], "damaged gAMA"),
        ([chunk(b"pHYs", bytes(3))], "damaged pHYs"),
        ([chunk(b"iCCP", b"x\0\0nonsense")[:-4] + b"oops"], "damaged iCCP"),
        ([chunk(b"zTXt", b"Comment\0\0nonsense")], "64 KiB"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_ancillary_chunks_do_not_decide_about_pixels(
    parts: list[bytes], note: str, deep: bool
) -> None:
    whole = encoded()
    if deep:
        stream = io.BytesIO()
        pixels = np.asarray(IMAGE).astype(np.uint16) * np.uint16(257)
        save_picture(Picture(pixels, source=Source(depth=16)), stream, format="png")
        whole = stream.getvalue()
    picture = open_picture(whole[:33] + b"".join(parts) + whole[33:])
    assert (picture.pixels // (257 if deep else 1) == np.asarray(IMAGE)).all()
    assert len(picture.source.notes) == 1
    assert note in picture.source.notes[0]


def test_a_text_of_usual_size_goes_without_a_note_and_xmp_of_any_size_is_kept() -> None:
    assert open_picture(png(chunk(b"tEXt", b"Software\0any"))).source.notes == ()
    packet = XMP.format("", "<!--" + "x" * 2_000_000 + "-->").encode()
    body = b"XML:com.adobe.xmp\0\0\0\0\0" + packet
    source = open_picture(png(chunk(b"iTXt", body))).source
    assert (source.xmp, source.notes) == (packet, ())


@pytest.mark.parametrize(
    "part",
    [
        exif_segment(b"MM\0*\0\0\0\x08\xff\xff"),
        segment(0xE2, b"MPF\0nonsense"),
        segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"),
        segment(0xE2, b"ICC_PROFILE\0\1\3nonsense"),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xff"),
        segment(0xED, b"Photoshop 3.0\08BIM\x03\xed\0\0\0\0\0\2\0\0"),
        segment(0xEE, b"Adobe"),
        segment(0xE0, b"JFIF\0"),
        segment(0xFE, b"\xff" * 60_000),
        xmp_segment('broken="'),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    ],
    ids=range(11),
)
def test_odd_segments_of_jpeg_do_not_decide_about_pixels(part: bytes) -> None:
    camera = exif_segment(exif(">", entry(">", 0x0112, 3, 3)))
    picture = open_picture(jpeg(part, camera))
    turned = np.asarray(IMAGE, float)[::-1, ::-1]
    assert np.abs(picture.pixels - turned).mean() < 2
    assert set(picture.source.notes) <= {"JPEG: damaged metadata is left out"}


@pytest.mark.parametrize("major", [b"mif1", b"miaf"])
def test_avif_is_told_by_all_of_its_brands(major: bytes) -> None:
    whole = encoded("AVIF")
    picture = open_picture(whole[:8] + major + whole[12:])
    assert picture.source.format == "AVIF"
    assert picture.pixels.shape == (48, 64, 3)
    whole = encoded("HEIF")
    assert open_picture(whole[:8] + major + whole[12:]).source.format == "HEIF"
    with pytest.raises(Failure, match="not a picture"):
        open_picture(b"\0\0\0\x18ftypisom\0\0\0\1isomavc1" + bytes(99))


def test_heic_of_cameras_is_found_by_its_suffix(here: Path) -> None:
    folder = here / "photos"
    folder.mkdir()
    (folder / "A.HIF").write_bytes(encoded("HEIF"))
    execute(Job(["photos"], quiet=True), Adjust(contrast=1.1))
    assert open_picture(here / "photos-contrast" / "A.HIF").source.format == "HEIF"


def test_files_that_a_scan_passes_over_are_told_in_a_pipe(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = here / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded())
    (folder / "notes.txt").write_text("x")
    (folder / "film.mov").write_text("x")
    execute(Job(["photos"]), Adjust(contrast=1.1))
    assert "2 other files passed over" in capsys.readouterr().err


def grey_profile() -> bytes:
    from imgan.images import profiles

    return profiles.of_codes(2, 8, grey=True)[0]


def test_a_profile_of_another_colour_space_than_the_picture_cannot_be_used() -> None:
    from imgan.images import profiles

    plain = Image.new("RGB", (8, 8), (124, 112, 76))
    p3 = profiles.of_codes(12, 13, grey=False)[0]
    cases = [(plain, grey_profile()), (plain.convert("L"), p3)]
    for image, profile in cases:
        picture = open_picture(encoded("PNG", image, icc_profile=profile))
        assert picture.source.notes == ("colour profile cannot be used: pixels taken as sRGB",)
        assert to_srgb(picture.pixels, picture.source) is picture.pixels
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    picture = open_picture(encoded("JPEG", ink, icc_profile=p3, quality=100))
    assert picture.source.notes[-1] == "colour profile cannot be used: pixels taken as sRGB"
    assert np.abs(picture.pixels.astype(int) - (0, 255, 255)).max() <= 3


def test_a_grey_profile_in_colours_leaves_brightness_what_it_is(here: Path) -> None:
    plain = Image.new("RGB", (8, 8), (124, 112, 76))
    (here / "a.png").write_bytes(encoded("PNG", plain, icc_profile=grey_profile()))
    execute(Job(["a.png"], quiet=True), Adjust(brightness=1.1))
    made = open_picture(here / "a-brightness.png").pixels[0, 0]
    assert np.abs(made.astype(int) - (136, 123, 84)).max() <= 1


@pytest.mark.parametrize("kind", [3, 4])
def test_sizes_in_exif_are_those_of_the_result(kind: int) -> None:
    sizes = (entry("<", 0xA002, kind, 64), entry("<", 0xA003, kind, 48))
    subject = struct.pack("<HHIHH", 0x9214, 3, 2, 30, 20)
    data = jpeg(exif_segment(exif("<", own=(subject, *sizes))))
    told = Image.open(io.BytesIO(enlarged(data))).getexif().get_ifd(0x8769)
    assert dict(told) == {0xA002: 256, 0xA003: 192}
    same = Image.open(io.BytesIO(enlarged(data, 1))).getexif().get_ifd(0x8769)
    assert dict(same) == {0xA002: 64, 0xA003: 48, 0x9214: (30, 20)}
    turned = exif("<", entry("<", 0x0112, 3, 6), own=(subject, *sizes))
    told = Image.open(io.BytesIO(enlarged(jpeg(exif_segment(turned)), 1))).getexif().get_ifd(0x8769)
    assert dict(told) == {0xA002: 48, 0xA003: 64}


def test_a_panorama_grows_with_its_picture() -> None:
    attributes = (
        f'{PANORAMA} GPano:UsePanoramaViewer="True" GPano:FullPanoWidthPixels="64" '
        'GPano:CroppedAreaTopPixels="3" GPano:PoseHeadingDegrees="350.5" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="64"'
    )
    child = "<GPano:CroppedAreaImageHeightPixels>48</GPano:CroppedAreaImageHeightPixels>"
    data = jpeg(xmp_segment(attributes, child))
    xmp = open_picture(enlarged(data)).source.xmp
    assert b'FullPanoWidthPixels="256"' in xmp
    assert b'CroppedAreaTopPixels="12"' in xmp
    assert b'PoseHeadingDegrees="350.5"' in xmp
    assert b">192<" in xmp
    assert b'exif:PixelXDimension="256"' in xmp
    assert open_picture(enlarged(data, 1)).source.xmp == open_picture(data).source.xmp

    picture = open_picture(data)
    stream = io.BytesIO()
    save_picture(picture.with_pixels(picture.pixels[:24]), stream, format="jpg")
    assert b"GPano:" not in open_picture(stream.getvalue()).source.xmp


@pytest.mark.parametrize("ratio", [(0, 0), (72, 0), (0, 1), (2**32 - 1, 1)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
def test_resolutions_that_are_none_are_left_out(ratio: tuple[int, int], suffix: str) -> None:
    image = Image.fromarray(MUTED)
    data = bytearray(encoded("TIFF", image, resolution=300, resolution_unit=2))
    for at in (found for found in range(len(data)) if data[found : found + 8] == bytes_of_300()):
        data[at : at + 8] = struct.pack("<II", *ratio)
    source = saved(bytes(data), suffix)
    assert source.dpi == (0, 0)


def bytes_of_300() -> bytes:
    return struct.pack("<II", 300, 1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
def test_unsquare_resolutions_are_kept_and_turned(suffix: str) -> None:
    data = encoded("TIFF", Image.fromarray(MUTED), dpi=(204, 98))
    assert saved(data, suffix).dpi == pytest.approx((204, 98), abs=0.1)
    block = exif("<", entry("<", 0x0112, 3, 6))
    turned = encoded("PNG", dpi=(204, 98), exif=b"Exif\0\0" + block)
    assert saved(turned, suffix).dpi == pytest.approx((98, 204), abs=0.1)


def test_a_limit_of_the_format_is_told_before_the_work(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgan_upscale import Upscale

    def work(*_: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(Upscale, "open", work)
    (here / "a.webp").write_bytes(encoded("PNG", Image.new("RGB", (5000, 2))))
    for output in ("b.webp", None):
        with pytest.raises(Failure, match=r"WEBP holds at most 16,383 .* 20,000 x 8") as failure:
            execute(Job(["a.webp"], output, quiet=True), Upscale(scale=4))
        assert "\n" not in str(failure.value)
    assert [path.name for path in here.iterdir()] == ["a.webp"]


def test_the_longest_sides_of_heic_and_avif_can_be_read_again() -> None:
    for suffix in ("heic", "avif"):
        stream = io.BytesIO()
        pixels = np.zeros((64, 32_768, 3), np.uint8)
        save_picture(Picture(pixels), stream, format=suffix)
        assert open_picture(stream.getvalue()).pixels.shape == pixels.shape
        with pytest.raises(Failure, match="at most 32,768"):
            save_picture(Picture(np.zeros((1, 32_769, 3), np.uint8)), io.BytesIO(), format=suffix)


def test_other_settings_have_another_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.png").write_bytes(encoded())
    for factor in (1.2, 1.3, 1.2, 1.3):
        execute(Job(["a.png"]), Adjust(brightness=factor))
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" -> ")[1] for line in said] == [
        "a-brightness.png",
        "a-brightness-1.3.png",
        "a-brightness.png (already done)",
        "a-brightness-1.3.png (already done)",
    ]
    (here / "a.png").write_bytes(encoded("PNG", IMAGE.rotate(90)))
    with pytest.raises(Failure, match="exists"):  # the same settings, of another picture
        execute(Job(["a.png"], quiet=True), Adjust(brightness=1.2))
    (here / "a-brightness.png").write_bytes(encoded())
    with pytest.raises(Failure, match="exists"):  # the person's own
        execute(Job(["a.png"], quiet=True), Adjust(brightness=1.4))
