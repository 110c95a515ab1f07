"""`imgan upscale` with tiny networks: colours, depth, alpha, tiles, and the command's words."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save
from PIL import Image
from test_images import P3

import imgan_upscale
from imgan.commands.operation import command
from imgan.errors import Misuse
from imgan.images import Picture, Source, open_picture
from imgan.models import store
from imgan.models.cards import Description
from imgan.models.sessions import open_session
from imgan_upscale import parse_scale
from imgan_upscale.run import Upscaler, lock_colours


def network(path: Path, scale: int = 4, cast: float = 0.0, seed: int = 0) -> Path:
    """Every pixel becomes scale x scale of it, sharpened a little, plus `cast` in red."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, 0.02, (3, scale**2, 3, 3, 3))
    kernel -= kernel.mean(axis=(2, 3, 4), keepdims=True)
    for channel in range(3):
        kernel[channel, :, channel, 1, 1] += 1
    bias = np.zeros((3, scale**2))
    bias[0] = cast
    weights = [
        numpy_helper.from_array(kernel.reshape(-1, 3, 3, 3).astype(np.float32), "kernel"),
        numpy_helper.from_array(bias.reshape(-1).astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "bias"], ["many"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["many"], ["output"], blocksize=scale, mode="CRD"),
    ]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("input", "output")
    ]
    graph = helper.make_graph(nodes, "tiny", tensors[:1], tensors[1:], weights)
    opset = helper.make_opsetid("", 18)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.fixture
def upscaler(tmp_path: Path) -> Upscaler:
    """A network of x4 that paints everything reddish."""
    return Upscaler(open_session(network(tmp_path / "tiny.onnx", cast=0.2), "cpu"), 4)


def smooth_picture(height: int, width: int, dtype: type = np.uint8) -> NDArray[np.uint8]:
    """Slow waves of colour, within a fifth of the range from either end."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 17), np.cos(y / 13), np.sin((x + y) / 19)]
    unit = 0.5 + 0.3 * np.stack(waves, axis=2)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)


def means(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    return pixels.reshape(height, side, width, side, 3).mean(axis=(1, 3))


def test_colours_are_those_of_the_input_whatever_the_network_does(upscaler: Upscaler) -> None:
    pixels = smooth_picture(64, 48)
    made = upscaler(Picture(pixels))
    result, facts = made.picture, made.facts
    assert result.pixels.shape == (256, 192, 3)
    assert facts == {"scale": 4}
    assert np.abs(means(result.pixels, 32) - means(pixels, 8)).max() < 0.5


def test_the_lock_leaves_a_faithful_result_alone() -> None:
    rng = np.random.default_rng(0)
    large = rng.random((3, 64, 64), np.float32)
    small = large.reshape(3, 16, 4, 16, 4).mean(axis=(2, 4))
    locked = large.copy()
    lock_colours(locked, small)
    assert np.abs(locked - large).max() < 1e-5


def test_the_lock_does_not_touch_detail() -> None:
    """A cast goes away evenly: an edge stays as sharp, and no ring appears beside it."""
    large = np.zeros((3, 128, 128), np.float32)
    large[:, :, 64:] = 1
    small = large.reshape(3, 32, 4, 32, 4).mean(axis=(2, 4))
    locked = large + np.float32(0.1)
    lock_colours(locked, small)
    assert np.abs(locked - large).max() < 1e-5


def test_tiles_do_not_show(upscaler: Upscaler) -> None:
    pixels = np.random.default_rng(2).integers(60, 190, (180, 260, 3), dtype=np.uint8)
    whole = upscaler(Picture(pixels)).picture
    upscaler.tile = 160
    tiled = upscaler(Picture(pixels)).picture
    assert np.abs(tiled.pixels.astype(int) - whole.pixels).max() <= 1


def test_sixteen_bits_come_out_as_sixteen_bits(upscaler: Upscaler) -> None:
    pixels = smooth_picture(40, 40, np.uint16)
    result = upscaler(Picture(pixels, source=Source(depth=16))).picture
    assert result.pixels.dtype == np.uint16
    assert (result.pixels % 257 != 0).mean() > 0.9
    assert np.abs(means(result.pixels, 32) - means(pixels, 8)).max() < 100


def test_grey_stays_grey(upscaler: Upscaler) -> None:
    pixels = np.repeat(smooth_picture(32, 32)[..., :1], 3, axis=2)
    result = upscaler(Picture(pixels, source=Source(grey=True))).picture
    assert (np.ptp(result.pixels, axis=2) == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_a_plane_of_its_own(upscaler: Upscaler, dtype: type) -> None:
    alpha = np.full((20, 24), np.iinfo(dtype).max, dtype)
    alpha[:, :12] = 0
    picture = Picture(smooth_picture(20, 24, dtype), alpha)
    result = upscaler(picture).picture
    assert result.alpha is not None
    assert result.alpha.shape == (80, 96)
    assert result.alpha.dtype == dtype
    assert (result.alpha[:, :36] == 0).all()
    assert (result.alpha[:, 60:] == np.iinfo(dtype).max).all()


def test_colours_outside_srgb_survive(upscaler: Upscaler) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[..., 0] = np.linspace(200, 250, 32)
    result = upscaler(Picture(pixels, source=Source(icc=P3))).picture
    assert result.source.icc == P3
    assert np.abs(means(result.pixels, 4) - pixels).max() < 4


def test_a_picture_of_one_pixel_is_enlarged(upscaler: Upscaler) -> None:
    result = upscaler(Picture(np.full((1, 1, 3), 100, np.uint8))).picture
    assert result.pixels.shape == (4, 4, 3)
    assert np.abs(result.pixels.mean(axis=(0, 1)) - 100).max() < 0.5


def test_x2_is_x4_brought_down(tmp_path: Path) -> None:
    pixels = smooth_picture(40, 30)
    session = open_session(network(tmp_path / "tiny.onnx"), "cpu")
    made = Upscaler(session, 2)(Picture(pixels))
    result = made.picture
    assert result.pixels.shape == (80, 60, 3)
    assert made.facts == {"scale": 2}
    assert np.abs(means(result.pixels, 2) - pixels).max() < 6


def test_a_network_of_x2_does_x2_and_refuses_x4(tmp_path: Path) -> None:
    session = open_session(network(tmp_path / "two.onnx", scale=2), "cpu")
    result = Upscaler(session, 2)(Picture(smooth_picture(10, 10))).picture
    assert result.pixels.shape == (20, 20, 3)
    with pytest.raises(Misuse, match=r"two\.onnx enlarges 2 times: ask for x2"):
        Upscaler(session, 4)


@pytest.mark.parametrize(
    ("words", "scale", "inputs"),
    [
        (["x4", "a.jpg"], 4, ["a.jpg"]),
        (["X2", "a.jpg", "./x4"], 2, ["a.jpg", "./x4"]),
        (["a.jpg"], None, ["a.jpg"]),
        (["./x4"], None, ["./x4"]),
        (["x4.jpg"], None, ["x4.jpg"]),
        (["x2"], 2, []),
        ([], None, []),
    ],
)
def test_the_first_word_may_be_the_scale(
    words: list[str], scale: int | None, inputs: list[str]
) -> None:
    assert parse_scale(words) == (scale, inputs)


@pytest.mark.parametrize("word", ["x3", "x8", "x1.5", "X16"])
def test_another_scale_is_misuse_that_names_the_known_ones(word: str) -> None:
    with pytest.raises(Misuse, match=rf"^{word}: the scales are x2 and x4 \(a file is \./{word}\)"):
        parse_scale([word, "a.jpg"])


@pytest.mark.parametrize(
    ("words", "meant"), [(["4x", "a.jpg"], "x4"), (["4", "a.jpg"], "x4"), (["a.jpg", "x2"], "x2")]
)
def test_a_scale_that_is_misspelt_or_misplaced_is_asked_about(words: list[str], meant: str) -> None:
    with pytest.raises(Misuse, match=f"did you mean `imgan upscale {meant}"):
        parse_scale(words)


@pytest.fixture
def own_model(tmp_path: Path) -> str:
    """The person's own upscaler, beside a model of theirs that is none."""
    store.add(network(tmp_path / "mine.onnx"), Description(name="mine", operation="upscale"))
    store.add(network(tmp_path / "hers.onnx"), Description(name="hers", operation="edit"))
    return "mine"


