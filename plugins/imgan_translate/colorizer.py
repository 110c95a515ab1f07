"""The network that colours grey pictures: which of the bins of CIELAB's ab plane is a place's?

Zhang, Isola, Efros 2016, arXiv:1603.08511. Pictures: [N, 3, H, W] sRGB in -1..1.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

GRID = 10
"""The side of a bin in the ab plane."""

REDUCED = 4
"""Bins are told apart at this part of the picture's resolution."""

STRIDE = 32
"""Heights and widths are multiples of this."""

STEM = 32

STAGES = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3),
          (6, 192, 5, 2, 3))  # fmt: skip
"""EfficientNet-Lite0's stages: how many times wider its blocks are inside, their channels, kernel,
the first one's stride, and how many they are. Of the last stage's four blocks three are here; what
follows in the original is for classes of pictures."""

SKIPS = (1, 2, 4, 5)
"""Stages at a quarter, an eighth, a 16th and a 32nd of the resolution: the decoder sees them."""

WIDTHS = (64, 96, 128)
"""The decoder's channels at a quarter, an eighth and a 16th."""


class Colorizer(nn.Module):
    """A grey picture to the same in colours.

    EfficientNet-Lite0 (Tan and Le 2019, without squeezing, and with ReLU6) as the encoder; the
    decoder joins its scales from the coarsest up (Lin et al. 2017, Feature pyramid networks) to
    logits of the bins. The colour of a place is the annealed mean of the bins: of the softmax of
    logits / `temperature` (equation 5).
    """

    bins: Tensor

    def __init__(self, temperature: float = 0.38) -> None:
        super().__init__()
        self.temperature = temperature
        self.encoder = Encoder()
        channels = [STAGES[stage][1] for stage in SKIPS]
        self.decoder = nn.ModuleList(
            Join(below, beside, width)
            for below, beside, width in zip(
                (channels[-1], *WIDTHS[:0:-1]), channels[-2::-1], WIDTHS[::-1], strict=True
            )
        )
        self.head = nn.Conv2d(WIDTHS[0], len(gamut()), 1)
        self.register_buffer("bins", gamut(), persistent=False)

    def logits(self, picture: Tensor) -> Tensor:
        """[N, bins, H / 4, W / 4]."""
        *beside, x = self.encoder(picture)
        for join, skip in zip(self.decoder, reversed(beside), strict=True):
            x = join(x, skip)
        logits: Tensor = self.head(x)
        return logits

    def forward(self, picture: Tensor) -> Tensor:
        likely = (self.logits(picture) / self.temperature).softmax(1)
        ab = torch.einsum("nqhw,qc->nchw", likely, self.bins)
        ab = interpolate(ab, scale_factor=float(REDUCED), mode="bilinear")
        return from_lab(torch.cat([to_lab(picture)[:, :1], ab], 1))


class Encoder(nn.Module):
    """[N, 3, H, W] in -1..1 to the activations of `SKIPS`, from the finest on.

    Every convolution has a bias, which is what normalisation by a batch's statistics becomes when
    they are folded in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Same(3, STEM, 3, 2)
        stages: list[nn.Module] = []
        channels = STEM
        for expansion, width, kernel, stride, count in STAGES:
            blocks = []
            for index in range(count):
                first = index == 0
                blocks.append(Inverted(channels, width, expansion, kernel, stride if first else 1))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, picture: Tensor) -> list[Tensor]:
        x = self.stem(picture).clamp(0, 6)
        found = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in SKIPS:
                found.append(x)
        return found


class Inverted(nn.Module):
    """An inverted residual block (Sandler et al. 2018, MobileNetV2)."""

    def __init__(self, below: int, width: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = below * expansion
        self.expand = nn.Conv2d(below, inner, 1) if expansion > 1 else None
        self.depthwise = Same(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, width, 1)
        self.residual = stride == 1 and below == width

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else self.expand(x).clamp(0, 6)
        made: Tensor = self.project(self.depthwise(inner).clamp(0, 6))
        return x + made if self.residual else made


class Same(nn.Conv2d):
    """A convolution with TensorFlow's "same" borders: what is odd of them comes after."""

    def __init__(
        self, below: int, width: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(below, width, kernel, stride, groups=groups)
        border = kernel - stride
        self.border = (border // 2, border - border // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad(x, self.border))


class Join(nn.Module):
    """A scale of the decoder: what is below it, enlarged, and what the encoder saw beside it."""

    def __init__(self, below: int, beside: int, width: int) -> None:
        super().__init__()
        self.below = nn.Conv2d(below, width, 1)
        self.beside = nn.Conv2d(beside, width, 1)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        large = interpolate(self.below(below), scale_factor=2.0, mode="bilinear")
        return torch.relu(self.conv(torch.relu(large + self.beside(beside))))


@cache
def gamut() -> Tensor:
    """The middles of the bins of the ab plane that hold a colour of sRGB's, [Q, 2]."""
    levels = torch.linspace(-1, 1, 65)
    colours = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 1, -1)
    return (to_lab(colours)[0, 1:, 0].T / GRID).round().unique(dim=0) * GRID


_XYZ = torch.tensor([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip
"""Of linear sRGB (IEC 61966-2-1)."""

_RGB = torch.linalg.inv(_XYZ)

_WHITE = _XYZ.sum(1).view(3, 1, 1)

_LAB = torch.tensor([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
"""Of the roots of X, Y and Z in parts of white's, L less 16."""

_DARK = 6 / 29
"""Roots below it are a line."""


def to_lab(picture: Tensor) -> Tensor:
    """[N, 3, H, W] sRGB in -1..1 to CIELAB under D65: L in 0..100, a, b."""
    srgb = (picture.clamp(-1, 1) + 1) / 2
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    part = _mixed(_XYZ, linear) / _WHITE.to(picture)
    curve = part.clamp(min=_DARK**3) ** (1 / 3)
    root = torch.where(part > _DARK**3, curve, part / (3 * _DARK**2) + 4 / 29)
    lab = _mixed(_LAB, root)
    return torch.cat([lab[:, :1] - 16, lab[:, 1:]], 1)


def from_lab(lab: Tensor) -> Tensor:
    """CIELAB to sRGB in -1..1; what no display shows is cut off."""
    light, a, b = lab.split(1, 1)
    middle = (light + 16) / 116
    root = torch.cat([middle + a / 500, middle, middle - b / 200], 1)
    part = torch.where(root > _DARK, root**3, 3 * _DARK**2 * (root - 4 / 29))
    linear = _mixed(_RGB, part * _WHITE.to(lab)).clamp(0, 1)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve) * 2 - 1


def _mixed(matrix: Tensor, planes: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix.to(planes), planes)
