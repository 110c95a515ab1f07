"""A person's own hair as a material: which way it flows, and its colours along strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, sampled, smoothstep, weighted_mean
from imgan.images.upsampling import LUMA
from imgan_edit.regions.view import View

Points = NDArray[np.floating]

LOCAL = 0.07
"""What is finer than this, in distances of the eyes, are strands; coarser is light and shade."""

STEP = 2.0
"""Strands are followed in steps of so many pixels."""

STRAIGHT = 0.65
"""How much of a step's direction is the last one's."""


@dataclass(frozen=True, eq=False)
class Hair:
    """The hair of a view."""

    pixels: Floats
    """[h, w, 3] sRGB: the view."""
    deep: Floats
    """[h, w] in 0..1: where it is hair and nothing else."""
    low: Floats
    """[h, w, 3]: its colours without strands."""
    flow: Floats
    """[h, w, 2]: cosine and sine of twice the angle of its strands, times how far they agree."""

    @classmethod
    def of(cls, view: View, matte: Floats) -> Hair:
        """Of a view whose hair is in `matte` [h, w]. Strands run across the gradient: the structure
        tensor (Bigun and Granlund 1987)."""
        unit = view.eye_distance
        deep = smoothstep(blurred(matte, 0.03 * unit), 0.85, 0.98)
        down, across = np.gradient(blurred(view.pixels @ LUMA, 0.7))
        products = [across * across, down * down, across * down]
        xx, yy, xy = (blurred((p * deep).astype(np.float32), 0.04 * unit) for p in products)
        flow = np.stack([yy - xx, -2 * xy], -1) / (xx + yy + 1e-9)[..., None]
        low = weighted_mean(view.pixels, deep, LOCAL * unit)
        return cls(view.pixels, deep, low, flow.astype(np.float32))

    @property
    def agreement(self) -> Floats:
        """How far strands agree on a direction, [h, w] in 0..1."""
        return np.hypot(self.flow[..., 0], self.flow[..., 1])

    def contrast(self, unit: float) -> Floats:
        """The deviation of the strands' lightness around each pixel, [h, w]."""
        fine = (((self.pixels - self.low) @ LUMA) ** 2 * self.deep).astype(np.float32)
        return np.sqrt(weighted_mean(fine, self.deep, 0.08 * unit).clip(0))

    def directions(self, places: Points) -> Points:
        """The unit vectors of strands at `places` [n, 2], downwards, [n, 2]."""
        cos, sin = taken(self.flow, places).T
        angle = np.arctan2(sin, cos) / 2
        way = np.stack([np.cos(angle), np.sin(angle)], 1)
        return np.where(way[:, 1:] < 0, -way, way)

    def seeds(
        self, where: NDArray[np.bool_], unit: float, rng: np.random.Generator, n: int
    ) -> Points:
        """n places [n, 2], of those in `where` [h, w] the ones whose strands are clearest."""
        clear = self.agreement * self.contrast(unit) / (self.low @ LUMA + 0.08)
        rows, columns = np.nonzero(where)
        if len(rows) < 100:
            raise Failure("too little hair to take its colours from")
        best = clear[rows, columns]
        kept = np.flatnonzero(best >= np.quantile(best, 0.6))
        chosen = rng.choice(kept, n)
        return np.stack([columns[chosen], rows[chosen]], 1) + 0.5

    def followed(self, seeds: Points, steps: int) -> tuple[Points, NDArray[np.bool_]]:
        """Strands through `seeds` [n, 2], so many steps both ways, [n, 2 steps + 1, 2], and where
        they are in the hair still, [n, 2 steps + 1]."""
        height, width = self.deep.shape
        halves = []
        for sign in (-1, 1):
            place, way = seeds, sign * self.directions(seeds)
            there = np.ones(len(seeds), bool)
            trail: list[Points] = []
            inside: list[NDArray[np.bool_]] = []
            for _ in range(steps):
                new = self.directions(place)
                new = np.where((new * way).sum(1, keepdims=True) < 0, -new, new)
                way = STRAIGHT * way + (1 - STRAIGHT) * new
                way = way / np.linalg.norm(way, axis=1, keepdims=True).clip(1e-6)
                place = place + STEP * way
                column, row = place.astype(int).T
                known = (place >= 0).all(1) & (column < width) & (row < height)
                there = there & known
                there[there] = self.deep[row[there], column[there]] > 0.85
                trail.append(place)
                inside.append(there)
            halves.append((np.stack(trail, 1), np.stack(inside, 1)))
        (before, was), (after, stays) = halves
        places = np.concatenate([before[:, ::-1], seeds[:, None], after], 1)
        at_seed = np.ones((len(seeds), 1), bool)
        return places, np.concatenate([was[:, ::-1], at_seed, stays], 1)

    def along(
        self, seeds: Points, arc: Points, start: Points, most: int, smooth: int
    ) -> tuple[Floats, Floats]:
        """What strands through `seeds` [n, 2] are finer than `low`, and `low` itself, [n, k, 3]
        each, at lengths `arc` [n, k] in pixels. A strand is followed for `most` pixels at most from
        a part `start` [n] of its length on, to its end, and back again; over `smooth` places along
        it colours are averaged, for what a strand has is long."""
        places, inside = self.followed(seeds, max(2, int(most / STEP / 2)))
        first = inside.argmax(1)
        span = np.maximum(inside.sum(1) - 1, 1)
        at = np.mod(arc / STEP + (start * span)[:, None], 2 * span[:, None])
        at = np.minimum(at, 2 * span[:, None] - at) + first[:, None]
        low = np.floor(at).astype(int).clip(0, places.shape[1] - 2)
        part, strand = (at - low)[..., None], np.arange(len(seeds))[:, None]
        there = places[strand, low] * (1 - part) + places[strand, low + 1] * part
        light = taken(self.low, there)
        fine = taken(self.pixels, there) - light
        window = np.hanning(2 * smooth + 3)[1:-1]
        padded = np.pad(fine, ((0, 0), (smooth, smooth), (0, 0)), "edge")
        length = arc.shape[1]
        fine = sum(w * padded[:, i : i + length] for i, w in enumerate(window / window.sum()))
        return np.asarray(fine, np.float32), light


def taken(planes: Floats, places: Points) -> Floats:
    """The planes [h, w, C] at `places` [..., 2], [..., C]."""
    x, y = (places.reshape(-1, 2) - 0.5).astype(np.float32).T
    return sampled(planes, x, y).reshape(*places.shape[:-1], -1)
