"""Patches of a picture, and for each the patch elsewhere that is most like it.

A field of nearest neighbours (Barnes et al. 2009, PatchMatch), computed for all places at once.
Patches are compared by their principal components, which takes a tenth of the time that comparing
their pixels does.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
"""Pixels by their index in the flattened picture; of a patch, its middle."""

RADIUS = 3
"""A patch is 7 x 7 pixels."""

SIDE = 2 * RADIUS + 1

COMPONENTS = 24
"""Principal components by which patches are compared."""

DOWN, ACROSS = 120.0, 30.0
"""Patches that lie as far apart as the picture is long, down and across, are as unlike as if all
their pixels differed by so much in one channel."""

SAMPLE = 4000
"""Patches that the components are computed of."""

CHUNK = 2**15
"""Patches that are looked at together, few enough for the processor's caches."""

COHERENCE = 0.25

EXACT = 2**27
"""Pairs of patches up to which all are compared."""


def patches(picture: Floats, places: Places) -> Floats:
    """Patches of a picture [H, W, C] around places that keep off its border: [N, 49 C]."""
    _, width, channels = picture.shape
    pixel = picture.strides[1]
    flat = picture.reshape(-1, channels)
    # Each row of a patch is one stretch of memory.
    rows = as_strided(
        flat, (len(flat) - SIDE + 1, SIDE * channels), (pixel, picture.itemsize), writeable=False
    )
    found = np.empty((len(places), SIDE, SIDE * channels), np.float32)
    for row in range(SIDE):
        found[:, row] = rows[places + (row - RADIUS) * width - RADIUS]
    return found.reshape(len(places), -1)


def inner(shape: tuple[int, ...]) -> Mask:
    """Where a patch lies wholly in a picture of this shape: [H, W]."""
    mask = np.zeros(shape[:2], bool)
    mask[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
    return mask


def whereabouts(places: Places, shape: tuple[int, ...]) -> Floats:
    """Where patches lie, as two numbers to compare beside their pixels: [N, 2]."""
    scale = SIDE / max(shape[:2])
    y, x = np.divmod(places, shape[1])
    return np.stack([y * (DOWN * scale), x * (ACROSS * scale)], 1).astype(np.float32)


class Sources:
    """The patches that may be copied, at `places` of a picture [H, W, C]."""

    def __init__(self, picture: Floats, places: Places, rng: Generator) -> None:
        self.places = places
        self.shape = picture.shape[:2]
        self.row = np.full(self.shape[0] * self.shape[1], -1, np.int32)
        self.row[places] = np.arange(len(places), dtype=np.int32)
        some = places[rng.integers(len(places), size=SAMPLE)] if len(places) > SAMPLE else places
        sample = patches(picture, some)
        self.mean = sample.mean(0)
        sample -= self.mean
        _, axes = np.linalg.eigh(sample.T @ sample)
        self.axes = np.ascontiguousarray(axes[:, : -COMPONENTS - 1 : -1])
        self.components = self.project(picture, places)

    def project(self, picture: Floats, places: Places) -> Floats:
        """What patches of a picture are compared by: [N, COMPONENTS + 2]. The last two are where
        they lie, for sky is above and ground below."""
        count = self.axes.shape[1]
        found = np.empty((len(places), count + 2), np.float32)
        offset = self.mean @ self.axes
        for start in range(0, len(places), CHUNK):
            part = slice(start, start + CHUNK)
            found[part, :count] = patches(picture, places[part]) @ self.axes - offset
        found[:, count:] = whereabouts(places, self.shape)
        return found

    def nearest(self, wanted: Floats) -> Places:
        """The most alike of all sources for each of the components [N, COMPONENTS]."""
        lengths = np.square(self.components).sum(1)
        best = np.empty(len(wanted), np.int64)
        step = max(1, 2**23 // len(self.places))
        for start in range(0, len(wanted), step):
            part = slice(start, start + step)
            apart = wanted[part] @ (-2 * self.components.T)
            apart += lengths
            best[part] = apart.argmin(1)
        return self.places[best]


class Field:
    """For each patch at `targets` the source that is most like it, as found so far.

    `found` [N] are places of sources, `apart` [N] the squared distances of components. A source is
    also preferred that goes on with what the neighbours copy, since what is copied in one piece is
    sharp and whole: each of four neighbours that copies from elsewhere costs COHERENCE of what the
    patches are apart in the median.
    """

    def __init__(self, targets: Places, shape: tuple[int, int], found: Places) -> None:
        self.targets = targets
        self.shape = shape
        self.found = found
        self.apart = np.full(len(targets), np.inf, np.float32)
        self.index = np.full(shape[0] * shape[1], -1, np.int32)
        self.index[targets] = np.arange(len(targets), dtype=np.int32)
        self.steps = (1, -1, shape[1], -shape[1])
        self.beside = [self.index[targets + step] for step in self.steps]

    def search(
        self, sources: Sources, picture: Floats, rng: Generator, rounds: int, reach: int
    ) -> None:
        """Better sources for the patches of a picture as it is now.

        All of them are compared where they are few. Each patch tries what its neighbours found,
        moved along, and places at random that are ever nearer to what it has, the first up to
        `reach` pixels away.
        """
        wanted = sources.project(picture, self.targets)
        self.apart = _apart(sources, wanted, self.found)
        penalty = COHERENCE * max(float(np.median(self.apart)), 10.0)
        if len(self.targets) * len(sources.places) <= EXACT:
            self._try(sources, wanted, sources.nearest(wanted), penalty)
        for turn in range(rounds):
            for far in (1, 2, 4) if turn == 0 else (1,):
                for step in self.steps:
                    beyond = (self.targets - step * far).clip(0, len(self.index) - 1)
                    neighbour = self.index[beyond]
                    moved = np.where(neighbour < 0, self.found, self.found[neighbour] + step * far)
                    self._try(sources, wanted, moved, penalty)
            radius = reach
            while radius >= 1:
                self._try(sources, wanted, self._near(rng, radius), penalty)
                radius //= 3

    def _near(self, rng: Generator, radius: int) -> Places:
        down, across = rng.integers(-radius, radius + 1, (2, len(self.found)))
        height, width = self.shape
        y, x = np.divmod(self.found, width)
        y = (y + down).clip(RADIUS, height - 1 - RADIUS)
        return np.asarray(y * width + (x + across).clip(RADIUS, width - 1 - RADIUS))

    def _try(self, sources: Sources, wanted: Floats, places: Places, penalty: float) -> None:
        places = places.clip(0, len(sources.row) - 1)
        # What a patch has already need not be compared again.
        new = np.flatnonzero((places != self.found) & (sources.row[places] >= 0))
        places = places[new]
        apart = _apart(sources, wanted[new], places)
        gain = self.apart[new] - apart
        gain += penalty * (self._along(new, places) - self._along(new, self.found[new]))
        better = gain > 0
        new = new[better]
        self.found[new], self.apart[new] = places[better], apart[better]

    def _along(self, which: Places, places: Places) -> Floats:
        """With how many of the four neighbours a source would go on."""
        count = np.zeros(len(which), np.float32)
        for step, beside in zip(self.steps, self.beside, strict=True):
            neighbour = beside[which]
            count += (neighbour >= 0) & (self.found[neighbour] == places + step)
        return count


def _apart(sources: Sources, wanted: Floats, places: Places) -> Floats:
    difference = sources.components[sources.row[places]]
    difference -= wanted
    return np.einsum("ij,ij->i", difference, difference)
