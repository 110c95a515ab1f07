"""From latent to latent: codes on a curve, at even perceptual steps, as a moving picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imgan.images.tensors import Bytes, Floats
from imgan_invert.latent import Latent

DENSE = 4
"""Pictures made for each frame, to measure lengths along the curve."""

ROUNDS = 3
"""How often places are chosen anew while steps are uneven."""

RATIO = 3.0
"""Of the largest step to the median, at most, for a moving picture to be called smooth."""

Distance = Callable[[Bytes, Bytes], float]


def between(a: Floats, b: Floats, share: float, spherical: bool, centre: Floats | None) -> Floats:
    """From a to b: along the line, or along the arc around `centre` on which lengths change
    evenly, too, row by row (Shoemake 1985)."""
    if not spherical:
        return (1 - share) * a + share * b
    middle = np.zeros_like(a) if centre is None else centre
    one, other = a - middle, b - middle
    lengths = [np.linalg.norm(v, axis=-1, keepdims=True) + 1e-12 for v in (one, other)]
    cosine = np.sum(one * other, -1, keepdims=True) / (lengths[0] * lengths[1])
    angle = np.arccos(np.clip(cosine, -1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        arc = (np.sin((1 - share) * angle) * one / lengths[0]
            + np.sin(share * angle) * other / lengths[1]) / np.sin(angle)  # fmt: skip
    length = (1 - share) * lengths[0] + share * lengths[1]
    line = (1 - share) * one + share * other
    return np.where(np.sin(angle) > 1e-4, middle + arc * length, middle + line).astype(np.float32)


def along(
    latents: Sequence[Latent], spherical: bool, centre: Floats | None
) -> Callable[[float], Latent]:
    """The curve through all latents: 0 is the first, 1 the last."""

    def at(place: float) -> Latent:
        index = min(int(place * (len(latents) - 1)), len(latents) - 2)
        share = place * (len(latents) - 1) - index
        a, b = latents[index], latents[index + 1]
        tuned: dict[str, NDArray[np.float16]] = {}
        for part, latent in ((1 - share, a), (share, b)):
            for name, change in latent.tuned.items():
                tuned[name] = (tuned.get(name, np.float16(0)) + part * change).astype(np.float16)
        # Noise of the same power all along.
        scale = math.hypot(1 - share, share)
        noise = ((1 - share) * a.noise + share * b.noise) / scale
        code = between(a.code, b.code, share, spherical, centre)
        return Latent(code, noise.astype(np.float32), a.facts, tuned)

    return at


def spaced(
    picture: Callable[[float], Bytes], frames: int, distance: Distance, ease: bool
) -> tuple[list[Bytes], float]:
    """Pictures of 0..1 at even perceptual lengths (`ease`: slower at both ends), and the largest
    step between neighbours over the median.

    A generator moves in jumps where styles move evenly: places are chosen by the lengths measured
    along the curve, and again by the steps that came of it.
    """
    wanted = np.linspace(0, 1, frames)
    if ease:
        wanted = (1 - np.cos(np.pi * wanted)) / 2
    places = np.linspace(0, 1, DENSE * (frames - 1) + 1)
    pictures = [picture(place) for place in places]
    for _ in range(ROUNDS):
        # The distance is a square: it grows with the square of a small step along the curve.
        lengths = np.cumsum([0.0, *np.sqrt(steps(pictures, distance))])
        places = np.interp(wanted * lengths[-1], lengths, places) if lengths[-1] else wanted
        pictures = [picture(place) for place in places]
        reached = ratio(pictures, distance)
        if reached <= RATIO or ease:
            break
    return pictures, reached


def ratio(pictures: Sequence[Bytes], distance: Distance) -> float:
    """The largest perceptual step between neighbours, in medians."""
    taken = steps(pictures, distance)
    middle = float(np.median(taken))
    return float(taken.max()) / middle if middle else 1.0


def steps(pictures: Sequence[Bytes], distance: Distance) -> NDArray[np.float64]:
    """The perceptual distance of each picture to the next."""
    return np.array([distance(a, b) for a, b in pairwise(pictures)])
