"""`imgan stylize --method patches`: photos laid out of pieces of paintings made in the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgan.batch.job import Job
from imgan.commands.operation import execute
from imgan.errors import Misuse
from imgan.images import Picture, Source, open_picture
from imgan.images.tensors import Bytes
from imgan.images.upsampling import LUMA
from imgan.models.store import Models
from imgan.operations import Meter, Runtime
from imgan.references import Reference
from imgan_stylize import Stylize
from imgan_stylize.patches import Painter, Palette, Styles, laid, open_patches


def picture(height: int, width: int, seed: int = 0) -> Bytes:
    """Soft patches of colour under fine grain, away from black and white."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 196, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return (smooth + rng.integers(-9, 10, (height, width, 1))).clip(0, 255).astype(np.uint8)


def stripes(height: int, width: int, axis: int) -> Bytes:
    """Black and white bands of three pixels, across (0) or down (1)."""
    dark = np.indices((height, width))[axis] // 3 % 2 * 255
    return np.repeat(dark[..., None], 3, 2).astype(np.uint8)


def opened(styles: list[Bytes], size: int = 64, **fields: Any) -> Painter:
    operation = Stylize(style=[Reference(Picture(style)) for style in styles], **fields)
    return open_patches(operation, Runtime("cpu", Models()), size)


def painted(photo: Bytes, styles: list[Bytes], **fields: Any) -> Bytes:
    pixels: Bytes = opened(styles, **fields)(Picture(photo)).picture.pixels.astype(np.uint8)
    return pixels


def test_a_painting_laid_out_of_itself_is_itself() -> None:
    pixels = picture(60, 80).astype(np.float32) / 255
    library = Styles([picture(60, 80)], [1.0]).library(80, 12)
    # Patches were drawn from all places, so that the one in question is there.
    assert np.abs(laid(pixels, library) - pixels).mean() < 0.02


def test_strokes_lie_as_the_painting_has_them() -> None:
    photo = picture(64, 64)
    for axis in (0, 1):
        made = painted(photo, [stripes(96, 96, axis)]).mean(2)
        along = np.abs(np.diff(made, axis=1 - axis)).mean()
        across = np.abs(np.diff(made, axis=axis)).mean()
        assert across > 3 * along


def test_the_palette_has_mean_and_covariance_of_the_painting() -> None:
    photo, style = (picture(40, 50, seed) / 255 * 0.5 + 0.2 for seed in (1, 2))
    palette = Palette.of(style)
    brought = Palette.of(palette.bring(photo))
    assert np.allclose(brought.mean, palette.mean, atol=0.01)
    assert np.allclose(brought.covariance, palette.covariance, atol=0.002)


def test_all_of_a_palette_is_used() -> None:
    """A grey photo in a painting half of which is red and half blue has both."""
    style = np.zeros((64, 64, 3), np.uint8)
    style[:, :32, 0], style[:, 32:, 2] = 200, 200
    made = painted(np.repeat(picture(64, 64)[..., :1], 3, 2), [style]).astype(int)
    redder = (made[..., 0] > made[..., 2] + 40).mean()
    bluer = (made[..., 2] > made[..., 0] + 40).mean()
    assert min(redder, bluer) > 0.15


def test_several_styles_give_by_their_shares() -> None:
    red, blue = np.zeros((2, 40, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    means = [
        painted(picture(48, 48), [red, blue], style_weight=[share, 1 - share]).mean((0, 1))
        for share in (0.9, 0.1)
    ]
    assert means[0][0] > means[0][2] + 50
    assert means[1][2] > means[1][0] + 50


def test_strength_goes_from_the_photo_to_the_painting() -> None:
    photo, style = picture(48, 64), stripes(40, 40, 0)
    assert np.array_equal(painted(photo, [style], strength=0), photo)
    half, whole = (
        np.abs(painted(photo, [style], strength=s).astype(int) - photo).mean() for s in (0.5, 1)
    )
    assert 0.4 * whole < half < 0.6 * whole


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 23), (64, 64), (130, 61)])
def test_any_size_goes_in_and_comes_out(size: tuple[int, int]) -> None:
    assert painted(picture(*size), [picture(9, 300, 1)]).shape == (*size, 3)
    assert painted(picture(40, 40), [picture(*size)]).shape == (40, 40, 3)


def test_the_colours_stay_and_the_brightness_is_the_styles() -> None:
    photo, style = picture(48, 56), [picture(40, 40, 1)]
    plain, kept = (painted(photo, style, keep_color=keep) for keep in (False, True))
    inside = ((kept > 0) & (kept < 255)).all(axis=2)
    chroma = [np.diff(a.astype(int), axis=2)[inside] for a in (kept, photo)]
    assert np.abs(chroma[0] - chroma[1]).max() <= 1
    assert np.abs((kept.astype(float) - plain) @ LUMA)[inside].max() < 1


def test_sixteen_bits_go_in_and_come_out() -> None:
    deep = Picture(picture(32, 40).astype(np.uint16) * 257, source=Source(depth=16))
    result = opened([picture(40, 40, 1)], size=24)(deep)
    assert result.picture.pixels.dtype == np.uint16
    assert result.picture.pixels.max() > 255
    assert result.facts == {"worked_at": "24x19"}


def test_a_large_photo_is_painted_as_its_copy() -> None:
    photo, style = picture(300, 400), [stripes(60, 60, 1)]
    small = np.asarray(Image.fromarray(photo).resize((64, 48), Image.Resampling.LANCZOS))
    large = Image.fromarray(painted(photo, style)).resize((64, 48), Image.Resampling.BOX)
    assert np.abs(np.asarray(large).astype(int) - painted(small, style)).mean() < 12


def test_files_are_stylised(tmp_path: Path) -> None:
    photo, style = picture(48, 56), picture(40, 40, 1)
    for name in ("a.png", "b.png"):
        Image.fromarray(photo).save(tmp_path / name)
    Image.fromarray(style).save(tmp_path / "style.png")
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    job = Job(names, output=str(tmp_path / "out") + "/", quiet=True)
    execute(job, Stylize(style=[Reference.of(tmp_path / "style.png")], size=64))
    wanted = painted(photo, [style])
    for name in ("a.png", "b.png"):
        assert np.array_equal(open_picture(tmp_path / "out" / name).pixels, wanted)


def test_a_meter_goes_to_1_and_never_back() -> None:
    shares: list[float] = []
    operation = Stylize(style=[Reference(Picture(picture(40, 40)))])
    open_patches(operation, Runtime("cpu", Models(), Meter(shares.append)), 48)(
        Picture(picture(48, 48))
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_size_beyond_the_range_is_refused() -> None:
    with pytest.raises(Misuse, match=r"--size 4000: .* 16 to 2048 pixels"):
        opened([picture(20, 20)], size=4000)
