"""The networks of `imgan translate`. Pictures: [N, 3, H, W] RGB in -1..1.

Parameters have the names that the reference code of CycleGAN and pix2pix gives them, so that its
checkpoints fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 8
"""A width is multiplied by at most this, from layer to layer, in U-Net and discriminator."""

Norm = Callable[[int], nn.Module]
"""A normalisation of so many channels."""


class ResNet(nn.Module):
    """CycleGAN's generator: two strided convolutions, residual blocks, and back up.

    Zhu et al. 2017, section 7.1, after Johnson et al. 2016: c7s1-64, d128, d256, R256 `blocks`
    times, u128, u64, c7s1-3, with instance normalisation and reflected borders. What is lighter:
    a smaller `width`, and with `separable` blocks of a 3x3 convolution a channel and a 1x1 (Li et
    al. 2020, GAN Compression). With `resize` enlarged by nearest neighbour before a convolution,
    where the paper has transposed convolutions, which tend to draw grids (Odena et al. 2016).

    With `residual` the result is what is added to the picture, and may leave -1..1: a network that
    begins by leaving a photo as it is need not learn to copy it. `palette`, where there is one, is
    an affine change of colours at the end, 1x1 (`training.color_transfer`).
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        resize: bool = False,
        separable: bool = False,
        residual: bool = False,
        norm: Norm = nn.InstanceNorm2d,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        bias = norm is nn.InstanceNorm2d
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=bias), norm(width), nn.ReLU()]
        for channels in (width, 2 * width):
            down = nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=bias)
            layers += [down, norm(2 * channels), nn.ReLU()]
        self.compared = {0, 4, 7, len(layers), len(layers) + blocks // 2}
        layers += [Block(4 * width, separable, norm, dropout) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            up = _resized(channels) if resize else _transposed(channels, bias)
            layers += [up, norm(channels // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        self.palette: nn.Conv2d | None = None
        self.register_load_state_dict_pre_hook(_leave_palette)

    def forward(self, picture: Tensor) -> Tensor:
        made = self.model(picture)
        if self.residual:
            made = picture + made
        return made if self.palette is None else self.palette(made.clamp(-1, 1))

    def views(self, picture: Tensor) -> Iterator[Tensor]:
        """What contrastive training compares: the picture, both reductions, two of the blocks."""
        for index, layer in enumerate(self.model[: max(self.compared) + 1]):
            picture = layer(picture)
            if index in self.compared:
                yield picture


class Block(nn.Module):
    """x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, width: int, separable: bool, norm: Norm, dropout: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            plain = nn.Conv2d(width, width, 3, bias=norm is nn.InstanceNorm2d)
            conv = _separable(width) if separable else plain
            layers += [nn.ReflectionPad2d(1), conv, norm(width)]
            if not last:
                layers += [nn.ReLU(), *([nn.Dropout(0.5)] if dropout else [])]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class UNet(nn.Module):
    """pix2pix's generator (Isola et al. 2017, section 6.1.1): C64-C128-C256-C512... and back, each
    layer's output also handed to its mirror. `depth` 8 is for pictures of 256, 7 for those of 128.

    Dropout in the deepest three of full width is the only noise, and off in evaluation mode. With
    the batches of one that the paper trains by, its batch normalisation is instance normalisation
    with a scale and a shift, which is what stands here by default.
    """

    def __init__(self, width: int = 64, depth: int = 8, norm: Norm | None = None) -> None:
        super().__init__()
        block: nn.Module | None = None
        for level in reversed(range(depth)):
            outer = width * min(2 ** (level - 1), LARGEST) if level else 3
            inner = width * min(2**level, LARGEST)
            drops = 4 <= level < depth - 1
            block = Skip(outer, inner, block, norm or _affine, drops, outermost=level == 0)
        assert block is not None
        self.model = block

    def forward(self, picture: Tensor) -> Tensor:
        return self.model(picture)


class Skip(nn.Module):
    """One level of the U-Net: down, what lies below, up; its input is put beside its output."""

    def __init__(
        self,
        outer: int,
        inner: int,
        below: nn.Module | None,
        norm: Norm,
        dropout: bool,
        outermost: bool,
    ) -> None:
        super().__init__()
        self.outermost = outermost
        bias = norm is nn.InstanceNorm2d
        down: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)]
        wide = inner if below is None else 2 * inner
        up: list[nn.Module] = [nn.ReLU()]
        if outermost:
            down = down[1:]
            up += [nn.ConvTranspose2d(wide, outer, 4, 2, 1), nn.Tanh()]
        else:
            up += [nn.ConvTranspose2d(wide, outer, 4, 2, 1, bias=bias), norm(outer)]
            # The deepest layer is one pixel, which no normalisation over a picture can take.
            down += [] if below is None else [norm(inner)]
            up += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*down, *([] if below is None else [below]), *up)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Patch(nn.Module):
    """The 70x70 PatchGAN (Isola et al. 2017, section 6.1.2): [N, channels, H, W] to a logit for
    each patch of 70 pixels, some of which lie beyond the border. C64-C128-C256-C512."""

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for power, stride in ((1, 2), (2, 2), (4, 1)):
            layers += [
                nn.Conv2d(power * width, 2 * power * width, 4, stride, 1),
                nn.InstanceNorm2d(2 * power * width),
                nn.LeakyReLU(0.2),
            ]
        self.model = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return self.model(picture)


def begin(network: nn.Module) -> None:
    """Weights from N(0, 0.02), as both papers begin; what is added to a picture begins small."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if isinstance(network, ResNet) and network.residual:
        nn.init.normal_(network.model[-2].weight, 0, 0.001)  # type: ignore[arg-type]


def _leave_palette(generator: ResNet, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """The palette of earlier weights is not that of a network which goes on learning."""
    if generator.palette is None:
        for name in ("weight", "bias"):
            state.pop(f"{prefix}palette.{name}", None)


def _affine(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def _transposed(channels: int, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1, bias=bias)


def _resized(channels: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels // 2, 3, 1, 1))


def _separable(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width, 3, groups=width), nn.Conv2d(width, width, 1))
