"""The loss of `--method gram` with its gradient, as a network that needs no PyTorch to run."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d, pad

from imgan.training.perceptual import Features, gram
from imgan_stylize import STYLE_LAYERS, Transfer

NAME = "slope"
"""What `imgan export --network` calls it."""

LAYERS = tuple(STYLE_LAYERS.split(","))
"""Where styles are compared."""

LEAST = 1e-12
"""Of what is wanted, the smallest square that is divided by."""


class Slope(nn.Module):
    """Style, content and total variation (Gatys et al. 2016, equation 7), and the way down.

    The terms and their weights are those of gram.py. The gradient is written out: onnxruntime has
    no backward pass.
    """

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(
        self,
        picture: Tensor,
        content: Tensor,
        conv1_1: Tensor,
        conv2_1: Tensor,
        conv3_1: Tensor,
        conv4_1: Tensor,
        conv5_1: Tensor,
    ) -> tuple[Tensor, ...]:
        """Loss [N] and gradient of pictures [N, 3, H, W] in 0..1, whose sides are multiples of 16.

        Wanted are `content` [N, C, H / 8, W / 8], a photo's activations in the content layer, and
        the Gram matrices [N, C, C] of the layers. What the pictures have of these comes out
        after the gradient.
        """
        losses, gradient = _variation(picture, Transfer.tv)
        names = self.features.layers[: self.features.layers.index(LAYERS[-1]) + 1]
        grams = conv1_1, conv2_1, conv3_1, conv4_1, conv5_1
        wanted = dict(zip(LAYERS, grams, strict=True))
        seen: dict[str, Tensor] = {}
        x = self.features.normalise(picture)
        for name in names:
            x = seen[name] = torch.relu(self.features.convolve(name, x))
        own = {name: gram(seen[name]) for name in LAYERS}
        down = torch.zeros_like(x)
        for name, before in zip(reversed(names), [*reversed(names[:-1]), None], strict=True):
            x = seen[name]
            if name in wanted:
                loss, step = _style(x, own[name], wanted[name])
                losses, down = losses + loss, down + step
            if name == Transfer.content_layer:
                loss, step = _content(x, content, Transfer.content_weight)
                losses, down = losses + loss, down + step
            kernel = self.features.get_parameter(f"{name}.weight")
            # Back through ReLU, convolution and, where a scale begins, pooling.
            down = conv2d(torch.where(x > 0, down, 0), kernel.flip(2, 3).transpose(0, 1), padding=1)
            if before is not None and before[4] != name[4]:
                largest = _doubled(max_pool2d(seen[before], 2))
                down = torch.where(seen[before] == largest, _doubled(down), 0)
        gradient = gradient + down / self.features.std.view(3, 1, 1)
        return losses, gradient, seen[Transfer.content_layer], *own.values()


def _style(x: Tensor, own: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's part of the style's loss, and its gradient (equations 4 to 6)."""
    share = 1 / len(LAYERS) / wanted.square().sum((1, 2), keepdim=True).clamp_min(LEAST)
    apart = own - wanted
    loss = (share * apart.square()).sum((1, 2))
    places = x.shape[2] * x.shape[3]
    return loss, (4 / places * share * apart @ x.flatten(2)).view_as(x)


def _content(x: Tensor, wanted: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """The content's loss, and its gradient (equations 1 and 2)."""
    share = weight / wanted.square().sum((1, 2, 3), keepdim=True).clamp_min(LEAST)
    apart = x - wanted
    return (share * apart.square()).sum((1, 2, 3)), 2 * share * apart


def _variation(picture: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """The mean squared difference of neighbours, down and across, and its gradient."""
    losses = picture.new_zeros(picture.shape[0])
    gradient = torch.zeros_like(picture)
    for axis, before, after in ((2, (0, 0, 1, 0), (0, 0, 0, 1)), (3, (1, 0), (0, 1))):
        steps = picture.diff(dim=axis)
        losses = losses + weight * steps.square().mean((1, 2, 3))
        share = 2 * weight / (3 * steps.shape[2] * steps.shape[3])
        gradient = gradient + share * (pad(steps, before) - pad(steps, after))
    return losses, gradient


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")
