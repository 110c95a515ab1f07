"""Pictures by optimisation: stylise, texture, reconstruct (Gatys et al. 2015, 2016).

Image Style Transfer Using Convolutional Neural Networks (CVPR 2016) and Texture Synthesis Using
Convolutional Neural Networks (NIPS 2015). Tensors of pictures are [1, 3, H, W] RGB in 0..1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad, relu

from imgan.errors import Failure, Misuse
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan.terminal import remark
from imgan.training.data import to_tensor
from imgan.training.perceptual import Features, gram
from imgan_stylize import Init, Optimizer, Search, Transfer
from imgan_stylize.frames import Film

COARSEST, OF_NOISE = 256, 96
"""The longer side at which an optimisation begins, at most; every next scale is twice as large.

Noise begins coarser: patches of colour are too large for the layers to make them at 256 pixels.
"""

LEAST = 16
"""The shortest side that five scales of features need."""

LARGEST = 4 * 2**20
"""The most pixels that are optimised: about 1.3 GiB of activations a million pixels."""

MIRROR, WRAP = 16, 32
"""Pixels beyond each border that the features see, of a mirrored picture and of a tile."""

RATE = 0.03
"""Of Adam, at the start; a cosine takes it to 0."""

HISTORY = 10
"""The updates that L-BFGS remembers: six floats a pixel each."""

NOISE = 0.2
"""The range of the noise to begin with."""

GREY = torch.full((3,), 0.5)
"""What the noise is about where no colour is known."""

RANGE_WEIGHT = 10.0
"""Of leaving 0..1, which the optimiser cannot be forbidden: its steps are not bounded."""


@dataclass(frozen=True)
class Goal:
    """What a picture is to look like: activations and Gram matrices by layer, and their weights."""

    content: Mapping[str, Tensor] = field(default_factory=dict)
    style: Mapping[str, Tensor] = field(default_factory=dict)
    content_weight: float = 1.0
    tv_weight: float = 0.0
    tile: bool = False


def loss(features: Features, picture: Tensor, goal: Goal) -> Tensor:
    """Content, style, total variation, and leaving the range: one scalar."""
    seen = look(features, picture, {*goal.content, *goal.style}, goal.tile)
    joined = pad(picture, (0, 1, 0, 1), "circular") if goal.tile else picture
    total = goal.tv_weight * total_variation(joined) + RANGE_WEIGHT * out_of_range(picture)
    for layer, wanted in goal.content.items():
        total = total + goal.content_weight * content_loss(seen[layer], wanted)
    for layer, wanted in goal.style.items():
        total = total + style_loss(seen[layer], wanted) / len(goal.style)
    return total


def look(
    features: Features, picture: Tensor, layers: Collection[str], tile: bool = False
) -> dict[str, Tensor]:
    """The activations of a picture that goes on beyond its borders: mirrored, or as a tile.

    The zeros with which convolutions pad would be seen as a dark frame, and painted as one. What is
    beyond the borders is seen and not counted: it would count twice.
    """
    mode, margin, kept = ("circular", WRAP, 0) if tile else ("reflect", MIRROR, 1)
    down, across = (min(margin, side - kept) for side in picture.shape[2:])
    seen = features(pad(picture, (across, across, down, down), mode), layers)
    return {
        name: _within(a, down >> _scale(name), across >> _scale(name)) for name, a in seen.items()
    }


def _within(activation: Tensor, down: int, across: int) -> Tensor:
    height, width = activation.shape[2:]
    return activation[..., down : height - down, across : width - across]


def _scale(layer: str) -> int:
    """How often "conv3_1" was halved: twice."""
    return int(layer.removeprefix("conv").partition("_")[0]) - 1


def content_loss(seen: Tensor, wanted: Tensor) -> Tensor:
    """The mean squared difference of activations (2016, equation 1), over their mean square.

    Published features were rescaled to a mean of 1; the division does that for any network.
    """
    return (seen - wanted).square().mean() / _power(wanted)


def style_loss(seen: Tensor, wanted: Tensor) -> Tensor:
    """The mean over C x C of the squared difference of Gram matrices (2016, equation 4), over their
    mean square; `seen` are activations [1, C, H, W] and `wanted` a Gram matrix [1, C, C]."""
    return (gram(seen) - wanted).square().mean() / _power(wanted)


def total_variation(picture: Tensor) -> Tensor:
    """The mean squared difference of neighbours, down and across."""
    down = picture[..., 1:, :] - picture[..., :-1, :]
    across = picture[..., 1:] - picture[..., :-1]
    return down.square().mean() + across.square().mean()


def out_of_range(picture: Tensor) -> Tensor:
    """The mean square of what is below 0 or above 1."""
    return relu(-picture).square().mean() + relu(picture - 1).square().mean()


def _power(wanted: Tensor) -> Tensor:
    return wanted.square().mean().clamp_min(1e-12)


def descend(
    picture: Tensor,
    objective: Callable[[Tensor], Tensor],
    optimizer: Optimizer,
    steps: int,
    watch: Callable[[Tensor, int], None] = lambda picture, taken: None,
) -> tuple[Tensor, float]:
    """Lower `objective` from `picture` on: the new picture, in 0..1, and its loss.

    A step is one evaluation of the loss and its gradient. L-BFGS ends earlier by its own criteria,
    and may end a line search some steps later. At every step `watch` sees the picture and how many
    there were. Raises Failure when the loss is no number.
    """
    variable = picture.clone(memory_format=torch.contiguous_format).requires_grad_()
    # The loss is a mean; as a sum, its gradient at a pixel is of the order of 1 whatever the size.
    # That is what L-BFGS's criteria for stopping are made for.
    pixels = variable.numel()
    taken = count(1)

    def evaluate() -> Tensor:
        variable.grad = None
        value = objective(variable) * pixels
        if not torch.isfinite(value):
            raise Failure(f"the loss became {value.item()}: try other weights")
        value.backward()
        watch(variable.detach(), next(taken))
        return value.detach()

    if optimizer is Optimizer.lbfgs:
        torch.optim.LBFGS(
            [variable],
            max_iter=steps,
            max_eval=steps,
            history_size=HISTORY,
            tolerance_grad=1e-5,  # below it there is only the noise of rounding
            line_search_fn="strong_wolfe",
        ).step(evaluate)
    else:
        adam = torch.optim.Adam([variable], RATE)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
        for _ in range(steps):
            evaluate()
            adam.step()
            rate.step()
    result = variable.detach().clamp(0, 1)
    with torch.no_grad():
        return result, float(objective(result))


Size = tuple[int, int]
"""Height and width."""


def scales(height: int, width: int, coarsest: int = COARSEST) -> list[Size]:
    """Sizes from coarse to fine: at most `coarsest` on the longer side first, the given one last.

    Raises Failure when that is too small for the features, or too large for the memory.
    """
    if min(height, width) < LEAST:
        raise Failure(f"{width}x{height} pixels: {LEAST} a side are needed")
    if height * width > LARGEST:
        raise Failure(
            f"{width}x{height} pixels: at most {LARGEST / 1e6:.1f} million are optimised; "
            "ask for a smaller --size"
        )
    sizes = [(height, width)]
    while max(sizes[0]) > coarsest and min(sizes[0]) >= 2 * LEAST:
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    return sizes


@dataclass
class Painter:
    """Optimises pictures by what `features` see in them, coarse to fine; `film` takes it all."""

    features: Features
    search: Search
    device: torch.device
    meter: Meter = field(default_factory=Meter)
    film: Film | None = None

    def require(self, layers: Iterable[str]) -> None:
        """Raise Misuse, before any work, unless the features have all of these layers."""
        for layer in layers:
            if layer not in self.features.layers:
                raise Misuse(f"no layer is called {layer}: {', '.join(self.features.layers)}")

    def stylise(
        self,
        photo: Bytes,
        styles: Sequence[Bytes],
        weights: Sequence[float],
        transfer: Transfer,
        strength: float = 1.0,
    ) -> tuple[Bytes, float]:
        """A photo [H, W, 3] in a mixture of styles, and its loss.

        The Gram matrices wanted are the styles' weighted mean; below a strength of 1 they lie on
        the way from the photo's own to these. From one scale to the next goes what was changed:
        the photo's own detail is there at each.
        """
        coarsest = COARSEST if transfer.init is Init.content else OF_NOISE
        height, width, _ = photo.shape
        sizes = scales(height, width, coarsest)
        photos = {size: self._seen(photo, max(size), size) for size in sizes}
        layers = split_layers(transfer.style_layers)

        def goal(size: Size) -> Goal:
            here = look(self.features, photos[size], {transfer.content_layer, *layers})
            mixed = self._mixed(styles, weights, layers, max(size))
            wanted = {n: torch.lerp(gram(here[n]), mixed[n], strength) for n in layers}
            content = {transfer.content_layer: here[transfer.content_layer]}
            return Goal(content, wanted, transfer.content_weight, transfer.tv)

        def grow(picture: Tensor, size: Size) -> Tensor:
            if transfer.init is Init.noise:
                return _resized(picture, size)
            height, width = picture.shape[2:]
            return photos[size] + _resized(picture - photos[height, width], size)

        first = photos[sizes[0]] if transfer.init is Init.content else self._noise(sizes[0])
        return self._climb(first, sizes, goal, grow)

    def texture(
        self, style: Bytes, size: Size, layers: Sequence[str], stroke: int, tile: bool
    ) -> tuple[Bytes, float]:
        """A texture [H, W, 3] of `size` from noise, and its loss; the painting [H, W, 3] is seen at
        `stroke` pixels on its longer side, or its own size. With `tile` opposite borders fit."""
        sizes = scales(*size, OF_NOISE)

        def goal(level: Size) -> Goal:
            grams = self._mixed([style], [1], layers, max(LEAST, stroke * level[0] // size[0]))
            return Goal(style=grams, tv_weight=self.search.tv, tile=tile)

        def grow(picture: Tensor, level: Size) -> Tensor:
            if not tile:
                return _resized(picture, level)
            height, width = level
            nine = _resized(picture.repeat(1, 1, 3, 3), (3 * height, 3 * width))
            return nine[..., height : 2 * height, width : 2 * width].clone()

        colour = torch.from_numpy(style.mean((0, 1), dtype=np.float32) / 255)
        return self._climb(self._noise(sizes[0], colour), sizes, goal, grow)

    def reconstruct(self, photo: Bytes, layer: str, size: int) -> tuple[Bytes, float]:
        """A photo [H, W, 3] from noise and its activations of one layer, and the loss; `size` at
        most on its longer side."""
        photo = reduced(photo, size)

        def goal(level: Size) -> Goal:
            seen = look(self.features, self._seen(photo, max(level), level), {layer})
            return Goal(content=seen, tv_weight=self.search.tv)

        height, width, _ = photo.shape
        sizes = scales(height, width, OF_NOISE)
        return self._climb(self._noise(sizes[0]), sizes, goal, _resized)

    def _climb(
        self,
        picture: Tensor,
        sizes: Sequence[Size],
        goal: Callable[[Size], Goal],
        grow: Callable[[Tensor, Size], Tensor],
    ) -> tuple[Bytes, float]:
        """From `picture` at the first size to the last, with the goal of each."""
        plan = [(size, max(1, self.search.steps >> index)) for index, size in enumerate(sizes)]
        work = sum(steps * height * width for (height, width), steps in plan)
        done, last = 0.0, 0.0
        for size, steps in plan:
            if tuple(picture.shape[2:]) != size:
                picture = grow(picture, size)
            step = size[0] * size[1] / work
            watch = partial(self._watch, before=done, step=step)
            with torch.no_grad():
                wanted = goal(size)
            objective = partial(loss, self.features, goal=wanted)
            with _fitting(size):
                picture, last = descend(picture, objective, self.search.optimizer, steps, watch)
            done += steps * step
        return _to_bytes(picture), last

    def _watch(self, picture: Tensor, taken: int, before: float, step: float) -> None:
        self.meter(min(1.0, before + taken * step))
        if self.film is not None:
            self.film.add(_to_bytes(picture))

    def _seen(self, picture: Bytes, longer: int, size: Size | None = None) -> Tensor:
        """A picture as [1, 3, H, W] at `longer` pixels on its longer side, or at exactly `size`."""
        if size is None:
            picture = reduced(picture, longer)
        elif picture.shape[:2] != size:
            image = Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS)
            picture = np.asarray(image)
        return to_tensor([picture]).contiguous().to(self.device)

    def _mixed(
        self, styles: Sequence[Bytes], weights: Sequence[float], layers: Sequence[str], longer: int
    ) -> dict[str, Tensor]:
        """The weighted mean of the styles' Gram matrices, seen at `longer` on the longer side."""
        mixed = dict.fromkeys(layers, torch.zeros((), device=self.device))
        for style, weight in zip(styles, weights, strict=True):
            seen = self._seen(style, longer)
            if min(seen.shape[2:]) < LEAST:
                raise Failure(f"a style is under {LEAST} pixels a side at a scale of {longer}")
            for name, activation in look(self.features, seen, layers).items():
                mixed[name] = mixed[name] + weight / sum(weights) * gram(activation)
        return mixed

    def _noise(self, size: Size, colour: Tensor = GREY) -> Tensor:
        """Faint noise about a colour [3], drawn on the CPU: the same on every device.

        Of strong noise some grain stays that no layer minds.
        """
        generator = torch.Generator().manual_seed(self.search.seed)
        noise = torch.rand((1, 3, *size), generator=generator)
        return (colour.view(3, 1, 1) + NOISE * (noise - 0.5)).to(self.device)


