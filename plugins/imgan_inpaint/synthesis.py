"""Holes filled with patches of the picture around them, coarse to fine.

Wexler, Shechtman and Irani 2007, Space-Time Completion of Video, with the texture features and the
onion peeling of Newson et al. 2017, Non-Local Patch-Based Image Inpainting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from imgan_inpaint.membrane import depth, doubled, grown, halved, membrane, smoothed
from imgan_inpaint.patches import (
    RADIUS,
    Field,
    Floats,
    Mask,
    Places,
    Sources,
    inner,
    patches,
    whereabouts,
)


class Guess(Protocol):
    """What a network thinks belongs into a hole."""

    @property
    def side(self) -> int:
        """The longer side of the pictures that it is shown, at most."""

    @property
    def stays(self) -> bool:
        """Whether it is kept as it is, and patches add what is finer alone."""

    @property
    def rim(self) -> int:
        """How far from the border what stays gets all of its weight, in pixels of the picture that
        it is shown: what lies nearer, the photo's patches know as well. 0: all of it stays."""

    def __call__(self, picture: Floats, hole: Mask) -> Floats:
        """From a picture [H, W, 3] in 0..255 and its hole [H, W] to one whose hole is filled."""


THICKNESS = 8
"""The coarsest picture is one in which no pixel of the hole is farther from its border."""

SMALLEST = 32
"""Shorter side of a picture that may be made coarser, in pixels: twice that."""

SHARP = 4.0
"""How much sooner a patch loses its vote that is less like its source than others."""

LIGHT = 32.0
"""Differences at the border beyond this are of another kind than light, and count as this."""

TEXTURE = 3.0
"""How much a difference of texture weighs, beside one of colour."""

TRUST = 1.3
"""A patch weighs so much less with every pixel that it lies deeper in the hole."""

DEEP = 24
"""Beyond this depth nothing is trusted less, in pixels."""

ROUNDS = (2, 4, 6, 8)
"""Searches and votes from the finest size on; the last for all that are coarser."""

MANY = 2**16
"""Patches in a hole above which sources are what the coarser size found, and what lies near."""

NEAR = 4
"""How near, in pixels."""

SOME = 2**12
"""Sources that are compared when a hole is peeled."""


@dataclass
class Level:
    """A size of the picture: [H, W, 5] RGB and texture, where the hole is, what may be copied."""

    picture: Floats
    hole: Mask
    usable: Mask

    def __post_init__(self) -> None:
        fits = inner(self.hole.shape)
        self.sources: Places = np.flatnonzero(~grown(~self.usable, RADIUS) & fits)
        self.targets: Places = np.flatnonzero(grown(self.hole, RADIUS) & fits)

    @property
    def shape(self) -> tuple[int, int]:
        return self.hole.shape[0], self.hole.shape[1]


def fill(
    picture: Floats,
    hole: Mask,
    usable: Mask | None = None,
    guess: Guess | None = None,
    meter: Callable[[float], None] = lambda share: None,
) -> Floats:
    """A picture [H, W, 3] in 0..255 whose hole [H, W] is filled.

    Only patches that are `usable` [H, W] all over are copied; the hole never is. `guess` makes the
    first filling of the coarsest size; without it the hole is peeled. `meter` hears what share of
    the work is done.
    """
    rng = np.random.default_rng(0)
    usable = ~hole if usable is None else usable & ~hole
    levels = _levels(picture, hole, usable, guess.side if guess else None)
    coarsest = levels[-1]
    if not len(coarsest.sources) or not len(coarsest.targets):
        return membrane(picture, hole)
    guessed: Floats | None = None
    if guess is None:
        _peel(coarsest, rng)
    else:
        guessed = _take(coarsest, guess)
    field: Field | None = None
    for size, level in reversed(list(enumerate(levels))):
        field = _refine(level, field, rng, size, meter)
    assert field is not None
    filled = _meet(levels[0], field)
    if guess is not None and guess.stays:
        assert guessed is not None
        _keep(filled, guessed, levels, guess.rim)
    return filled


def _levels(picture: Floats, hole: Mask, usable: Mask, side: int | None) -> list[Level]:
    planes = np.concatenate([picture, _texture(picture, ~hole)], 2)
    levels = [Level(planes, hole, usable)]
    while min(hole.shape) >= 2 * SMALLEST and (
        max(hole.shape) > side if side else depth(hole, THICKNESS + 1).max() > THICKNESS
    ):
        planes, _ = halved(planes, ~hole)
        hole, usable = _any(hole), ~_any(~usable)
        level = Level(planes, hole, usable)
        if not len(level.sources):
            break
        levels.append(level)
    return levels


def _any(mask: Mask) -> Mask:
    return halved(mask[..., None].astype(np.float32), np.ones_like(mask))[0][..., 0] > 0


