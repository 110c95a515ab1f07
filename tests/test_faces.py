"""Faces: found, aligned and pasted back. The astronaut is Eileen Collins, in the public domain."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageCms

from imgan import faces
from imgan.faces import TEMPLATE, Face
from imgan.images import Picture, Source

SIZE = 64


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def face(astronaut: NDArray[np.uint8]) -> Face:
    (found,) = faces.find(astronaut)
    return found


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture without edges, so that resampling hardly changes it."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x / width, y / height, (np.sin(x / 40) + np.cos(y / 50)) / 4 + 0.5]
    return (np.stack(planes, 2) * 200 + 20).astype(np.uint8)


def tilted(angle: float, side: float, centre: tuple[float, float]) -> Face:
    """A face whose aligned square has this side and centre, turned by `angle` in degrees."""
    turn = np.exp(1j * np.radians(angle))
    z = ((TEMPLATE - 0.5) @ [1, 1j]) * side * turn + complex(*centre)
    return Face(
        (centre[0] - side / 2, centre[1] - side / 2, side, side), np.stack([z.real, z.imag], 1)
    )


def disc(size: int, height: float = 1) -> NDArray[np.float32]:
    """A cone over a disc: 0 along the border, `height` in the middle."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    return height * (1 - np.hypot(axis[:, None], axis)).clip(0, 1)


def added(height: float, size: int = SIZE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A difference of equal channels, and a cover of nothing."""
    return np.repeat(disc(size, height)[..., None], 3, 2), np.zeros((size, size), np.float32)


@pytest.fixture(scope="module")
def display_p3() -> bytes:
    """Pillow's own sRGB profile with the primaries of Display P3 (D50, s15Fixed16) put in."""
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(132, 132 + 12 * int.from_bytes(profile[128:132]), 12):
        if xyz := primaries.get(bytes(profile[entry : entry + 4])):
            value = int.from_bytes(profile[entry + 4 : entry + 8]) + 8
            struct.pack_into(">3i", profile, value, *(round(part * 65536) for part in xyz))
    return bytes(profile)


def test_the_face_of_a_photo_is_found_with_its_eyes(face: Face) -> None:
    x, y, width, height = face.box
    assert x < 205 < 247 < x + width
    assert y < 102 < 140 < y + height
    # Read off the picture by eye.
    np.testing.assert_allclose(face.points[:2], [[205, 102], [247, 103]], atol=4)
    assert face.score > 0.99


def test_faces_are_numbered_from_the_left(astronaut: NDArray[np.uint8], face: Face) -> None:
    small = np.asarray(Image.fromarray(astronaut).crop((120, 20, 340, 240)).resize((110, 110)))
    wide = np.full((260, 700, 3), 90, np.uint8)
    wide[100:210, 560:670] = small
    wide[20:240, 250:470] = astronaut[20:240, 120:340]
    wide[60:170, 20:130] = small
    found = faces.find(wide)
    assert len(found) == 3
    lefts = [f.box[0] for f in found]
    assert lefts == sorted(lefts)
    assert found[1].box[2] > 1.5 * found[0].box[2]


def test_a_large_photo_gives_the_same_face_at_its_own_scale(
    astronaut: NDArray[np.uint8], face: Face
) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((1536, 1536)))
    (found,) = faces.find(large)
    np.testing.assert_allclose(found.points / 3, face.points, atol=2.5)


def test_a_small_face_in_a_large_photo_is_found_by_the_finer_search(
    astronaut: NDArray[np.uint8],
) -> None:
    tiny = Image.fromarray(astronaut).crop((120, 20, 340, 240)).resize((75, 75))
    large = Image.fromarray(np.full((200, 2000, 3), 90, np.uint8))
    large.paste(tiny, (1500, 60))
    (found,) = faces.find(np.asarray(large))
    assert 1500 < found.points[0, 0] < 1575


