"""Large kernels in 4 bits: what an exported file weighs falls to 0.56 bytes a weight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from imgan.errors import Failure
from imgan.files import whole_file

BLOCK = 32
"""Weights that share a scale."""

LARGE = 2**17
"""Kernels of fewer weights stay as they are."""

LARGEST = 7
"""Of the whole numbers that a weight becomes; a scale is tried a little below the largest weight
too, since what it clips is rare and what it rounds is all the rest."""

TRIED = (1.0, 0.93, 0.86, 0.8)

OPSET = 21
"""Blocks of 4 bits came with this version of ONNX."""


def pack(source: Path, target: Path, overwrite: bool) -> float:
    """Write an exported file anew with its large kernels in 4 bits. They are made float32 when the
    file is loaded. Returns the RMS difference of the outputs, in parts of the outputs' RMS, on
    noise.

    Raises Failure for a file that holds no large kernel in half precision, or cannot be written.
    """
    model = onnx.load(source)
    before = model.SerializeToString()
    if not _pack(model):
        raise Failure(f"{source}: no large kernel in half precision; export the run with --fp16")
    after = model.SerializeToString()
    with whole_file(target, overwrite) as file:
        file.write(after)
    return _difference(before, after)


def _pack(model: ModelProto) -> int:
    """Pack in place; returns how many kernels were packed."""
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes, packed = [], set()
    for node in graph.node:
        tensor = tensors.get(node.input[0]) if node.op_type == "Cast" else None
        if tensor is None or tensor.data_type != TensorProto.FLOAT16:
            nodes.append(node)
            continue
        values = numpy_helper.to_array(tensor).astype(np.float32)
        if values.size < LARGE or values.size % BLOCK:
            nodes.append(node)
            continue
        whole, scale = quantise(values.reshape(-1, BLOCK))
        name = tensor.name
        packed.add(name)
        tensor.CopyFrom(
            helper.make_tensor(name, TensorProto.INT4, whole.shape, _nibbles(whole), raw=True)
        )
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        shape = np.array(values.shape, np.int64)
        graph.initializer.append(numpy_helper.from_array(shape, f"{name}.shape"))
        nodes += _unpacking(name, node.output[0])
    types = [value for value in graph.value_info if value.name not in packed]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.value_info.extend(types)
    for opset in model.opset_import:
        if opset.domain == "":
            opset.version = max(opset.version, OPSET)
    return len(packed)


def _unpacking(name: str, output: str) -> Iterator[NodeProto]:
    """Scales to float32, whole numbers times scales, and the kernel's own shape."""
    scales, rows = f"{name}.scale.float32", f"{name}.rows"
    yield helper.make_node("Cast", [f"{name}.scale"], [scales], to=TensorProto.FLOAT)
    yield helper.make_node("DequantizeLinear", [name, scales], [rows], axis=1, block_size=BLOCK)
    yield helper.make_node("Reshape", [rows, f"{name}.shape"], [output])


def quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Rows [n, BLOCK] as whole numbers -7..7 and a scale [n, 1] each, of those that are tried the
    one with the smallest squared error."""
    largest = np.abs(rows).max(1, keepdims=True)
    best = None
    for share in TRIED:
        scale = np.maximum(largest * share / LARGEST, 1e-7).astype(np.float16)
        step = scale.astype(np.float32)
        whole = np.rint(rows / step).clip(-LARGEST, LARGEST)
        error = ((whole * step - rows) ** 2).sum(1, keepdims=True)
        if best is not None:
            better = error < best[0]
            error, whole, scale = (
                np.where(better, new, old)
                for new, old in zip((error, whole, scale), best, strict=True)
            )
        best = error, whole, scale
    assert best is not None
    return best[1].astype(np.int8), best[2].astype(np.float16)


def _nibbles(whole: NDArray[np.int8]) -> bytes:
    """Two numbers a byte, the first in the lower half."""
    pairs = (whole.reshape(-1, 2) & 15).astype(np.uint8)
    return (pairs[:, 0] | pairs[:, 1] << 4).tobytes()


def _difference(before: bytes, after: bytes) -> float:
    sessions = [ort.InferenceSession(content) for content in (before, after)]
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    for port in sessions[0].get_inputs():
        shape = [side if isinstance(side, int) else 64 if at > 1 else 1
                 for at, side in enumerate(port.shape)]  # fmt: skip
        inputs[port.name] = rng.uniform(-1, 1, shape).astype(np.float32)
    one, other = (session.run(None, inputs)[0] for session in sessions)
    return float(np.sqrt(np.mean((one - other) ** 2) / np.mean(one**2)))
