"""How far the numbers of a code stand for single attributes: the mutual information gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.images.tensors import Floats

SAMPLES = 10_000
"""Of each number of the code, as published."""


@dataclass(frozen=True)
class Disentanglement:
    """What D numbers of a code tell of K attributes."""

    information: NDArray[np.float64]
    """Mutual information of each number and attribute, [D, K], in nats."""
    entropy: NDArray[np.float64]
    """Of the attributes, [K], in nats."""

    @property
    def share(self) -> NDArray[np.float64]:
        """What the number that tells most tells of each attribute, of its entropy: [K] in 0..1."""
        best: NDArray[np.float64] = self.information.max(0) / self.entropy
        return best

    @property
    def gap(self) -> NDArray[np.float64]:
        """How much more that is than what the next number tells, [K]: the mutual information gap
        (Chen et al. 2018, equation 6) is its mean. An attribute that two numbers tell equally well
        has none."""
        second, first = np.sort(self.information, 0)[-2:]
        gap: NDArray[np.float64] = (first - second) / self.entropy
        return gap


def disentanglement(
    means: Floats,
    deviations: Floats,
    attributes: NDArray[np.bool_],
    samples: int = SAMPLES,
    seed: int = 0,
) -> Disentanglement:
    """Of codes q(z_j | x_n), normal with `means` [N, D] and `deviations` [D], and the attributes
    [N, K] of the x_n.

    The estimator is that of Chen et al. 2018 (arXiv:1802.04942, section 4.1 and appendix C):
    q(z_j) and q(z_j | v_k) are mixtures of the q(z_j | x_n), over all n and over those of which
    v_k is true, and I(z_j; v_k) = E[log q(z_j | v_k) - log q(z_j)] is the mean over samples of
    q(z_j, v_k). Of few x_n it says too much, as each sample is from one of them: what it says of
    shuffled attributes tells by how much.

    Each attribute has to be there in some and not in others; D is 2 or more.
    """
    draw = np.random.default_rng(seed)
    source = np.arange(samples) % len(means)
    has = attributes.astype(np.float64)
    counts = np.stack([len(has) - has.sum(0), has.sum(0)])
    information = np.empty((means.shape[1], has.shape[1]))
    for number, (mean, deviation) in enumerate(zip(means.T, deviations, strict=True)):
        z = mean[source] + deviation * draw.standard_normal(samples)
        # The normal density without its factor, which cancels.
        density = np.exp(-0.5 * ((z[:, None] - mean) / deviation) ** 2)
        inside = density @ has
        outside = density.sum(1, keepdims=True) - inside
        conditional = np.where(attributes[source], inside / counts[1], outside / counts[0])
        ratio = conditional / density.mean(1, keepdims=True)
        information[number] = np.log(ratio.clip(np.finfo(float).tiny)).mean(0)
    chances = counts / len(has)
    return Disentanglement(information.clip(0), -(chances * np.log(chances)).sum(0))


def directions(codes: Floats, attributes: NDArray[np.bool_]) -> Floats:
    """How codes [N, D] move with each attribute, [K, D]: the mean of those with it less the mean of
    those without (Radford et al. 2016, section 6.3.2)."""
    return np.stack([codes[has].mean(0) - codes[~has].mean(0) for has in attributes.T])


def cosines(vectors: Floats) -> Floats:
    """Cosine similarity of every two of [K, D]: [K, K] in -1..1."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    similarity: Floats = unit @ unit.T
    return similarity