@pytest.mark.parametrize("angle", [-40, 20, 60, 90, 120, 180, 250])
def test_a_leaning_a_lying_and_an_upside_down_face_are_seen_as_they_are(
    astronaut: NDArray[np.uint8], face: Face, angle: float
) -> None:
    image = Image.fromarray(astronaut)
    centre = tuple(face.points.mean(0).tolist())
    turned = image.rotate(angle, Image.Resampling.BICUBIC, center=centre, fillcolor=(90, 90, 90))
    (found,) = faces.find(np.asarray(turned))
    z = (face.points - centre) @ [1, 1j] * np.exp(-1j * np.radians(angle)) + complex(*centre)
    # The eyes are 42 pixels apart.
    np.testing.assert_allclose(found.points, np.stack([z.real, z.imag], 1), atol=4)
    x, y, width, height = found.box
    assert x < z.real.min()
    assert z.real.max() < x + width
    assert y < z.imag.min()
    assert z.imag.max() < y + height


@pytest.mark.parametrize("shape", [(300, 200), (11, 11), (1, 1), (5, 900)])
def test_a_picture_without_a_face_has_none(shape: tuple[int, int]) -> None:
    assert faces.find(smooth(*shape)) == []


def test_aligned_eyes_lie_where_celeba_has_them(astronaut: NDArray[np.uint8], face: Face) -> None:
    crop = faces.align(Picture(astronaut), face, 256)
    (again,) = faces.find(crop)
    np.testing.assert_allclose(again.points / 256, TEMPLATE, atol=0.03)


def test_an_aligned_picture_is_its_centred_square_resized() -> None:
    picture = smooth(109, 89)
    crop = faces.align(Picture(picture), faces.whole(89, 109), SIZE)
    square = Image.fromarray(picture).resize(
        (SIZE, SIZE), Image.Resampling.BICUBIC, (0, 10, 89, 99)
    )
    assert np.abs(crop.astype(int) - np.asarray(square)).max() <= 2


@pytest.mark.parametrize("angle", [0, 30, -90, 180])
@pytest.mark.parametrize("side", [40, 150, 700])
def test_alignment_turns_a_face_upright(angle: float, side: float) -> None:
    photo = smooth(900, 1000)
    face = tilted(angle, side, (500, 450))
    crop = faces.align(Picture(photo), face, SIZE).astype(int)
    turn = np.exp(1j * np.radians(angle))
    for column, row in [(8, 8), (8, 56), (32, 32), (56, 8)]:
        z = complex(column + 0.5 - 32, row + 0.5 - 32) / SIZE * side * turn + complex(500, 450)
        expected = photo[int(z.imag), int(z.real)]
        assert np.abs(crop[row, column] - expected).max() <= 4


def test_a_large_face_is_antialiased() -> None:
    checks = (np.indices((1200, 1200)).sum(0) % 2 * 255).astype(np.uint8)
    photo = np.repeat(checks[..., None], 3, 2)
    crop = faces.align(Picture(photo), tilted(10, 800, (600, 600)), SIZE)
    assert np.abs(crop.astype(int) - 127.5).max() < 10


def test_beyond_the_edge_the_edge_pixels_go_on() -> None:
    photo = smooth(100, 100)
    photo[:, 0] = (250, 10, 10)
    crop = faces.align(Picture(photo), faces.boxed(-150, 20, 60, 60), SIZE)
    assert np.abs(crop.astype(int) - (250, 10, 10)).max() <= 1


def test_a_margin_shows_more_of_the_photo() -> None:
    photo, face = smooth(400, 400), tilted(0, 100, (200, 200))
    wide = faces.align(Picture(photo), face, 2 * SIZE, margin=0.5)
    inner = faces.align(Picture(photo), face, SIZE)
    assert np.abs(wide[32:96, 32:96].astype(int) - inner).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_outside_the_mask_stay_equal_to_the_bit(dtype: type) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (300, 400, 3), dtype, endpoint=True)
    picture = Picture(pixels, source=Source(depth=8 * np.dtype(dtype).itemsize))
    face = tilted(20, 150, (180, 150))
    result = faces.paste(picture, face, added(90)[0], disc(SIZE)).pixels
    assert result.dtype == dtype
    y, x = np.mgrid[0:300, 0:400]
    # The disc's radius in the photo is half the square's side.
    outside = np.hypot(x + 0.5 - 180, y + 0.5 - 150) > 75
    assert np.array_equal(result[outside], pixels[outside])
    assert (result[150, 180] != pixels[150, 180]).any()


