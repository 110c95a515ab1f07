"""A face out of a sketch in closed form: at every place a linear map of its own.

Aligned faces have eye on eye and mouth on mouth, so what a stroke means depends on where it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, pad

SIDE = 256
"""Of what goes in and comes out, in pixels; the maps work at half of it."""

HALF = SIDE // 2

STRIDE = 4
"""Pixels from one place to the next."""

SEEN, MADE = 24, 12
"""Sides of the patches that are seen and made around each place, in pixels."""

PLACES = HALF // STRIDE

LUMA = (0.299, 0.587, 0.114)

HEAD = 0.4, 0.85
"""Where the regressed matte of the head begins, and where it is whole."""

SIDES = 0.04, 0.16
"""Parts of the width at the left and the right in which shoulders fade away: scans have borders."""

SHARPEN, BLUR = 0.8, 2.5
"""Of the unsharp mask: a regression gives the mean of what may be. Its sigma is in pixels."""

STROKES, FINE = 0.45, 1.5
"""The part of the sketch's own detail that is kept, and the sigma in pixels that it is above."""


class LocalRegression(nn.Module):
    """Sketches [N, 3, 256, 256] in -1..1 to faces before a plain ground, RGB in -1..1.

    Locally linear as in Liu et al. 2005 (A nonlinear approach for face sketch synthesis and
    recognition), with maps that are solved for beforehand (`training.sketch_face`). Patches of a
    sketch s become coefficients x of their principal components; at each place y = A x + b; and
    the sum of patches D y, which overlap under a window of Hann's, is added to the mean face. Its
    fourth plane is the matte of the head.
    """

    sides: Tensor
    blur: Tensor
    fine: Tensor

    def __init__(self, seen: int = 40, made: int = 40) -> None:
        super().__init__()

        def solved(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape), requires_grad=False)

        self.encoder = solved(seen, 1, SEEN, SEEN)
        self.center = solved(seen)
        self.maps = solved(made, seen, PLACES, PLACES)
        self.offsets = solved(made, PLACES, PLACES)
        self.decoder = solved(made, 4, MADE, MADE)
        self.mean = solved(4, HALF, HALF)
        self.ground = solved(3, 1, 1)
        across = torch.linspace(0, 1, SIDE)
        across = _ramp(torch.minimum(across, 1 - across), *SIDES)
        self.register_buffer("sides", across, persistent=False)
        for name, sigma in (("blur", BLUR), ("fine", FINE)):
            self.register_buffer(name, _gaussian(sigma), persistent=False)

    def encode(self, gray: Tensor) -> Tensor:
        """Sketches [N, 1, 128, 128] in 0..1 to coefficients [N, seen, 32, 32]."""
        around = pad(gray, ((SEEN - STRIDE) // 2,) * 4, "replicate")
        return conv2d(around, self.encoder, self.center, STRIDE)

    def regress(self, gray: Tensor) -> Tensor:
        """Sketches [N, 1, 128, 128] in 0..1 to RGB and matte, of about 0..1, [N, 4, 128, 128]."""
        coefficients = (self.encode(gray)[:, None] * self.maps).sum(2) + self.offsets
        margin = (MADE - STRIDE) // 2
        return self.mean + conv_transpose2d(coefficients, self.decoder, None, STRIDE, margin)

    def forward(self, picture: Tensor) -> Tensor:
        luma = picture.new_tensor(LUMA).view(3, 1, 1)
        gray = (picture * luma).sum(1, keepdim=True) / 2 + 0.5
        half = self.regress(avg_pool2d(gray, 2))
        made = interpolate(half, scale_factor=2.0, mode="bicubic", align_corners=False)
        rgb, matte = made[:, :3], made[:, 3:]
        rgb = rgb + SHARPEN * (rgb - _blurred(rgb, self.blur))
        rgb = rgb + STROKES * (gray - _blurred(gray, self.fine))
        matte = _ramp(matte, *HEAD) * self.sides
        return (self.ground + matte * (rgb.clamp(0, 1) - self.ground)) * 2 - 1


def _ramp(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, smooth between them."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _gaussian(sigma: float) -> Tensor:
    reach = round(3 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def _blurred(planes: Tensor, weights: Tensor) -> Tensor:
    channels, reach = planes.shape[1], len(weights) // 2
    around = pad(planes, (reach,) * 4, "replicate")
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        kernel = weights.view(shape).repeat(channels, 1, 1, 1)
        around = conv2d(around, kernel, groups=channels)
    return around
