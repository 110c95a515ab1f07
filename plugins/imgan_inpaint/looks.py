"""What a hole is expected to look like from afar, and which of its border goes on into it.

Its surroundings are of a few kinds of colour and texture. Each kind goes on into the hole, and the
borders between them become as short as they can be (Merriman, Bence and Osher 1992, Motion of
multiple junctions; Esedoglu and Otto 2015). So a horizon goes on through the hole, and a thing that
touches it on one side ends there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from imgan_inpaint.membrane import boxed, depth, doubled, grown, halved, membrane

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

KINDS = 12

TEXTURE = 3.0
"""How much a difference of texture weighs, beside one of colour."""

REACH = 40
"""Kinds are those of what is so near to the hole, in pixels."""

SAMPLE = 3000
"""Pixels by which kinds are told apart."""

ALIKE = 40.0
"""Kinds whose common border is less steep than this are one thing in another light."""

DOUBT = 60.0
"""How far a network's colours may be from what is there."""

SPREAD = 2
"""Looks are means over 5 x 5 pixels."""

BESIDE = 6
"""How far outside of the hole it is asked whether things go on into it, in pixels."""

# What looks are compared by, of red, green, blue and two of texture: brightness counts less than
# colour does, for things lie in the shade of others.
_WEIGHTS = np.zeros((5, 5), np.float32)
_WEIGHTS[:3, 0] = 0.8 / 3**0.5
_WEIGHTS[:3, 1] = np.array([1, 0, -1]) * 1.6 / 2**0.5
_WEIGHTS[:3, 2] = np.array([1, -2, 1]) * 1.6 / 6**0.5
_WEIGHTS[3, 3] = _WEIGHTS[4, 4] = 2.0
_BACK = np.linalg.inv(_WEIGHTS)


@dataclass(frozen=True)
class Looks:
    """Of a picture [H, W] with a hole."""

    look: Floats
    """[H, W, 5]: as it is seen from afar, and in the hole as it is expected to be."""
    goes_on: Floats
    """[H, W], 0..1: how far what lies beside the hole goes on into it."""

    @property
    def shape(self) -> tuple[int, int]:
        return self.look.shape[0], self.look.shape[1]

    @classmethod
    def of(cls, planes: Floats, hole: Mask) -> Looks:
        """Of planes [H, W, 5] whose hole [H, W] is filled already."""
        return cls(look_of(planes, np.ones_like(hole)), (~hole).astype(np.float32))

    def halved(self) -> Looks:
        """At half the size."""
        every = np.ones(self.shape, bool)
        goes_on, _ = halved(self.goes_on[..., None], every)
        return Looks(halved(self.look, every)[0], goes_on[..., 0])

    def doubled(self, shape: tuple[int, int]) -> Looks:
        """At twice the size, give or take a pixel."""
        look, goes_on = doubled(self.look), doubled(self.goes_on[..., None])
        return Looks(look[: shape[0], : shape[1]], goes_on[: shape[0], : shape[1], 0])

    @property
    def planes(self) -> Floats:
        """The look as colours and texture, [H, W, 5]."""
        return np.asarray(self.look @ _BACK, np.float32)


def look_of(planes: Floats, known: Mask) -> Floats:
    """Planes [H, W, 5], colours and texture, as they are seen from afar."""
    weight = known[..., None].astype(np.float32)
    total = boxed(planes @ _WEIGHTS * weight, SPREAD)
    return np.asarray(total / np.maximum(boxed(weight, SPREAD), 1e-6), np.float32)


