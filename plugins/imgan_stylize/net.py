"""The fast way to stylise: a frozen encoder, AdaIN and a decoder. Pictures are RGB in 0..1."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

LAYERS = {"conv1_1": 32, "conv2_1": 64, "conv3_1": 128, "conv4_1": 256}
"""Where styles are compared and put in (Huang & Belongie 2017, section 6.1), and the channels."""

CHANNELS = sum(LAYERS.values())
"""Of a style's mean and deviation: those of all layers, one after the other."""

EPSILON = 1e-5
"""Added to variances: a channel that is dark all over has none."""

POOL = 4
"""How many times smaller than the picture the decoder sees conv1_1, which knows the colours."""


def statistics(activation: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the places of [N, C, H, W], both [N, C, 1, 1]."""
    mean = activation.mean((2, 3), keepdim=True)
    variance = (activation - mean).square().mean((2, 3), keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def style_of(activations: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of all LAYERS, both [N, CHANNELS, 1, 1]."""
    means, deviations = zip(*(statistics(activations[name]) for name in LAYERS), strict=True)
    return torch.cat(means, 1), torch.cat(deviations, 1)


def adain(
    activations: Mapping[str, Tensor],
    own: tuple[Tensor, Tensor],
    style: tuple[Tensor, Tensor],
    strength: Tensor | float = 1.0,
) -> dict[str, Tensor]:
    """Activations of all LAYERS with a style's mean and deviation in place of their own.

    Equation 8, and equation 14 for a strength between 0 (as they were) and 1. Means and deviations
    are those of `style_of`.
    """
    sizes = list(LAYERS.values())
    parts = [part.split(sizes, 1) for part in (*own, *style)]
    styled = {}
    for name, mean, deviation, new_mean, new_deviation in zip(LAYERS, *parts, strict=True):
        x = activations[name]
        target = (x - mean) / deviation * new_deviation + new_mean
        styled[name] = x + strength * (target - x)
    return styled


class Decoder(nn.Module):
    """Activations of LAYERS to a picture [N, 3, H, W] that has them.

    The published decoder (section 6.1) turns the encoder round: nearest-neighbour upscaling in the
    place of pooling, reflected borders, no normalisation. This one is leaner, 39 % of the encoder's
    arithmetic, and it sees more than conv4_1: what is coarser comes from there, edges from conv3_1
    and conv2_1, and colours, of which deep layers know little, from conv1_1 at a quarter of the
    size. So it learns in thousands of steps, and an encoder that is tuned to edges will do.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = LAYERS.values()
        self.eighth_size = _Conv(fourth, third)
        self.edges = nn.Conv2d(first + third, third, 1)
        self.quarter_size = _Conv(third, second)
        self.fine = nn.Conv2d(second, second, 1)
        self.half_size = nn.Sequential(_Conv(second, first), nn.ReLU(), _Conv(first, first // 2))
        self.full_size = nn.Sequential(
            _Conv(first // 2, first // 2), nn.ReLU(), _Conv(first // 2, 3)
        )
        self.colours = nn.Conv2d(first, 3, 1)
        # It starts as plain grey: deep stacks learn at once from a last layer near zero.
        for last in (self.full_size[-1], self.colours):
            nn.init.normal_(last.weight, std=1e-3)  # type: ignore[arg-type]
        nn.init.constant_(self.colours.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, activations: Mapping[str, Tensor]) -> Tensor:
        full, half, quarter, eighth = (activations[name] for name in LAYERS)
        colours = avg_pool2d(full, POOL)
        x = _enlarge(torch.relu(self.eighth_size(eighth)), quarter)
        x = torch.relu(x + self.edges(torch.cat([colours, quarter], 1)))
        x = _enlarge(torch.relu(self.quarter_size(x)), half)
        x = _enlarge(torch.relu(self.half_size(torch.relu(x + self.fine(half)))), full)
        base = interpolate(self.colours(colours), full.shape[2:], mode="bilinear")
        return base + self.full_size(x)


class Stylizer(nn.Module):
    """Encoder (`perceptual.Features`), AdaIN and decoder as one network, the one that ships."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(
        self, picture: Tensor, mean: Tensor, deviation: Tensor, strength: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give pictures [N, 3, H, W], 16 px a side or more, the statistics of a style.

        `mean` and `deviation` [N, CHANNELS, 1, 1] are the style's own, and what comes out second
        and third when the style is the picture; `strength` [1] is 0 (the picture as it was) to 1.
        Several styles are a weighted mean of their statistics: AdaIN is linear in them, so that is
        equation 15.
        """
        activations = self.encoder(picture, LAYERS)
        own = style_of(activations)
        styled = adain(activations, own, (mean, deviation), strength)
        return self.decoder(styled), *own


class _Conv(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, padding_mode="reflect")
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, like.shape[2:], mode="nearest")
