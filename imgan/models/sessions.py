"""onnxruntime sessions: where a network runs, and out-of-memory told apart from other errors."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from imgan.errors import Failure, Misuse
from imgan.operations import DEVICE
from imgan.terminal import remark

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

_CUDA_OPTIONS = {
    # Photos come in every size, and an exhaustive search for the fastest convolution runs for each.
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}

_LIBRARIES = {"linux": ("libcuda.so.1", "libcudnn.so.9"), "win32": ("nvcuda.dll", "cudnn64_9.dll")}
"""NVIDIA's driver, which only a driver's installer brings, and cuDNN, by platform."""

_MEND = 'pip install "imgan[cuda]"'

_NO_MEMORY = re.compile(r"failed to allocate|bad.?alloc|out of memory|alloc_failed", re.IGNORECASE)

_FATAL, _WARNING = 4, 2
"""onnxruntime's log levels; warnings is its default. It logs in red from C++, past sys.stderr."""

_PROBE = bytes.fromhex(
    "080812003a4e0a0f0a01780a01781201792204436f6e761201705a1b0a017812160a14080112100a0208010a020801"
    "0a0208030a020803621b0a017912160a14080112100a0208010a0208010a0208010a02080142040a00100d"
)
"""An ONNX file of one node, y = Conv(x, x) for x [1, 1, 3, 3]: the least that needs cuDNN."""


class OutOfMemory(Exception):
    """The network did not fit into memory at this input size; at a smaller one it may."""