def _texture(picture: Floats, known: Mask) -> Floats:
    """How steep a picture is along x and y, averaged over 5 x 5 known pixels: [H, W, 2]."""
    grey = picture.mean(2)
    steep = np.zeros((*grey.shape, 2), np.float32)
    steep[:, 1:, 0] = np.abs(np.diff(grey, axis=1))
    steep[1:, :, 1] = np.abs(np.diff(grey, axis=0))
    weight = (~grown(~known))[..., None].astype(np.float32)
    mean = _box(steep * weight) / np.maximum(_box(weight), 1e-6)
    return np.asarray(TEXTURE * mean, np.float32)


def _box(planes: Floats) -> Floats:
    for axis in (0, 1):
        margins = [(2, 2) if i == axis else (0, 0) for i in range(3)]
        padded = np.pad(planes, margins, "edge")
        length = planes.shape[axis]
        parts = [padded.take(range(i, i + length), axis) for i in range(5)]
        planes = np.asarray(sum(parts) / 5, np.float32)
    return planes


def _take(level: Level, guess: Guess) -> Floats:
    """Fill the coarsest hole with what is guessed, which is returned, and with the texture of its
    surroundings."""
    guessed = guess(level.picture[..., :3], level.hole)
    smooth = membrane(level.picture, level.hole)
    level.picture[level.hole, :3] = guessed[level.hole]
    level.picture[level.hole, 3:] = smooth[level.hole, 3:]
    return guessed


def _keep(filled: Floats, guessed: Floats, levels: list[Level], rim: int) -> None:
    """Change a filled picture, in place, so that made smaller it is what was guessed; within `rim`
    pixels of the border the less, the nearer."""
    small = filled
    for _ in levels[1:]:
        small, _ = halved(small, np.ones(small.shape[:2], bool))
    hole = levels[-1].hole
    share = hole if rim == 0 else np.square(depth(hole, rim) / np.float32(rim))
    apart = (guessed - small) * share[..., None]
    for level in levels[-2::-1]:
        apart = doubled(apart)[: level.shape[0], : level.shape[1]]
    hole = levels[0].hole
    filled[hole] += apart[hole]


def _peel(level: Level, rng: Generator) -> None:
    """A first filling of the coarsest hole, a ring of pixels at a time from its border on: each
    gets its pixel of the patch that is most like what is known around it."""
    flat = level.picture.reshape(-1, level.picture.shape[2])
    sources = level.sources
    if len(sources) > SOME:
        sources = np.sort(rng.choice(sources, SOME, replace=False))
    known = ~level.hole
    found = patches(level.picture, sources)
    squares = np.square(found)
    lies = whereabouts(sources, level.shape)
    far = np.square(lies).sum(1)
    height, width = level.shape
    while not known.all():
        ring = np.flatnonzero(~known & grown(known))
        y, x = np.divmod(ring, width)
        middle = y.clip(RADIUS, height - 1 - RADIUS) * width + x.clip(RADIUS, width - 1 - RADIUS)
        seen = patches(_planes(known, level.picture.shape[2]), middle)
        wanted = patches(level.picture, middle) * seen
        apart = seen @ squares.T - 2 * (wanted @ found.T)
        apart += far - 2 * (whereabouts(middle, level.shape) @ lies.T)
        best = sources[apart.argmin(1)]
        flat[ring] = flat[best + ring - middle]
        known = known.copy()
        known.flat[ring] = True


def _planes(mask: Mask, count: int) -> Floats:
    return np.repeat(mask[..., None], count, 2).astype(np.float32)


def _refine(
    level: Level,
    coarse: Field | None,
    rng: Generator,
    size: int,
    meter: Callable[[float], None],
) -> Field:
    """Searches and votes in turn, from what the coarser size found."""
    targets, sources = level.targets, level.sources
    if coarse is None:
        found = sources[rng.integers(len(sources), size=len(targets))]
    else:
        found = _inherited(level, coarse)
        if len(targets) > MANY:
            near = np.zeros(level.shape, bool)
            near.flat[found] = True
            near = grown(near, NEAR)
            sources = sources[near.flat[sources]]
    known = Sources(level.picture, sources, rng)
    found = np.where(
        known.row[found] < 0, sources[rng.integers(len(sources), size=len(found))], found
    )
    field = Field(targets, level.shape, found)
    trust = TRUST ** -depth(level.hole, DEEP).astype(np.float32).ravel()[targets]
    if coarse is not None:
        field.apart[:] = 1
        _vote(level, field, trust)
    rounds = ROUNDS[min(size, len(ROUNDS) - 1)]
    reach = max(level.shape) if coarse is None else NEAR
    for done in range(1, rounds + 1):
        field.search(known, level.picture, rng, 2, reach)
        _vote(level, field, trust, SHARP)
        # A size takes four times as long as the next coarser one.
        meter((0.25 + 0.75 * done / rounds) * 4.0**-size)
    return field


