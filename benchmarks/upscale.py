"""The upscaler in onnxruntime against the same network in PyTorch eager: how many times as fast.

    python benchmarks/upscale.py [SIDE]

One picture of SIDE x SIDE pixels (default 256) to four times the side, in float32 on the CPU, each
with as many threads as there are physical cores. Aim: at least 1.5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from network import compact, medians

from imgan.models.sessions import cores, open_session


def main(side: int = 256) -> None:
    with tempfile.TemporaryDirectory() as folder:
        network, path = compact(Path(folder))
        session = open_session(path, "cpu")
    torch.set_num_threads(cores() or torch.get_num_threads())
    batch = torch.rand(1, 3, side, side)
    array = batch.numpy()

    with torch.inference_mode():
        difference = np.abs(session.run(array) - network(batch).numpy()).max()
        eager, onnx = medians(lambda: network(batch), lambda: session.run(array), runs=7)
    print(f"PyTorch {torch.__version__} eager: {eager:.3f} s; onnxruntime: {onnx:.3f} s")
    print(f"largest difference: {difference:.1e}")
    print(f"ratio: {eager / onnx:.2f} (aim: at least 1.5)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