def imgan(*words: str | Path) -> None:
    """Run `imgan upscale WORDS` in this process."""
    app = typer.Typer()
    app.command()(command(imgan_upscale.Upscale))
    app([*map(str, words), "--device", "cpu"], standalone_mode=False)


def test_a_photo_is_enlarged_beside_itself(tmp_path: Path, own_model: str) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(smooth_picture(20, 30)).save(photo)
    imgan("x4", photo, "--model", own_model)
    assert open_picture(tmp_path / "photo-x4.png").pixels.shape == (80, 120, 3)


def test_a_folder_is_enlarged_twice_beside_itself(tmp_path: Path, own_model: str) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(smooth_picture(12, 16)).save(tmp_path / "photos" / name)
    imgan("x2", tmp_path / "photos", "--model", own_model)
    results = sorted((tmp_path / "photos-x2").iterdir())
    assert [path.name for path in results] == ["a.png", "b.png"]
    assert all(open_picture(path).pixels.shape == (24, 32, 3) for path in results)


def test_it_is_a_filter_and_says_on_stderr_what_it_runs_on(tmp_path: Path, own_model: str) -> None:
    photo = BytesIO()
    Image.fromarray(smooth_picture(20, 30)).save(photo, "PNG")
    script = (
        "import sys; from imgan.cli import main\n"
        "sys.argv = ['imgan', 'upscale', *sys.argv[1:]]; main()"
    )
    words = [sys.executable, "-c", script, "x4", "--model", own_model]
    done = subprocess.run(words, input=photo.getvalue(), capture_output=True, check=True)
    assert open_picture(done.stdout).pixels.shape == (80, 120, 3)
    assert re.fullmatch(rb"imgan: running on (cpu|cuda:0).*\n", done.stderr)
    words.append("--quiet")
    done = subprocess.run(words, input=photo.getvalue(), capture_output=True, check=True)
    assert done.stderr == b""


def test_a_model_of_another_command_is_refused(tmp_path: Path, own_model: str) -> None:
    with pytest.raises(Misuse, match="model hers serves `imgan edit`, not `imgan upscale`"):
        imgan("x4", tmp_path / "photo.png", "--model", "hers")
