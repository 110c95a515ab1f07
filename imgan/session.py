"""onnxruntime sessions: where a network runs, and out-of-memory told apart from other errors."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from imgan.errors import Failure, Misuse

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
}

_NO_MEMORY = re.compile(r"failed to allocate|bad.?alloc|out of memory|ALLOC_FAILED", re.IGNORECASE)

_QUIET, _WARNINGS = 4, 2
"""onnxruntime's log levels: fatal errors alone, and its default."""

_DRIVERS = {"linux": ("libcuda.so.1", "libcudnn.so.9"), "win32": ("nvcuda.dll", "cudnn64_9.dll")}
"""NVIDIA's driver and cuDNN by platform: without either, CUDA sessions fail late and loudly."""

_PROBE = bytes.fromhex(
    "08083a570a170a05696e7075740a057069786c65120131220000"  # placeholder, replaced below
)


class OutOfMemory(Exception):
    """The network did not fit into memory at this input size; a smaller one may."""


class Session:
    """A network loaded onto a device ("cpu" or "cuda:N").

    Floating-point arrays go in and come out as float32 whatever the network's own precision is.
    """

    def __init__(self, inference: ort.InferenceSession, device: str, name: str) -> None:
        self.device = device
        self._inference = inference
        self._name = name
        self._dtypes = {i.name: _DTYPES.get(i.type, np.float32) for i in inference.get_inputs()}
        self._outputs = [output.name for output in inference.get_outputs()]

    def run(self, array: NDArray[Any]) -> NDArray[Any]:
        """The first output for the only input; see `run_many` for the errors."""
        (name,) = self._dtypes
        return self.run_many({name: array})[self._outputs[0]]

    def run_many(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output by name.

        Raises OutOfMemory when a smaller input may fit, Failure when the network refuses the input.
        """
        try:
            feeds = {n: np.asarray(a, self._dtypes[n], order="C") for n, a in inputs.items()}
            outputs = self._inference.run(self._outputs, feeds)
        except MemoryError:
            raise OutOfMemory(self._name) from None
        except Exception as error:  # onnxruntime's exceptions share no other base
            if _NO_MEMORY.search(str(error)):
                raise OutOfMemory(self._name) from None
            raise Failure(f"{self._name} failed on {self.device}: {_line(error)}") from error
        return {
            name: array.astype(np.float32) if array.dtype == np.float16 else array
            for name, array in zip(self._outputs, outputs, strict=True)
        }
