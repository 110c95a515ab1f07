"""What the benchmarks share: the upscaler that ships, as PyTorch and as ONNX, and fair timing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from imgan.models.cards import Description
from imgan_exporters.onnx import write
from imgan_upscale.net import Compact
from imgan_upscale.ports import UPSCALER

NAME = "benchmark-x4"


def compact(folder: Path) -> tuple[Compact, Path]:
    """`imgan_upscale.net.Compact` at its default size, and its export; speed needs no training."""
    torch.manual_seed(0)
    network = Compact().eval()
    path = folder / f"{NAME}.onnx"
    write(
        network,
        UPSCALER,
        path,
        Description(name=NAME, operation="upscale"),
        half=False,
        overwrite=False,
    )
    return network, path


def medians(*functions: Callable[[], object], runs: int) -> list[float]:
    """Median seconds of each, after one run that does not count.

    They take turns, so that whatever else the machine does slows all down.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(runs + 1):
        for timed, function in zip(seconds, functions, strict=True):
            started = time.perf_counter()
            function()
            timed.append(time.perf_counter() - started)
    return [statistics.median(timed[1:]) for timed in seconds]