def expected(planes: Floats, hole: Mask, rng: Generator, guess: Floats | None = None) -> Looks:
    """What a hole in planes [H, W, 5], colours and texture, is expected to look like.

    `guess` [H, W, 3], the colours that a network thinks are there, says which of the kinds around
    are likely.
    """
    known = ~hole
    look = look_of(planes, known)
    near = np.flatnonzero(grown(hole, REACH) & known)
    sample = look.reshape(-1, look.shape[2])[rng.choice(near, min(len(near), SAMPLE))]
    means = _means(sample, rng)
    kind = _nearest(look.reshape(-1, look.shape[2]), means).reshape(hole.shape)
    likely = np.ones((*hole.shape, len(means)), np.float32)
    if guess is not None:
        apart = np.square((guess @ _WEIGHTS[:3])[..., None, :3] - means[:, :3]).sum(3)
        likely = np.exp(-np.minimum(apart / (2 * DOUBT**2), 4))
    kind = _continued(kind, hole, likely)
    apart = _apart(look, kind, grown(hole, REACH) & known, means)
    alike = np.exp(-np.square(apart / ALIKE))
    goes_on = np.zeros(hole.shape, np.float32)
    hole_beside = np.maximum(boxed(hole.astype(np.float32), BESIDE), 1)
    total, counted = np.zeros_like(look), np.zeros((*hole.shape, 1), np.float32)
    reach = max(2, int(depth(hole, 64).max()) // 3)
    for one in np.unique(kind[hole]):
        # The look of what lies around, most of all of what is of the same kind.
        weight = (alike[one][kind] * known)[..., None]
        both = membrane(np.concatenate([look * weight, weight], 2), hole)
        # What differs by its light alone goes over into one another.
        share = boxed((kind == one).astype(np.float32), reach) * alike[one][kind]
        total += share[..., None] * both[..., :-1] / np.maximum(both[..., -1:], 1e-6)
        counted += share[..., None]
        # Whether more than a hair's breadth of the hole is of this kind.
        part = boxed((hole & (kind == one)).astype(np.float32), BESIDE) / hole_beside
        goes_on = np.maximum(goes_on, weight[..., 0] * (2 * part - 0.4).clip(0, 1))
    filled = np.where(hole[..., None], total / np.maximum(counted, 1e-6), look)
    return Looks(filled, goes_on)


def _means(sample: Floats, rng: Generator) -> Floats:
    """The means of kinds, [K, C]: k-means, from places that lie far apart."""
    means = sample[:1]
    apart = np.square(sample - means).sum(1)
    while len(means) < KINDS and apart.max() > 0:
        means = np.concatenate(
            [means, sample[rng.choice(len(sample), p=apart / apart.sum())][None]]
        )
        apart = np.minimum(apart, np.square(sample - means[-1]).sum(1))
    for _ in range(12):
        nearest = _nearest(sample, means)
        for one in np.unique(nearest):
            means[one] = sample[nearest == one].mean(0)
    return means


def _nearest(looks: Floats, means: Floats) -> NDArray[np.int64]:
    return np.asarray((np.square(means).sum(1) - 2 * looks @ means.T).argmin(1))


def _continued(kind: NDArray[np.int64], hole: Mask, likely: Floats) -> NDArray[np.int64]:
    """The kind of each pixel, with those in the hole as its border demands."""
    one_of = np.eye(likely.shape[2], dtype=np.float32)
    known = ~hole
    kind = kind.copy()
    planes = one_of[kind] * known[..., None]
    kind[known] = boxed(planes, SPREAD).argmax(2)[known]
    kind[hole] = (likely * membrane(one_of[kind] * known[..., None], hole)).argmax(2)[hole]
    reach = max(2, int(depth(hole, 64).max()) // 2)
    while reach:
        for _ in range(8):
            planes = one_of[kind]
            for _ in range(3):  # nearly a Gaussian
                planes = boxed(planes, reach) / np.float32((2 * reach + 1) ** 2)
            kind[hole] = planes.argmax(2)[hole]
        reach //= 2
    return kind


def _apart(look: Floats, kind: NDArray[np.int64], where: Mask, means: Floats) -> Floats:
    """How unlike kinds are, [K, K]: how steep it is where they meet, or those between them, or how
    far their means are apart."""
    apart = np.sqrt(np.square(means[:, None] - means[None]).sum(2))
    total, count = np.zeros_like(apart), np.zeros_like(apart)
    for axis in (0, 1):
        last, first = [slice(None)] * 2, [slice(None)] * 2
        last[axis], first[axis] = slice(1, None), slice(None, -1)
        one, other = tuple(first), tuple(last)
        meet = where[one] & where[other] & (kind[one] != kind[other])
        step = np.sqrt(np.square(look[one][meet] - look[other][meet]).sum(1))
        np.add.at(total, (kind[one][meet], kind[other][meet]), step)
        np.add.at(count, (kind[one][meet], kind[other][meet]), 1)
    total, count = total + total.T, count + count.T
    # Over 2 SPREAD + 1 pixels a sharp edge is as steep as its sides are unlike.
    steep = total / np.maximum(count, 1) * (2 * SPREAD + 1)
    apart = np.where(count > 8, np.minimum(apart, steep), apart)
    for by in range(len(means)):
        apart = np.minimum(apart, np.maximum(apart[:, by, None], apart[by]))
    return np.asarray(apart, np.float32)
