"""`imgan adjust`, the smallest plugin, from the shell and by the pixel."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from imgan.batch.job import Job
from imgan.commands.operation import command, execute
from imgan.errors import Misuse
from imgan.images import Picture, open_picture
from imgan_adjust import Adjust
from imgan_adjust.enhance import Enhancing, enhance


def noise(dtype: type = np.uint8) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (12, 16, 3), dtype, True)


def imgan(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "imgan.cli", *arguments]
    return subprocess.run(command, capture_output=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("name", "enhancer"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.7])
def test_a_factor_does_what_pillow_does(
    name: str, enhancer: type[ImageEnhance.Color], factor: float
) -> None:
    expected = np.asarray(enhancer(Image.fromarray(noise())).enhance(factor))
    assert (enhance(noise(), name, factor) == expected).all()


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.7])
def test_16_bits_agree_with_8_and_keep_what_lies_between(name: str, factor: float) -> None:
    deep = enhance(noise().astype(np.uint16) * 257, name, factor)
    assert deep.dtype == np.uint16
    shallow = enhance(noise(), name, factor)
    assert np.abs(deep / 257 - shallow).max() <= 1  # Pillow cuts fractions off

    ramp = np.repeat(np.arange(30000, 30257, dtype=np.uint16), 3).reshape(1, -1, 3)
    levels = np.unique(enhance(ramp, name, 0.5 if name == "brightness" else 1.7))
    assert len(levels) > 100


def test_changes_follow_each_other_in_their_order() -> None:
    picture = Picture(noise(), np.full((12, 16), 77, np.uint8))
    result = Enhancing({"brightness": 1.5, "grayscale": 0.0})(picture)
    done = result.picture
    expected = enhance(enhance(noise(), "brightness", 1.5), "saturation", 0.0)
    assert (done.pixels == expected).all()
    assert (done.pixels == done.pixels[..., :1]).all()
    assert done.alpha is picture.alpha
    assert result.facts == {}


def test_the_output_is_called_by_what_was_changed(here: Path) -> None:
    Image.fromarray(noise()).save("photo.png")
    execute(Job(["photo.png"]), Adjust(brightness=1.2, grayscale=True))
    execute(Job(["photo.png"]), Adjust(contrast=0.5))
    assert {path.name for path in here.iterdir()} == {
        "photo.png",
        "photo-brightness-grayscale.png",
        "photo-contrast.png",
    }


def test_16_bits_stay_16_bits_on_disk(here: Path) -> None:
    grey = np.linspace(0, 65535, 192, dtype=np.uint16).reshape(12, 16)
    Image.fromarray(grey).save("photo.png")
    execute(Job(["photo.png"]), Adjust(brightness=0.5))
    pixels = open_picture(Path("photo-brightness.png")).pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels[..., 0] - grey / 2).max() <= 1


def test_nothing_to_adjust_is_misuse() -> None:
    with pytest.raises(Misuse, match="nothing to adjust: give --grayscale"):
        execute(Job(["photo.png"]), Adjust())
    with pytest.raises(Misuse, match="leave --saturation out"):
        execute(Job(["photo.png"]), Adjust(grayscale=True, saturation=2.0))


def test_the_command_has_its_own_options_and_those_of_every_operation() -> None:
    app = typer.Typer()
    app.command()(command(Adjust))
    parameters = typer.main.get_command(app).params
    names = {name for parameter in parameters for name in parameter.opts}
    assert {"--brightness", "--grayscale", "-o", "-r", "--overwrite", "--json"} <= names


def test_adjust_is_a_filter_and_takes_folders_from_the_shell(here: Path) -> None:
    jpeg = io.BytesIO()
    Image.fromarray(noise()).save(jpeg, "jpeg")
    piped = imgan("adjust", "--grayscale", input=jpeg.getvalue())
    assert piped.stderr == b""
    with Image.open(io.BytesIO(piped.stdout)) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image)
    assert (pixels == pixels[..., :1]).all()

    Path("dir").mkdir()
    Image.fromarray(noise()).save("dir/a.png")
    Path("dir/b.png").write_bytes(b"")
    done = imgan("adjust", "dir", "--contrast", "1.3", "--json")
    assert done.returncode == 1
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["done", "failed"]
    lines = done.stderr.splitlines()
    assert lines[0].startswith(b"imgan: dir/b.png: ")
    assert lines[1] == b"imgan: 1 of 2 pictures failed"
    assert [path.name for path in Path("dir-contrast").iterdir()] == ["a.png"]