def test_a_wide_gamut_photo_keeps_the_pixels_outside_and_its_values_elsewhere(
    display_p3: bytes,
) -> None:
    pixels = smooth(200, 200)
    pixels[..., 1] = 255 - pixels[..., 1]
    picture = Picture(pixels, source=Source(icc=display_p3))
    face = tilted(0, 100, (100, 100))
    untouched = faces.paste(picture, face, *added(0)).pixels
    assert np.array_equal(untouched, pixels)
    edited = faces.paste(picture, face, *added(30)).pixels
    assert np.array_equal(edited[:40], pixels[:40])
    assert edited[100, 100].astype(int).sum() > pixels[100, 100].astype(int).sum() + 40


def test_a_difference_arrives_at_the_photos_own_resolution() -> None:
    pixels = np.full((900, 900, 3), 100, np.uint8)
    face = tilted(33, 700, (450, 450))
    result = faces.paste(Picture(pixels), face, *added(50)).pixels
    change = result[..., 0].astype(int) - 100
    assert 47 <= change[450, 450] <= 50
    # Smooth: the disc falls by 50 over 350 pixels, so neighbours differ by rounding only.
    assert np.abs(np.diff(change, axis=0)).max() <= 2
    y, x = np.mgrid[0:900, 0:900] + 0.5
    expected = 50 * (1 - np.hypot(x - 450, y - 450) / 345).clip(0)
    assert np.abs(change - expected).max() < 3


def test_pasting_back_what_alignment_shows_restores_the_photo() -> None:
    photo, face = smooth(300, 300), tilted(15, 128, (150, 140))
    crop = faces.align(Picture(photo), face, SIZE).astype(float)
    brighter = Picture(photo + np.uint8(20))
    lost = np.zeros((SIZE, SIZE))
    restored = faces.paste(brighter, face, crop - faces.align(brighter, face, SIZE), lost)
    replaced = faces.paste(brighter, face, crop, np.ones((SIZE, SIZE)))
    for result in (restored, replaced):
        inside = result.pixels[110:170, 120:180].astype(int) - photo[110:170, 120:180]
        assert np.abs(inside).max() <= 2


def test_grain_outlives_a_cover_and_texture_does_not() -> None:
    rng = np.random.default_rng(0)
    stripes = 60 * np.sign(np.sin(np.arange(300) / 5))
    grain = rng.normal(0, 4, (300, 300, 3))
    photo = Picture((120 + stripes[:, None] + grain).clip(0, 255).astype(np.uint8))
    face = faces.whole(300, 300)
    cover = np.ones((SIZE, SIZE), np.float32)
    covered = faces.paste(photo, face, np.full((SIZE, SIZE, 3), 100.0), cover).pixels
    middle = covered[30:-30, 30:-30].astype(float)
    assert middle.mean() == pytest.approx(100, abs=1)
    assert 2.5 < middle.std() < 6
    assert abs((middle * stripes[30:-30, None, None]).mean()) / 60**2 < 0.1


def test_bright_pixels_saturate_instead_of_wrapping() -> None:
    picture = Picture(np.full((100, 100, 3), 250, np.uint8))
    face = faces.whole(100, 100)
    up = faces.paste(picture, face, *added(90)).pixels
    assert up.min() == 250
    assert up.max() == 255


def test_a_face_beyond_the_photo_changes_nothing() -> None:
    picture = Picture(smooth(50, 50))
    face = faces.boxed(400, 400, 30, 30)
    result = faces.paste(picture, face, *added(90))
    assert np.array_equal(result.pixels, picture.pixels)
    square = faces.align(picture, face, SIZE)
    assert np.abs(square.astype(int) - picture.pixels[-1, -1]).max() <= 1
