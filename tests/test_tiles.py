"""Tiles: the result is that of the whole picture, in any size, and survives a lack of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from imgan.errors import Failure
from imgan.images.tensors import to_planes
from imgan.images.tiles import run_tiled
from imgan.models.sessions import OutOfMemory, Session, open_session

RADIUS = 4
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Four random 3x3 convolutions and a pixel shuffle: x2, with a receptive radius of RADIUS."""
    rng = np.random.default_rng(0)
    nodes, weights, name = [], [], "input"
    for layer, (inward, outward) in enumerate([(3, 8), (8, 8), (8, 8), (8, 12)]):
        kernel = rng.normal(0, (9 * inward / 2) ** -0.5, (outward, inward, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{layer}"))
        nodes.append(helper.make_node("Conv", [name, f"kernel{layer}"], [f"{layer}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"{layer}"], [f"{layer}r"]))
        name = f"{layer}r"
    nodes.append(helper.make_node("DepthToSpace", [name], ["output"], blocksize=2, mode="CRD"))
    picture = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, picture)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, picture)],
        weights,
    )
    path = tmp_path_factory.mktemp("tiles") / "random.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save(model, path)
    return open_session(Path(path), "cpu")


def through(network: Session) -> Run:
    def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        return network.run(to_planes(tile)[None])[0]

    return run


def noise(height: int, width: int, dtype: type = np.uint8) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


def whole(pixels: NDArray[np.uint8], run: Run) -> NDArray[np.float64]:
    """The untiled result, in the picture's own levels."""
    planes = run(pixels).astype(np.float64).clip(0, 1)
    return planes.transpose(1, 2, 0) * np.iinfo(pixels.dtype).max


@pytest.mark.parametrize("shape", [(150, 131), (64, 300), (49, 48), (7, 200), (1, 1), (5, 97)])
def test_tiles_with_enough_overlap_equal_the_whole_picture(
    network: Session, shape: tuple[int, int]
) -> None:
    pixels, run = noise(*shape), through(network)
    tiled = run_tiled(pixels, run, scale=2, tile=48, overlap=RADIUS)
    assert tiled.dtype == np.uint8
    assert tiled.shape == (2 * shape[0], 2 * shape[1], 3)
    assert np.abs(tiled - whole(pixels, run)).max() < 0.51


def test_with_too_little_overlap_tiles_do_differ_from_the_whole(network: Session) -> None:
    """Else the test above could not fail."""
    pixels, run = noise(168, 128), through(network)
    tiled = run_tiled(pixels, run, scale=2, tile=48, overlap=0)
    assert np.abs(tiled - whole(pixels, run)).max() > 2


def test_sixteen_bits_stay_sixteen_bits(network: Session) -> None:
    pixels, run = noise(70, 60, np.uint16), through(network)
    tiled = run_tiled(pixels, run, scale=2, tile=48, overlap=RADIUS)
    assert tiled.dtype == np.uint16
    assert np.abs(tiled - whole(pixels, run)).max() < 1
    assert len(np.unique(tiled % 257)) > 200


def test_all_tiles_have_one_shape(network: Session) -> None:
    shapes = set()

    def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        shapes.add(tile.shape)
        return to_planes(tile)

    pixels = noise(201, 333)
    assert (run_tiled(pixels, run, tile=64, overlap=4) == pixels).all()
    # Four down and seven across, that share 16 and are no larger than they have to be.
    assert shapes == {(63, 62, 3)}


def test_values_beyond_the_range_are_clipped() -> None:
    def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([np.full(tile.shape[:2], v, np.float32) for v in (-0.5, 0.5, 1.5)])

    assert (run_tiled(noise(8, 8), run) == (0, 128, 255)).all()


def refusing(run: Run, largest: int, sides: list[int]) -> Run:
    """A network that has no memory for tiles with a side above `largest`."""

    def limited(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        sides.append(max(tile.shape))
        if max(tile.shape) > largest:
            raise OutOfMemory("random.onnx")
        return run(tile)

    return limited


def test_out_of_memory_halves_the_tiles_and_the_work_goes_on(network: Session) -> None:
    pixels, sides = noise(300, 280), list[int]()
    run = refusing(through(network), 80, sides)
    tiled = run_tiled(pixels, run, scale=2, tile=256, overlap=RADIUS)
    assert np.abs(tiled - whole(pixels, through(network))).max() < 0.51
    assert sides[:2] == [158, 64]
    assert set(sides[2:]) == {64}, "a size that failed is not tried again"


def test_what_was_done_before_memory_ran_out_is_not_done_again() -> None:
    seen = list[tuple[int, ...]]()

    def run(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(tile.shape)
        if len(seen) == 4:
            raise OutOfMemory("random.onnx")
        return to_planes(tile)

    pixels = noise(128, 400)
    assert (run_tiled(pixels, run, tile=128, overlap=4) == pixels).all()
    assert seen[:4] == [(128, 112, 3)] * 4
    assert len(set(seen[4:])) == 1
    assert max(seen[4]) <= 64


def test_a_network_that_never_fits_is_a_failure_that_says_so(network: Session) -> None:
    run = refusing(through(network), 0, [])
    with pytest.raises(Failure, match=r"random\.onnx runs out of memory on tiles of 64 pixels"):
        run_tiled(noise(300, 300), run, scale=2, tile=256, overlap=RADIUS)
