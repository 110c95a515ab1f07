"""The networks of the engine `residual`. Faces: [N, 3, S, S] RGB in -1..1, aligned as CelebA's.

S is 64 or 128. Most of the arithmetic is done at 32x32 and below, whatever S is: only the first and
the last convolutions know it. Weights for 64 go into networks for 128, which then do the same to
the halved picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad

from imgan.images.upsampling import LUMA
from imgan_edit.attributes import COLOURING, RESIDUAL, SKIN

GRID = 32
"""Side of the grid on which most is computed; details get one of twice the side."""

CODE = 64
"""Numbers that a change becomes before it steers the blocks."""

SLOPE = 0.1

ENDS = tuple(
    (part + end, axis, planes)
    for part in ("", "details.")
    for end, axis, planes in (("stem.weight", 1, 3), ("head.weight", 0, 4), ("head.bias", 0, 4))
)
"""Parameters that know the size of faces, the axis that grows with it, and planes along that."""

DULL = 0.6
"""Added to lightness, of 2, where it is asked how colourful a pixel is: the darkest have no hue."""

BLACK = 0.08
"""Added to it where it is asked how light a pixel may become."""

COARSE = 1 / 24
"""Colours are means over so much of a face's side: lines of colour are for classifiers alone."""

GLOW = 0.4
"""The part of its lightness that a pixel may gain where skin alone changes, at strength 1: hair
beside a cheek stays hair."""

COLOURS = [COLOURING.get(slug, 0.0) for slug in RESIDUAL]
LIGHTS = [float(slug not in SKIN) for slug in RESIDUAL]
"""How far each of the attributes may have colours of its own, and make light what is dark."""

BOUND = 5.0
"""The mask's logits stay below this on either side of 0, and the mask itself within 1/150."""