def split_layers(layers: str) -> tuple[str, ...]:
    """The names in a list with commas. Raises Misuse when there is none."""
    names = tuple(name.strip() for name in layers.split(",") if name.strip())
    if not names:
        raise Misuse("--style-layers: name a layer, such as conv3_1")
    return names


@cache
def choose(device: str) -> torch.device:
    """The device that `--device` means to PyTorch; of `auto` it says which on stderr, once.

    Raises Misuse for a word that is no device, Failure for a GPU that PyTorch does not see.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise Misuse(f"--device {device}: known are auto, cpu, cuda and cuda:N")
    if device == "auto":
        chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        remark(f"running on {chosen}")
        return chosen
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise Failure(f"--device {device}: PyTorch sees {torch.cuda.device_count()} GPUs here")
    return chosen


@contextmanager
def _fitting(size: Size) -> Iterator[None]:
    """Out of memory, which PyTorch tells in several ways, becomes a Failure."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise Failure(
            f"{size[1]}x{size[0]} pixels do not fit into memory: ask for a smaller --size"
        ) from error


def _resized(picture: Tensor, size: Size) -> Tensor:
    return interpolate(picture, size, mode="bicubic", align_corners=False)


def _to_bytes(picture: Tensor) -> Bytes:
    planes = picture[0].mul(255).round().clamp(0, 255).to(torch.uint8)
    return planes.permute(1, 2, 0).contiguous().cpu().numpy()