def _inherited(level: Level, coarse: Field) -> Places:
    """What the coarser size found, for each patch of this one."""
    height, width = level.shape
    small = coarse.shape
    y, x = np.divmod(level.targets, width)
    # The coarse patch may not fit into its picture where this one does.
    row = (y // 2).clip(RADIUS, small[0] - 1 - RADIUS)
    column = (x // 2).clip(RADIUS, small[1] - 1 - RADIUS)
    index = coarse.index[row * small[1] + column]
    assert (index >= 0).all()
    down, across = np.divmod(coarse.found[index], small[1])
    down = (y + 2 * (down - row)).clip(RADIUS, height - 1 - RADIUS)
    across = (x + 2 * (across - column)).clip(RADIUS, width - 1 - RADIUS)
    return down * width + across


def _meet(level: Level, field: Field) -> Floats:
    """The filled picture, whose light meets what is there, and itself.

    On a ring around the hole what the patches say is compared with what is known. The difference
    goes on into the hole as a smooth surface, as in Poisson blending (Perez et al. 2003), at a
    quarter of the size: it is the light that is to meet, not the texture. Then the seams between
    what was copied from here and from there are made as steep as the patches over them say.
    """
    picture = level.picture[..., :3]
    ring = grown(level.hole, RADIUS) & level.usable
    box = _box_of(grown(level.hole, 4 * RADIUS))
    inside = level.hole[box]
    votes = Votes(level, field, np.ones(len(field.targets), np.float32), 1)
    if ring.any():
        places = np.flatnonzero(ring)
        apart = np.zeros_like(picture)
        known = picture.reshape(-1, 3)[places]
        said = votes.said(picture, places)
        apart.reshape(-1, 3)[places] = (known - said).clip(-LIGHT, LIGHT)
        small, where = halved(*halved(apart[box], ring[box]))
        light = doubled(doubled(membrane(small, ~where)))
        height, width = inside.shape
        picture[box][inside] += light[:height, :width][inside]
    places = np.flatnonzero(level.hole)
    steps = np.zeros((*level.shape, 6), np.float32)
    steps[:, :-1, :3] = np.diff(picture, axis=1)
    steps[:-1, :, 3:] = np.diff(picture, axis=0)
    apart = np.zeros_like(steps)
    wanted = votes.said(steps, places)
    apart.reshape(-1, 6)[places] = wanted - steps.reshape(-1, 6)[places]
    picture[box][inside] += smoothed(apart[box], inside)
    return picture


def _box_of(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


class Votes:
    """What the patches over a pixel have there: a mean, weighted by trust and by how far a patch
    and its source are apart, in parts of the mean of all that lie over the pixel."""

    def __init__(self, level: Level, field: Field, trust: Floats, sharper: float) -> None:
        width = level.shape[1]
        self.width, self.sharper = width, sharper
        # Around the picture, and at the end, is what counts for nothing.
        self.patch = np.pad(field.index.reshape(level.shape), RADIUS, constant_values=-1).ravel()
        self.found, self.apart = np.append(field.found, 0), np.append(field.apart, 0)
        self.trust = np.append(trust, 0).astype(np.float32)

    def said(self, planes: Floats, places: Places) -> Floats:
        """Of planes [H, W, C] that patches copy, at each place: [N, C]."""
        flat = planes.reshape(-1, planes.shape[2])
        wide = self.width + 2 * RADIUS
        padded = places + (places // self.width) * 2 * RADIUS + RADIUS * wide + RADIUS
        around = range(-RADIUS, RADIUS + 1)
        over = [(self.patch[padded - y * wide - x], y * self.width + x)
                for y in around for x in around]  # fmt: skip
        sums, count = np.full(len(places), 1e-6, np.float32), np.zeros(len(places), np.float32)
        for patch, _ in over:
            sums += self.apart[patch]
            count += patch >= 0
        scale = -self.sharper * count / sums
        total = np.zeros((len(places), flat.shape[1]), np.float32)
        counted = np.full((len(places), 1), 1e-20, np.float32)
        for patch, step in over:
            share = (self.trust[patch] * np.exp(self.apart[patch] * scale))[:, None]
            total += share * flat[(self.found[patch] + step).clip(0)]
            counted += share
        return total / counted


def _vote(level: Level, field: Field, trust: Floats, sharper: float = 1) -> None:
    """Each pixel of the hole becomes what the patches over it say."""
    hole = np.flatnonzero(level.hole)
    flat = level.picture.reshape(-1, level.picture.shape[2])
    flat[hole] = Votes(level, field, trust, sharper).said(level.picture, hole)
