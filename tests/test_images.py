"""Pictures in and out, on real files written with Pillow, imagecodecs and tifffile."""

from __future__ import annotations

import errno
import io
import os
import re
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from imgan.errors import Failure, Misuse
from imgan.images import (
    Picture,
    Source,
    format_of,
    from_srgb,
    open_picture,
    save_picture,
    saving,
    to_srgb,
)

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
P3_TO_XYZ = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
ADOBE_TO_XYZ = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
SRGB_TO_XYZ = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


def photo(height: int = 24, width: int = 36, channels: int = 3) -> NDArray[np.uint8]:
    """A smooth picture with no symmetry, so that a wrong turn shows."""
    y, x = np.mgrid[:height, :width]
    planes = [60 + 3 * x, 40 + 5 * y, 20 + 2 * x + y, 255 - 4 * y]
    return np.stack(planes[:channels], -1).astype(np.uint8)


def deep_photo(channels: int = 3) -> NDArray[np.uint16]:
    noise = np.random.default_rng(0).integers(0, 65536, (24, 36, channels), dtype=np.uint16)
    return noise.squeeze()


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def icc(
    space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    """A minimal ICC profile, version 2 as far as its tags are."""
    text = b"imgan test"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 11) + text + bytes(1 + 8 + 3 + 67),
        b"cprt": b"text" + bytes(4) + text + b"\0",
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249),
        **tags,
    }
    table, data = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body.ljust(-(-len(body) // 4) * 4, b"\0")
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x04200000, kind, space, pcs)
    head += struct.pack(">6H", 2026, 11, 21, 0, 0, 0) + b"acsp" + bytes(28)
    head += fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def rgb_profile(to_xyz: NDArray[np.float64], curve: bytes) -> bytes:
    colorants = {
        f"{name}XYZ".encode(): b"XYZ " + bytes(4) + fixed(*to_xyz[:, index])
        for index, name in enumerate("rgb")
    }
    return icc(b"RGB ", colorants | {f"{name}TRC".encode(): curve for name in "rgb"})


P3 = rgb_profile(P3_TO_XYZ, b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(*SRGB_CURVE))
ADOBE = rgb_profile(ADOBE_TO_XYZ, gamma(2.19921875))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = icc(b"GRAY", {b"kTRC": gamma(1.8)})


def cmyk_profile() -> bytes:
    """Inks of one's own: cyan prints red, so the plain formula cannot pass for it."""
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += bytes(range(256)) * 4
    for node in range(16):
        cyan, black = node >> 3 & 1, node & 1
        lut += bytes([20 if black else 140 if cyan else 255, 198 if cyan else 128, 128])
    return icc(b"CMYK", {b"A2B0": lut + bytes(range(256)) * 3}, b"prtr", b"Lab ")


def exif_block(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "A camera maker"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x927C] = b"maker's note \x00\x01\xff"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def written(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def saved(path: Path, pixels: NDArray[np.uint8] | None = None, **options: object) -> Path:
    return written(path, Image.fromarray(photo() if pixels is None else pixels), **options)


def peek(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def upright_xmp(packet: bytes) -> bytes:
    return re.sub(rb'tiff:Orientation="[0-9]"', b"", packet)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def one_line(failure: pytest.ExceptionInfo[Failure], *words: str) -> None:
    text = str(failure.value)
    assert "\n" not in text
    for word in words:
        assert word in text


LOSSY = {"jpg", "webp", "heic", "avif"}
SUFFIXES = ["jpg", "png", "webp", "tif", "bmp", "heic", "avif"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_comes_back_as_it_went(tmp_path: Path, suffix: str) -> None:
    picture = Picture(photo())
    save_picture(picture, tmp_path / f"a.{suffix}")
    back = open_picture(tmp_path / f"a.{suffix}")
    assert back.pixels.shape == picture.pixels.shape
    assert back.alpha is None
    assert back.source.notes == ()
    allowed = 8 if suffix in LOSSY else 0
    assert np.abs(back.pixels.astype(int) - picture.pixels).max() <= allowed
    save_picture(back, io.BytesIO())


def test_the_bytes_of_a_file_open_like_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    assert (open_picture(path.read_bytes()).pixels == photo()).all()


def test_gif_opens_at_its_first_frame_and_says_so(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second, first])
    picture = open_picture(tmp_path / "a.gif")
    assert (picture.pixels == [255, 0, 0]).all()
    assert picture.source.notes == ("GIF: first of 3 frames",)
    notes = save_picture(picture, tmp_path / "b.gif")
    assert (open_picture(tmp_path / "b.gif").pixels == [255, 0, 0]).all()
    assert notes == ("GIF holds 256 colours",)


def test_further_pictures_in_a_file_are_noted(tmp_path: Path) -> None:
    for name, form in (("a.jpg", "MPO"), ("a.tif", "TIFF")):
        pages = [Image.fromarray(photo()), Image.fromarray(photo() // 2)]
        pages[0].save(tmp_path / name, form, save_all=True, append_images=pages[1:])
        source = open_picture(tmp_path / name).source
        assert source.format == ("JPEG" if form == "MPO" else form)
        assert source.notes == (f"{source.format}: first of 2 pictures",)


def test_ten_bits_of_heic_and_avif_read_as_eight_are_noted(tmp_path: Path) -> None:
    deep = np.ascontiguousarray(np.kron(photo(), np.ones((4, 4, 1), np.uint8))).astype(np.uint16)
    height, width = deep.shape[:2]
    heif = pillow_heif.from_bytes("RGB;16", (width, height), (deep * 257).tobytes())
    heif.save(tmp_path / "a.heic")
    picture = open_picture(tmp_path / "a.heic")
    assert picture.source.notes == ("HEIF: 10 bits a channel read as 8",)
    assert np.abs(picture.pixels - deep.astype(float)).mean() < 6
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(deep * 4, bitspersample=10))
    picture = open_picture(tmp_path / "a.avif")
    assert picture.source.notes == ("AVIF: 10 bits a channel read as 8",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", exif=exif_block(orientation), **options)
    expected = np.asarray(ImageOps.exif_transpose(peek(path)))
    picture = open_picture(path)
    assert (picture.pixels == expected).all()
    save_picture(picture, tmp_path / "b.png")
    again = open_picture(tmp_path / "b.png")
    assert (again.pixels == expected).all()
    assert peek(tmp_path / "b.png").getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_of_deep_pictures_is_applied_once(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    deep = deep_photo(4)
    picture = Picture(deep[..., :3], deep[..., 3], Source(exif=exif_block(orientation)[6:]))
    save_picture(picture, tmp_path / f"a.{suffix}")
    turned = open_picture(tmp_path / f"a.{suffix}")
    turns = {3: 2, 6: -1}[orientation]
    assert (turned.pixels == np.rot90(deep[..., :3], turns)).all()
    assert turned.alpha is not None
    assert (turned.alpha == np.rot90(deep[..., 3], turns)).all()


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_orientation_of_heif_files_is_applied_once(tmp_path: Path, suffix: str) -> None:
    tall = photo(64, 32)
    path = saved(tmp_path / f"a.{suffix}", tall, exif=exif_block(6), quality=95)
    picture = open_picture(path)
    assert np.abs(picture.pixels.astype(int) - np.rot90(tall, -1)).mean() < 4
    save_picture(picture, tmp_path / f"b.{suffix}")
    assert open_picture(tmp_path / f"b.{suffix}").pixels.shape == picture.pixels.shape


@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif", "heic", "avif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif", "heic", "avif"])
def test_exif_xmp_and_icc_travel_between_formats(tmp_path: Path, source: str, target: str) -> None:
    first = Source(exif=exif_block()[6:], xmp=XMP, icc=P3)
    save_picture(Picture(photo(), source=first), tmp_path / f"a.{source}")
    opened = open_picture(tmp_path / f"a.{source}")
    save_picture(opened, tmp_path / f"b.{target}")
    back = open_picture(tmp_path / f"b.{target}").source
    assert back.icc == P3
    assert upright_xmp(back.xmp) == upright_xmp(XMP)
    assert b'Orientation="6"' not in back.xmp
    exif = Image.Exif()
    exif.load(back.exif)
    assert exif[0x010F] == "A camera maker"
    assert exif.get_ifd(0x8769)[0x927C] == b"maker's note \x00\x01\xff"
    assert exif.get_ifd(0x8825)[1] == "N"
    if "tif" not in (source, target) and "avif" not in (source, target):
        assert back.exif == first.exif


def test_exif_changes_in_its_orientation_and_thumbnail_only(tmp_path: Path) -> None:
    thumbnail = b"an old view of the picture"
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 1) + entries + struct.pack("<IH", 26, 2)
    block += struct.pack("<HHII", 0x0201, 4, 1, 60) + struct.pack("<HHII", 0x0202, 4, 1, 26)
    block = block.ljust(60, b"\0") + thumbnail + b"the rest"
    save_picture(Picture(photo(), source=Source(exif=block)), tmp_path / "a.jpg")
    picture = open_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (36, 24, 3)
    expected = bytearray(block)
    expected[18] = 1
    expected[22:26] = bytes(4)
    expected[60:86] = bytes(26)
    assert picture.source.exif == expected


def test_broken_exif_does_not_stop_a_picture(tmp_path: Path) -> None:
    for block in (
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x09",
    ):
        path = saved(tmp_path / "a.webp", exif=block)
        picture = open_picture(path)
        assert picture.source.exif == block[6:]
        save_picture(picture, tmp_path / "b.tif", overwrite=True)
        assert open_picture(tmp_path / "b.tif").pixels.shape == picture.pixels.shape


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "heic", "avif"])
def test_strip_metadata_drops_exif_and_xmp_and_keeps_a_wide_profile(
    tmp_path: Path, suffix: str
) -> None:
    for profile, kept in ((P3, P3), (SRGB, b"")):
        source = Source(exif=exif_block()[6:], xmp=XMP, icc=profile)
        path = tmp_path / f"a.{suffix}"
        save_picture(Picture(photo(), source=source), path, strip_metadata=True, overwrite=True)
        back = open_picture(path).source
        assert (back.exif, back.xmp, back.icc) == (b"", b"", kept)
        assert b"camera" not in path.read_bytes()


def test_metadata_too_large_for_jpeg_is_left_out_with_a_note(tmp_path: Path) -> None:
    block = exif_block()[6:] + bytes(70_000)
    source = Source(exif=block, xmp=XMP + b" " * 70_000)
    notes = save_picture(Picture(photo(), source=source), tmp_path / "a.jpg")
    assert [note.split()[0] for note in notes] == ["EXIF", "XMP"]
    assert open_picture(tmp_path / "a.jpg").source.exif == b""
    assert save_picture(Picture(photo(), source=source), tmp_path / "a.png") == ()


def test_resolution_is_kept(tmp_path: Path) -> None:
    picture = open_picture(saved(tmp_path / "a.jpg", dpi=(300, 300)))
    for suffix in ("jpg", "png", "tif"):
        save_picture(picture, tmp_path / f"b.{suffix}")
        assert peek(tmp_path / f"b.{suffix}").info["dpi"][0] == pytest.approx(300, abs=0.1)


def decoded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("profile", "to_xyz", "curve"),
    [(P3, P3_TO_XYZ, decoded), (ADOBE, ADOBE_TO_XYZ, lambda values: values**2.19921875)],
    ids=["Display P3", "Adobe RGB"],
)
def test_wide_gamut_pixels_reach_networks_as_srgb(
    profile: bytes,
    to_xyz: NDArray[np.float64],
    curve: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    muted = photo() // 3 + 90
    source = Source(icc=profile)
    linear = curve(muted / 255) @ to_xyz.T @ np.linalg.inv(SRGB_TO_XYZ).T
    expected = encoded(np.clip(linear, 0, 1)) * 255
    converted = to_srgb(muted, source)
    assert np.abs(converted - muted.astype(float)).max() > 5
    assert np.abs(converted - expected).max() <= 1.5
    assert np.abs(from_srgb(converted, source).astype(int) - muted).max() <= 2
    assert converted.flags.writeable


@pytest.mark.parametrize("profile", [b"", SRGB, b"not a profile", cmyk_profile()])
def test_srgb_and_unusable_profiles_convert_nothing(profile: bytes) -> None:
    pixels = photo()
    assert to_srgb(pixels, Source(icc=profile)) is pixels
    assert from_srgb(pixels, Source(icc=profile)) is pixels


def test_an_unusable_profile_is_kept_and_noted(tmp_path: Path) -> None:
    picture = open_picture(saved(tmp_path / "a.png", icc_profile=b"not a profile"))
    assert picture.source.icc == b"not a profile"
    assert picture.source.notes == ("colour profile cannot be used: pixels taken as sRGB",)


def test_wide_gamut_becomes_srgb_where_no_profile_can_be_held(tmp_path: Path) -> None:
    picture = Picture(photo() // 3 + 90, source=Source(icc=P3))
    notes = save_picture(picture, tmp_path / "a.bmp")
    assert (
        open_picture(tmp_path / "a.bmp").pixels == to_srgb(picture.pixels, picture.source)
    ).all()
    assert notes == ()


def test_grey_profiles_are_curves_and_colour_leaves_them(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", photo()[..., 1], icc_profile=GREY)
    picture = open_picture(path)
    linear = (picture.pixels / 255) ** 1.8
    assert np.abs(to_srgb(picture.pixels, picture.source) - encoded(linear) * 255).max() <= 1.5
    back = from_srgb(to_srgb(picture.pixels, picture.source), picture.source)
    assert np.abs(back.astype(int) - picture.pixels).max() <= 2
    save_picture(picture, tmp_path / "b.png")
    assert peek(tmp_path / "b.png").mode == "L"
    assert open_picture(tmp_path / "b.png").source.icc == GREY

    painted = picture.pixels.copy()
    painted[:4, :, 0] = 255
    save_picture(picture.with_pixels(painted), tmp_path / "c.png")
    coloured = open_picture(tmp_path / "c.png")
    assert coloured.source.icc == b""
    assert (coloured.pixels == to_srgb(painted, picture.source)).all()


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_is_a_plane_of_its_own(tmp_path: Path, suffix: str) -> None:
    rgba = photo(channels=4)
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    picture = open_picture(saved(tmp_path / f"a.{suffix}", rgba, **lossless))
    assert (picture.pixels == rgba[..., :3]).all()
    assert picture.alpha is not None
    assert (picture.alpha == rgba[..., 3]).all()
    save_picture(picture, tmp_path / f"b.{suffix}")
    again = open_picture(tmp_path / f"b.{suffix}")
    assert again.alpha is not None
    assert (again.alpha == rgba[..., 3]).all()


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_alpha_survives_the_heif_formats(tmp_path: Path, suffix: str) -> None:
    picture = Picture(photo(), photo(channels=4)[..., 3])
    save_picture(picture, tmp_path / f"a.{suffix}")
    again = open_picture(tmp_path / f"a.{suffix}")
    assert again.alpha is not None
    assert picture.alpha is not None
    assert np.abs(again.alpha.astype(int) - picture.alpha).max() <= 6


def test_palettes_and_their_transparency_become_planes(tmp_path: Path) -> None:
    indexed = Image.new("P", (6, 4))
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    indexed.putpixel((1, 0), 1)
    indexed.putpixel((2, 0), 2)
    opaque = open_picture(written(tmp_path / "a.png", indexed))
    assert opaque.pixels[0, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert opaque.alpha is None
    for options in ({"transparency": 1}, {"transparency": bytes([255, 0, 128])}):
        picture = open_picture(written(tmp_path / "b.png", indexed, **options))
        assert picture.alpha is not None
        assert picture.alpha[0, 1] == 0
        assert picture.alpha[0, 2] == (255 if options["transparency"] == 1 else 128)
        assert picture.pixels[0, 2].tolist() == [0, 0, 255]


def test_a_transparent_colour_of_rgb_becomes_alpha(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 3), (9, 8, 7))
    image.putpixel((0, 0), (1, 2, 3))
    picture = open_picture(written(tmp_path / "a.png", image, transparency=(1, 2, 3)))
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [0, 255, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_files_stay_grey_until_colour_comes(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(photo(channels=4)).convert(mode)
    picture = open_picture(written(tmp_path / "a.png", image))
    assert (picture.pixels == np.asarray(image.convert("L"))[..., None]).all()
    save_picture(picture, tmp_path / "b.png")
    assert peek(tmp_path / "b.png").mode == ("LA" if mode == "LA" else "L")
    assert (open_picture(tmp_path / "b.png").pixels == picture.pixels).all()
    save_picture(picture, tmp_path / "b.jpg")
    assert peek(tmp_path / "b.jpg").mode == "L"
    painted = picture.pixels.copy()
    painted[0, 0] = 255, 0, 0
    save_picture(picture.with_pixels(painted), tmp_path / "c.png")
    assert (open_picture(tmp_path / "c.png").pixels == painted).all()


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, suffix: str) -> None:
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    options = {"quality": 100} if suffix == "jpg" else {}
    plain = open_picture(written(tmp_path / f"a.{suffix}", ink, **options))
    assert np.abs(plain.pixels.astype(int) - [0, 255, 255]).max() <= 3
    path = written(tmp_path / f"b.{suffix}", ink, icc_profile=cmyk_profile(), **options)
    picture = open_picture(path)
    red, green, blue = picture.pixels[8, 8].astype(int)
    assert red > green + 50
    assert red > blue + 30
    assert picture.source.icc == b""
    assert picture.source.notes == ("CMYK colours converted to sRGB",)


def test_lab_tiff_is_converted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", Image.new("LAB", (8, 8), (255, 128, 128)))
    assert (open_picture(path).pixels.astype(int) >= 250).all()


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [("png", 1), ("png", 2), ("png", 3), ("png", 4), ("tif", 1), ("tif", 3), ("tif", 4)],
)
def test_sixteen_bits_are_kept_with_all_metadata(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    deep = deep_photo(channels)
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(imagecodecs.png_encode(deep))
    else:
        photometric = "rgb" if channels > 2 else "minisblack"
        extra = ["unassalpha"] if channels == 4 else None
        tifffile.imwrite(path, deep, photometric=photometric, extrasamples=extra)
    picture = open_picture(path)
    stacked = deep[..., None] if deep.ndim == 2 else deep
    assert picture.source.depth == 16
    assert picture.source.notes == ()
    assert (picture.pixels == stacked[..., : 1 if channels < 3 else 3]).all()
    if channels in (2, 4):
        assert picture.alpha is not None
        assert (picture.alpha == stacked[..., -1]).all()

    source = Source(
        **{
            **vars(picture.source),
            "exif": exif_block()[6:],
            "xmp": XMP,
            "icc": P3 if channels > 2 else b"",
            "dpi": (300.0, 300.0),
        }
    )
    for other in ("png", "tif"):
        target = tmp_path / f"b.{other}"
        save_picture(Picture(picture.pixels, picture.alpha, source), target)
        back = open_picture(target)
        assert (back.pixels == picture.pixels).all()
        assert (back.alpha is None) == (picture.alpha is None)
        assert back.source.icc == source.icc
        assert upright_xmp(back.source.xmp) == upright_xmp(XMP)
        assert b"A camera maker" in back.source.exif
        assert back.source.grey == (channels == 1 or (channels == 2 and other == "png"))
        assert back.source.dpi == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    "layout",
    [
        {"compression": "lzw", "predictor": True},
        {"byteorder": ">"},
        {"planarconfig": "separate"},
        {"tile": (16, 16)},
    ],
    ids=str,
)
def test_sixteen_bit_tiff_layouts(tmp_path: Path, layout: dict[str, object]) -> None:
    deep = deep_photo()
    data = np.moveaxis(deep, -1, 0) if "planarconfig" in layout else deep
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", **layout)
    assert (open_picture(tmp_path / "a.tif").pixels == deep).all()


def test_deep_grey_where_white_is_zero(tmp_path: Path) -> None:
    deep = deep_photo(1)
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="miniswhite")
    assert (open_picture(tmp_path / "a.tif").pixels[..., 0] == 65535 - deep).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_is_written_in_the_byte_order_of_its_exif(tmp_path: Path, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "A camera maker"
    deep = deep_photo(4)
    picture = Picture(deep[..., :3], deep[..., 3], Source(exif=exif.tobytes()[6:]))
    save_picture(picture, tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes()[:2] == (b"II" if order == "<" else b"MM")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert (file.asarray() == deep).all()
        assert file.pages[0].tags["Make"].value == "A camera maker"


def test_sixteen_bits_are_rounded_with_a_note_where_eight_must_do(tmp_path: Path) -> None:
    deep = deep_photo(3)
    notes = save_picture(Picture(deep, source=Source(depth=16)), tmp_path / "a.bmp")
    assert (open_picture(tmp_path / "a.bmp").pixels == np.rint(deep / 257)).all()
    assert notes == ("BMP holds 8 bits a channel here: rounded from 16",)


def test_networks_see_eight_bits_of_sixteen() -> None:
    source = Source(depth=16)
    assert (to_srgb(deep_photo(), source) == np.rint(deep_photo() / 257)).all()
    assert (from_srgb(photo(), source) == photo().astype(int) * 257).all()


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.float32))
    with pytest.raises(Failure) as failure:
        open_picture(tmp_path / "a.tif")
    one_line(failure, "a.tif", "8 or 16 bits")


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
def test_transparency_is_laid_on_white_where_it_cannot_be_held(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    alpha = np.full((16, 16), 255, np.uint8)
    assert save_picture(Picture(pixels, alpha), tmp_path / f"a.{suffix}") == ()
    alpha[:, 8:] = 0
    notes = save_picture(Picture(pixels, alpha), tmp_path / f"b.{suffix}")
    assert len(notes) == 1
    assert "laid on white" in notes[0]
    back = open_picture(tmp_path / f"b.{suffix}")
    assert back.alpha is None
    assert (back.pixels[:, :8] <= 3).all()
    assert (back.pixels[:, 8:] >= 252).all()


def test_a_file_is_written_in_the_format_of_its_suffix_else_its_own(tmp_path: Path) -> None:
    picture = open_picture(saved(tmp_path / "a.heic"))
    save_picture(picture, tmp_path / "b.PNG")
    assert peek(tmp_path / "b.PNG").format == "PNG"
    for choice, expected in ((None, "HEIF"), ("jpg", "JPEG"), (".webp", "WEBP"), ("PNG", "PNG")):
        stream = io.BytesIO()
        save_picture(picture, stream, format=choice)
        assert Image.open(stream).format == expected


def test_an_unknown_suffix_is_misuse_that_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Misuse) as failure:
        save_picture(Picture(photo()), tmp_path / "a.psd")
    one_line(failure, "a.psd", ".jpg", ".heic", ".avif")
    assert leftovers(tmp_path) == []


def test_quality_is_the_users_or_a_careful_default(tmp_path: Path) -> None:
    sizes = []
    for quality in (20, None, 100):
        stream = io.BytesIO()
        save_picture(Picture(photo(96, 96)), stream, format="jpg", quality=quality)
        sizes.append(len(stream.getvalue()))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3
    save_picture(Picture(photo()), tmp_path / "a.jpg")
    assert [part[1:3] for part in peek(tmp_path / "a.jpg").layer] == [(1, 1)] * 3
    for quality in (0, 101):
        with pytest.raises(Misuse):
            save_picture(Picture(photo()), tmp_path / "b.jpg", quality=quality)


@pytest.mark.parametrize(("suffix", "side"), [("jpg", 65_500), ("webp", 16_383), ("gif", 65_535)])
def test_formats_refuse_what_is_too_long_for_them(tmp_path: Path, suffix: str, side: int) -> None:
    with pytest.raises(Failure) as failure:
        save_picture(Picture(np.zeros((1, side + 1, 3), np.uint8)), tmp_path / f"a.{suffix}")
    one_line(failure, f"a.{suffix}", f"{side:,}", "PNG")
    assert leftovers(tmp_path) == []
    save_picture(Picture(np.zeros((1, side, 3), np.uint8)), tmp_path / f"b.{suffix}")


def test_a_broken_tiff_prints_nothing_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.BytesIO()
    save_picture(Picture(photo()), stream, format="tif")
    broken = bytearray(stream.getvalue())
    broken[60] ^= 255
    with pytest.raises(Failure):
        open_picture(bytes(broken))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [*SUFFIXES, "gif"])
def test_truncated_files_fail_with_one_line(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(tmp_path / f"whole.{suffix}", noise).read_bytes()
    for part in (0.5, 0.9, 0.02):
        (tmp_path / f"a.{suffix}").write_bytes(whole[: max(13, int(len(whole) * part))])
        with pytest.raises(Failure) as failure:
            open_picture(tmp_path / f"a.{suffix}")
        one_line(failure, f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_truncated_deep_files_fail_with_one_line(tmp_path: Path, suffix: str) -> None:
    save_picture(Picture(deep_photo()), tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Failure) as failure:
        open_picture(tmp_path / f"a.{suffix}")
    one_line(failure, f"a.{suffix}")


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "empty"), (b"Dear diary, " * 9, "not a picture")]
)
def test_files_that_are_no_picture_fail_with_one_line(
    tmp_path: Path, content: bytes, word: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(Failure) as failure:
        open_picture(tmp_path / "a.jpg")
    one_line(failure, "a.jpg", word)
    with pytest.raises(Failure) as failure:
        open_picture(content)
    one_line(failure, "standard input", word)


def test_unreadable_files_fail_with_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.jpg", Path("/proc/self/mem")):
        with pytest.raises(Failure) as failure:
            open_picture(path)
        one_line(failure, f"{path}: cannot be read")
    (tmp_path / "a.png").touch(mode=0)
    if os.geteuid():
        with pytest.raises(Failure, match="Permission denied"):
            open_picture(tmp_path / "a.png")


def test_decompression_bombs_are_not_opened_and_large_pictures_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png = bytearray(saved(tmp_path / "bomb.png").read_bytes())
    png[16:24] = struct.pack(">II", 40_000, 40_000)
    png[29:33] = struct.pack(">I", imagecodecs.zlib_crc32(bytes(png[12:29])))
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(Failure) as failure:
        open_picture(tmp_path / "bomb.png")
    one_line(failure, "bomb.png", "40,000 x 40,000", "400,000,000")

    saved(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's own limit does not matter
    assert open_picture(tmp_path / "a.png").pixels.shape == (24, 36, 3)
    with pytest.raises(Failure, match="36 x 24 pixels") as failure:
        open_picture(tmp_path / "a.png", max_pixels=24 * 36 - 1)
    assert failure.value.code == "too-large"


def test_an_existing_file_stays_unless_overwriting(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(Failure) as failure:
        save_picture(Picture(photo()), path)
    one_line(failure, f"{path}: exists; --overwrite to replace")
    assert path.read_bytes() == b"precious"
    save_picture(Picture(photo()), path, overwrite=True)
    assert (open_picture(path).pixels == photo()).all()
    assert leftovers(tmp_path) == ["a.png"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    path = tmp_path / "a.png"
    encode = saving._encode

    def slow(*arguments: object) -> tuple[str, ...]:
        path.write_bytes(b"precious")
        return encode(*arguments)  # type: ignore[arg-type]

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
        save_picture(Picture(photo()), tmp_path / "free.png")
        assert (open_picture(tmp_path / "free.png").pixels == photo()).all()
        (tmp_path / "free.png").unlink()
    monkeypatch.setattr(saving, "_encode", slow)
    with pytest.raises(Failure, match="exists"):
        save_picture(Picture(photo()), path)
    assert path.read_bytes() == b"precious"
    assert leftovers(tmp_path) == ["a.png"]


def test_a_link_is_followed_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    saved(tmp_path / "real.png", photo() // 2)
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    save_picture(Picture(photo()), tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert (open_picture(tmp_path / "real.png").pixels == photo()).all()
    with pytest.raises(Failure, match="/dev/null: is not a regular file"):
        save_picture(Picture(photo()), Path("/dev/null"), overwrite=True)


def test_new_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_picture(Picture(photo()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_full_disk_leaves_nothing_and_says_why(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(Failure) as failure:
            save_picture(Picture(noise), tmp_path / f"a.{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_line(failure, f"a.{suffix}: cannot be written: File too large")
    assert leftovers(tmp_path) == []


def test_a_full_stream_and_a_missing_folder_say_why(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(Failure) as failure:
        save_picture(Picture(photo()), full)
    one_line(failure, "standard output: cannot be written: No space left on device")
    with pytest.raises(Failure) as failure:
        save_picture(Picture(photo()), tmp_path / "none" / "a.png")
    one_line(failure, "No such file or directory")


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> tuple[str, ...]:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving, "_encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_picture(Picture(photo()), tmp_path / "a.png")
    assert leftovers(tmp_path) == []


def test_saving_rgb_makes_one_copy_for_pillow_and_none_in_numpy() -> None:
    import tracemalloc

    picture = Picture(np.zeros((3000, 2000, 3), np.uint8), np.zeros((3000, 2000), np.uint8))
    form = format_of(None, "png")
    tracemalloc.start()
    planes, _, _ = saving._fitted(picture, form)
    image = saving._image(planes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.mode == "RGBA"
    assert peak < picture.pixels.nbytes / 4


def test_pictures_open_and_save_in_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def job(number: int) -> bool:
        source = Source(icc=P3, exif=exif_block()[6:])
        pixels = photo() // 3 + number
        save_picture(Picture(pixels, source=source), tmp_path / f"{number}.png")
        back = open_picture(tmp_path / f"{number}.png")
        round_trip = from_srgb(to_srgb(back.pixels, back.source), back.source)
        return bool(np.abs(round_trip.astype(int) - pixels).max() <= 40)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(job, range(80, 96)))


def test_pictures_refuse_arrays_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        Picture(photo()[..., 0])
    with pytest.raises(ValueError, match="alpha"):
        Picture(photo(), photo()[:-1, :, 0])
    with pytest.raises(ValueError, match="uint8"):
        Picture(photo().astype(np.float32))  # type: ignore[arg-type]
    picture = Picture(photo(), photo()[..., 0])
    assert picture.with_pixels(photo() // 2).alpha is picture.alpha
    assert picture.with_pixels(photo() // 2, None).alpha is None


def test_png_text_profiles_of_older_tools_are_read(tmp_path: Path) -> None:
    block = exif_block(6)
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n")
    picture = open_picture(saved(tmp_path / "a.png", pnginfo=info))
    assert picture.pixels.shape == (36, 24, 3)
    assert b"A camera maker" in picture.source.exif