class Editor(nn.Module):
    """What a change of attributes adds to a face, and where; 2.2 M parameters at width 48.

    `change` [N, 17], in the order of `attributes.RESIDUAL`: how much of each to add (1), to remove
    (-1) or to leave (0). Returns the residual, [N, 3, S, S], whose lightness is within twice the
    largest change on either side of 0, and the mask, [N, 1, S, S] in 0..1; `apply` puts them onto
    the face.

    With s = max|change|, the networks r and m see change / s alone, and the residual is
    s r(face, change / s): it grows with the strength, and a change of nothing is none, by
    construction. The mask is GANimation's (Pumarola et al. 2018), the difference of attributes in
    place of the attributes themselves STGAN's (Liu et al. 2019). What of light and colours the
    residual may change depends on the attributes (`tinted`). A U-Net without normalisation, in
    which the change scales and shifts the middle of every block (FiLM, Perez et al. 2018).
    """

    def __init__(self, size: int = 64, width: int = 48) -> None:
        super().__init__()
        factor = size // GRID
        fine, middle, coarse = width, 2 * width, 10 * width // 3
        self.embed = nn.Sequential(nn.Linear(len(RESIDUAL), CODE), nn.LeakyReLU(SLOPE))
        self.factor = factor
        self.unshuffle = nn.PixelUnshuffle(factor)
        self.stem = nn.Conv2d(3 * factor**2, fine, 3, padding=1)
        self.down32 = _Block(fine)
        self.to16 = nn.Conv2d(fine, middle, 3, 2, padding=1)
        self.down16 = _Block(middle)
        self.to8 = nn.Conv2d(middle, coarse, 3, 2, padding=1)
        self.bottom = nn.ModuleList(_Block(coarse) for _ in range(3))
        self.from8 = nn.Conv2d(coarse, middle, 1)
        self.up16 = _Block(middle)
        self.from16 = nn.Conv2d(middle, fine, 1)
        self.up32 = _Block(fine)
        self.head = nn.Conv2d(fine, 4 * factor**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)
        self.details = _Details(factor // 2, width)
        for conv in (self.stem, self.to16, self.to8, self.from8, self.from16):
            nn.init.kaiming_normal_(conv.weight, SLOPE)
        nn.init.normal_(self.head.weight, std=1e-2)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            # The mask begins small: an eighth.
            self.head.bias[3 * factor**2 :] = -2  # type: ignore[index]
        self.register_load_state_dict_pre_hook(_grow_editor)

    def forward(self, face: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        strength = change.abs().amax(1, keepdim=True)
        direction = change / strength.clamp(min=1e-6)
        code = self.embed(direction)
        at32 = self.down32(self.stem(self.unshuffle(face)), code)
        at16 = self.down16(self.to16(at32), code)
        x = self.to8(at16)
        for block in self.bottom:
            x = block(x, code)
        x = self.up16(doubled(self.from8(x)) + at16, code)
        x = self.up32(doubled(self.from16(x)) + at32, code)
        planes = smoothed(self.shuffle(self.head(leaky_relu(x, SLOPE))), self.factor)
        residual, mask = (planes + self.details(face, x, code)).split((3, 1), 1)
        # A mask of 0 would keep the residual from learning, and a residual of 0 the mask.
        bounded = BOUND * (mask / BOUND).tanh()
        residual = tinted(residual.tanh(), face, direction)
        return 2 * strength[..., None, None] * residual, bounded.sigmoid()


class _Details(nn.Module):
    """What the planes [N, 4, S, S] have beyond the grid of 32: nothing at first.

    Half as many channels on a grid of 64, out of the face and of what the rest knows, at 32.
    """

    def __init__(self, factor: int, width: int) -> None:
        super().__init__()
        self.factor = factor
        self.unshuffle = nn.PixelUnshuffle(factor)
        self.stem = nn.Conv2d(3 * factor**2, width // 2, 3, padding=1)
        self.from32 = nn.Conv2d(width, width // 2, 1)
        self.block = _Block(width // 2)
        self.head = nn.Conv2d(width // 2, 4 * factor**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)
        for conv in (self.stem, self.from32):
            nn.init.kaiming_normal_(conv.weight, SLOPE)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, face: Tensor, at32: Tensor, code: Tensor) -> Tensor:
        x = self.block(self.stem(self.unshuffle(face)) + doubled(self.from32(at32)), code)
        return smoothed(self.shuffle(self.head(leaky_relu(x, SLOPE))), self.factor)


def tinted(residual: Tensor, face: Tensor, change: Tensor) -> Tensor:
    """Light and shade (ITU-R BT.601), which take the face's colours along, and colours of its own
    as far as what changes may have them.

    Colours where none are asked for are what fools a classifier: blue under eyes that are to get
    glasses, purple around a moustache.
    """
    colour, more = _most(change, COLOURS), _most(change, LIGHTS)
    seen = face.clamp(-1, 1) + 1
    hue = (seen + DULL) / _lightness(seen + DULL)
    light = _lightness(residual)
    glow = torch.minimum(light, GLOW / 2 * (_lightness(seen) + BLACK))
    side = max(1, round(COARSE * face.shape[-1]))
    chroma = smoothed(residual - hue * light, side)
    return hue * (glow + more * (light - glow)) + colour * chroma


def _most(change: Tensor, parts: Sequence[float]) -> Tensor:
    """The largest change [N, 1, 1, 1] of attributes that count in part."""
    each = (part * one for part, one in zip(parts, change.abs().unbind(1), strict=True))
    return reduce(torch.maximum, each)[:, None, None, None]


def _lightness(planes: Tensor) -> Tensor:
    red, green, blue = (
        weight * plane for weight, plane in zip(LUMA.tolist(), planes.split(1, 1), strict=True)
    )
    return red + green + blue


def smoothed(planes: Tensor, side: int) -> Tensor:
    """Means over squares of `side` pixels: no pattern of that period is left of what a pixel
    shuffle draws."""
    before = (side - 1) // 2
    return avg_pool2d(pad(planes, (before, side - 1 - before) * 2, "replicate"), side, 1)


def apply(face: Tensor, residual: Tensor, mask: Tensor) -> Tensor:
    """The edited face; it may leave -1..1, as the photo's own arithmetic clips it."""
    return face + mask * residual


class _Block(nn.Module):
    """x + conv(film(conv(x))), and close to x at first; film is a scale and a shift by the code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(CODE, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight, SLOPE)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.second.weight *= 0.1

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.film(code)[..., None, None].chunk(2, 1)
        inner = self.first(leaky_relu(x, SLOPE)) * (1 + scale) + shift
        return x + self.second(leaky_relu(inner, SLOPE))


def _grow_editor(editor: Editor, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Weights for a smaller size become weights for this one, before they are loaded.

    The stem takes the mean of the pixels where it took one, the head repeats each: but for
    `smoothed` and `tinted`, the network does to a picture what the smaller one does to the halved
    picture, enlarged by nearest neighbour.
    """
    for name, axis, planes in ENDS:
        key = prefix + name
        if key not in state:
            continue
        small = state[key].transpose(0, axis)
        times = math.isqrt(editor.get_parameter(name).shape[axis] // len(small))
        if times < 2:
            continue
        side = math.isqrt(len(small) // planes)
        pixels = small.reshape(planes, side, side, *small.shape[1:])
        grown = _repeated(pixels, (1, 2), times).flatten(0, 2).transpose(0, axis)
        state[key] = grown / times**2 if axis else grown


def _repeated(tensor: Tensor, axes: tuple[int, int], times: int) -> Tensor:
    for axis in axes:
        tensor = tensor.repeat_interleave(times, axis)
    return tensor


def doubled(x: Tensor) -> Tensor:
    """Planes on a grid twice as fine, by nearest neighbour."""
    return interpolate(x, scale_factor=2.0, mode="nearest")