class Session:
    """A network on a device, "cpu" or "cuda:N".

    Arrays are cast to the types that the network asks for, and half precision comes out as float32.
    """

    def __init__(self, inference: ort.InferenceSession, name: str, device: str) -> None:
        self.name = name
        self.device = device
        self._inference = inference
        self._inputs = {i.name: _dtype(i.type) for i in inference.get_inputs()}
        self._outputs = [o.name for o in inference.get_outputs()]
        ports = [*inference.get_inputs(), *inference.get_outputs()]
        self.shapes: dict[str, list[int | str | None]] = {port.name: port.shape for port in ports}
        """Of every input and output; dynamic axes by their names, None where they have none."""

    def bytes_of(self, name: str) -> bool:
        """Whether an input takes bytes, 0..255."""
        return self._inputs[name] == np.uint8

    def run(self, array: NDArray[Any]) -> NDArray[Any]:
        """The first output for the only input. Raises what `run_many` raises."""
        (name,) = self._inputs
        return self.run_many({name: array})[self._outputs[0]]

    def run_many(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output, by name.

        Raises OutOfMemory when a smaller input may fit, Failure when the network refuses this one.
        """
        try:
            feeds = {n: np.ascontiguousarray(a, self._inputs[n]) for n, a in inputs.items()}
            outputs = self._inference.run(self._outputs, feeds)
        except MemoryError as error:
            raise OutOfMemory(self.name) from error
        except Exception as error:  # the only base that onnxruntime's exceptions share
            if _NO_MEMORY.search(str(error)):
                raise OutOfMemory(self.name) from error
            raise Failure(f"{self.name} failed on {self.device}: {_line(error)}") from error
        return {
            name: array.astype(np.float32) if array.dtype == np.float16 else array
            for name, array in zip(self._outputs, outputs, strict=True)
        }


def open_session(path: Path, device: str = "auto") -> Session:
    """Load an ONNX file; `device` as for `choose`.

    Raises Misuse and Failure as `choose` does, and Failure when the file cannot be loaded there.
    """
    chosen = choose(device)
    try:
        return Session(_create(str(path), chosen), path.name, chosen)
    except Exception as error:  # the only base that onnxruntime's exceptions share
        where = "" if chosen == "cpu" else f" on {chosen} (--device cpu may)"
        raise Failure(f"{path} does not load{where}: {_line(error)}") from error


@cache
def choose(device: str) -> str:
    """The device that `--device` means on this machine, "cpu" or "cuda:N".

    `auto` is the first GPU if CUDA works there, else the CPU; it says which on stderr, once.
    Raises Misuse for a word that is no device, Failure when CUDA is asked for and does not work.
    """
    if device == "cpu":
        return device
    match = re.fullmatch(DEVICE, device)
    if match is None:
        raise Misuse(f"--device {device}: known are auto, cpu, cuda and cuda:N")
    index = int(match[1] or 0)
    trouble = cuda_trouble(index)
    if device == "auto":
        chosen = "cpu" if trouble else f"cuda:{index}"
        why = f": the GPU is not used, {trouble}" if trouble and gpus() else ""
        remark(f"running on {chosen}{why}")
        return chosen
    if trouble:
        raise Failure(f"--device {device}: {trouble}")
    return f"cuda:{index}"


@cache
def gpus() -> int:
    """The GPUs that NVIDIA's driver sees; 0 without a driver."""
    if sys.platform not in _LIBRARIES:
        return 0
    try:
        driver = ctypes.CDLL(_LIBRARIES[sys.platform][0])
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


@cache
def cuda_trouble(index: int) -> str | None:
    """Why CUDA does not work on GPU `index` and what mends it, or None when it works: a tiny
    convolution has run there.

    onnxruntime lists CUDA as available on machines without a GPU, and falls back when it cannot
    have it: so what it needs is looked for first, and then a session is asked what it got.
    """
    if CUDA not in ort.get_available_providers():
        return f"the onnxruntime installed here has no CUDA (Linux and Windows on x86-64: {_MEND})"
    if index >= gpus():
        seen = f"sees {gpus()} GPUs" if gpus() else "is missing or sees no GPU"
        return f"there is no GPU {index}: NVIDIA's driver {seen} (CUDA's libraries: {_MEND})"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ort.preload_dlls()
    missing = re.findall(r"Failed to load (\S+):", printed.getvalue())
    try:
        ctypes.CDLL(_LIBRARIES[sys.platform][1])
    except OSError:
        missing.append(_LIBRARIES[sys.platform][1])
    if missing:
        return f"libraries are missing ({', '.join(missing)}): {_MEND}"
    try:
        _create(_PROBE, f"cuda:{index}").run(None, {"x": np.ones((1, 1, 3, 3), np.float32)})
    except Exception as error:  # the only base that onnxruntime's exceptions share
        return f"a first convolution failed there: {_line(error)}"
    return None


def _create(model: str | bytes, device: str) -> ort.InferenceSession:
    """Load a model onto exactly this device, without a word from the library."""
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = cores()
    # Memory planned ahead for a shape takes up to twice as much of it, and no less time.
    options.enable_mem_pattern = False
    # Threads that wait busily keep the cores from decoding and encoding other pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [CPU]
    if device != "cpu":
        index = device.removeprefix("cuda:")
        providers.insert(0, (CUDA, {"device_id": index, **_CUDA_OPTIONS}))
    ort.set_default_logger_severity(_FATAL)
    try:
        session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    finally:
        ort.set_default_logger_severity(_WARNING)
    if device != "cpu" and CUDA not in session.get_providers():
        raise RuntimeError("onnxruntime fell back to the CPU")
    return session


def cores() -> int:
    """The physical cores that this process may use, 0 (onnxruntime's own count) where unknown.

    A second thread on a core slows convolutions down, and onnxruntime does not see that a container
    or `taskset` allows only some of the cores. OMP_NUM_THREADS, by which Ray and batch systems tell
    a process its share, is heeded, too.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    most = int(share) if share.isdecimal() and int(share) > 0 else 0
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    if sys.platform != "linux":
        return most
    try:
        allowed = os.sched_getaffinity(0)
        found = len({Path(topology.format(cpu)).read_text() for cpu in allowed})
    except OSError:
        return most
    return min(found, most) if most else found


def _dtype(kind: str) -> np.dtype[Any]:
    """onnxruntime's "tensor(float)" in numpy's terms; every other name is numpy's own."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return np.dtype(np.float32 if name == "float" else name)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
