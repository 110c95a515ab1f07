"""How `LocalRegression` is solved for, out of aligned pairs of sketches and photos."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from imgan.training.data import to_tensor
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_translate import Pix2PixSettings, SketchFaceSettings
from imgan_translate.local_regression import HALF, MADE, SEEN, SIDE, STRIDE, LocalRegression
from imgan_translate.preprocess import bars, paper
from imgan_translate.training.photos import rows
from imgan_translate.training.pix2pix import read_pairs

PATCHES = 6000
"""So many patches the principal components are those of."""

GROUND = 0.62, 0.70, 0.76
"""What is around the head, RGB in 0..1."""

BLUE = 0.15, 0.75
"""How blue the ground begins to be, and surely is, in parts of what it is in the middle."""

FILL = 48
"""Pixels by which the head's colours go on over the ground."""


class SketchFaceTask(Task[SketchFaceSettings]):
    """Solved in the first step; further ones solve again.

    With X the coefficients of all sketches and Y those of all photos at a place, mirrored ones
    included, A = (X'X + r I)^-1 X'Y, where X'X and X'Y are sums over the places around it under a
    Gaussian: what is a place's own takes more pairs than there are.
    """

    shipped = "generator"

    def __init__(self, data: Path, settings: SketchFaceSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.generator = LocalRegression(settings.seen, settings.made)
        self.networks["generator"] = self.generator
        self.average("generator")

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Sketches [N, 1, 128, 128] and photos with mattes [N, 4, 128, 128], in 0..1."""
        settings = Pix2PixSettings(crop=SIDE, load=SIDE, faces=True, swap=True)
        read = read_pairs(self.data, settings)
        sketches = avg_pool2d(to_tensor([paper(sketch) for sketch, _ in read])[:, :1], 2)
        photos = avg_pool2d(to_tensor([photo for _, photo in read]), 2)
        outside = avg_pool2d(to_tensor([bars(photo)[..., None] for _, photo in read]), 2) > 0
        return sketches, before_ground(photos, outside)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        return tuple(torch.cat([kind, kind.flip(3)]) for kind in self.pairs)

    @torch.no_grad()
    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        sketches, faces = batch
        network, settings = self.generator, self.settings
        _solve_components(network, sketches, faces)
        x = network.encode(sketches)
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        around = pad(faces - network.mean, ((MADE - STRIDE) // 2,) * 4, "replicate")
        window = _window(around)
        y = conv2d(around, network.decoder / window, None, STRIDE)
        inner, outer = (
            _smoothed(torch.einsum("nihw,njhw->ijhw", x, other), settings.reach) for other in (x, y)
        )
        ridge = settings.ridge * inner.diagonal().mean() * torch.eye(len(inner), device=x.device)
        ridge[-1, -1] = 0  # of the offset, which is no coefficient
        inner, outer = (sums.permute(2, 3, 0, 1) for sums in (inner, outer))
        solved = torch.linalg.solve(inner + ridge, outer).permute(3, 2, 0, 1)
        network.maps.copy_(solved[:, :-1])
        network.offsets.copy_(solved[:, -1])
        network.ground.copy_(torch.tensor(GROUND).view(3, 1, 1))
        return {"l1": (network.regress(sketches) - faces).abs().mean()}

    @torch.no_grad()
    def sample(self) -> Tensor:
        sketches, faces = (kind[:6] for kind in self.pairs)
        device = self.generator.ground.device
        large = interpolate(sketches.to(device), scale_factor=2.0).expand(-1, 3, -1, -1) * 2 - 1
        truths = interpolate(faces[:, :3], scale_factor=2.0) * 2 - 1
        return rows(large, self.trained("generator")(large), truths)


def before_ground(photos: Tensor, outside: Tensor) -> Tensor:
    """Photos [N, 3, 128, 128] before a blue ground, RGB in 0..1, to RGB and matte [N, 4, 128, 128].

    The colours of the head go on over the ground, so that no edge takes some of its blue. `outside`
    [N, 1, 128, 128] are pixels that the photo did not have.
    """
    bluer = photos[:, 2:] - photos[:, :1]
    margin = torch.cat([bluer[..., 16:60, 3:10], bluer[..., 16:60, -10:-3]], 3)
    ground = margin.flatten(1).median(1).values.clamp(min=0.15).view(-1, 1, 1, 1)
    low, high = BLUE
    matte = 1 - ((bluer / ground - low) / (high - low)).clamp(0, 1)
    # Below, dark pixels at the border are hair and clothes.
    matte[:, :, : 3 * HALF // 4][outside[:, :, : 3 * HALF // 4]] = 0
    known = (matte > 0.95).float()
    colours = photos * known
    for _ in range(FILL):
        weights, sums = (avg_pool2d(pad(p, (1,) * 4), 3, 1) for p in (known, colours * known))
        colours = torch.where(known > 0, colours, sums / weights.clamp(min=1e-6))
        known = (weights > 0).float()
    return torch.cat([torch.where(known > 0, colours, photos), matte], 1)


def _solve_components(network: LocalRegression, sketches: Tensor, faces: Tensor) -> None:
    """Principal components of patches of sketches, and of what is not the mean of the faces."""
    network.mean.copy_(faces.mean(0))
    mean, components = _principal(sketches, SEEN, len(network.center))
    network.encoder.copy_(components.view_as(network.encoder))
    network.center.copy_(-(components @ mean))
    _, components = _principal(faces - network.mean, MADE, len(network.decoder))
    components = components.view_as(network.decoder)
    network.decoder.copy_(components * _window(components))


def _principal(pictures: Tensor, side: int, count: int) -> tuple[Tensor, Tensor]:
    """The mean of random patches [C side side] and their first components, a row each."""
    which = torch.randint(len(pictures), (PATCHES,)).tolist()
    corners = torch.randint(HALF - side + 1, (PATCHES, 2)).tolist()
    patches = torch.stack([
        pictures[n, :, y : y + side, x : x + side].flatten()
        for n, (y, x) in zip(which, corners, strict=True)
    ])  # fmt: skip
    mean = patches.mean(0)
    components = torch.linalg.eigh((patches - mean).T.cov()).eigenvectors.flip(1)
    return mean, components[:, :count].T


def _window(like: Tensor) -> Tensor:
    """Hann's, [MADE, MADE]; of patches STRIDE apart it adds up to 1."""
    line = torch.sin(torch.pi * (torch.arange(MADE, device=like.device) + 0.5) / MADE) ** 2
    line = line * STRIDE / line.sum()
    return line[:, None] * line


def _smoothed(sums: Tensor, sigma: float) -> Tensor:
    """[I, J, H, W], each place with those around it under a Gaussian."""
    reach = round(2.5 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).to(sums)
    weights /= weights.sum()
    planes = pad(sums.flatten(0, 1)[:, None], (reach,) * 4, "replicate")
    planes = conv2d(conv2d(planes, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    return planes.view_as(sums)
