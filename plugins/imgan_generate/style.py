"""A style-based generator by onnxruntime: z to styles, styles to pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Misuse
from imgan.images.tensors import Bytes, Floats, decode
from imgan.models.sessions import Session

PORTS = {"z", "truncation", "w", "noise"}


def is_style_based(session: Session) -> bool:
    """Whether a generator has styles; others make pictures of z alone."""
    return session.shapes.keys() >= PORTS


class StyleGenerator:
    """What `imgan_generate.stylegan.Generator` is, without torch.

    `z` numbers make a style of `w` numbers; a picture of `side` pixels a side is made of `layers`
    styles and of `noise` numbers.
    """

    def __init__(self, session: Session) -> None:
        """Raises Misuse when the network is no style-based generator."""
        if not is_style_based(session):
            raise Misuse(f"{session.name} is no style-based generator")
        self.session = session
        shapes = session.shapes
        self.z, self.noise = _fixed(shapes["z"])[-1], _fixed(shapes["noise"])[-1]
        self.layers, self.w = _fixed(shapes["w"])[-2:]
        self.side = 4 << (self.layers // 2 - 1)

    def styles(self, z: Floats, truncation: float = 1.0) -> Floats:
        """Of z [N, Z] the styles [N, W], brought nearer to their mean: 1 leaves them as they are, 0
        is the mean."""
        return self._run(z=z, truncation=np.array([truncation], np.float32))["mapped"]

    def mean(self) -> Floats:
        """The mean of all styles, [W]."""
        return self.styles(np.ones((1, self.z), np.float32), 0.0)[0]

    def planes(self, w: Floats, noise: Floats) -> Floats:
        """Of w+ [N, L, W] and noise [N, P] pictures [N, 3, S, S] in -1..1, each a run of its own:
        so a picture is the same to the bit whatever is made beside it."""
        runs = [self._run(w=w[k : k + 1], noise=noise[k : k + 1]) for k in range(len(w))]
        return np.concatenate([run["picture"] for run in runs])

    def pictures(self, w: Floats, noise: Floats) -> Bytes:
        """Of w+ [N, L, W] and noise [N, P] pictures [N, S, S, 3], likewise."""
        return decode(self.planes(w, noise))

    def wide(self, w: Floats) -> Floats:
        """Styles [N, W] for all layers, [N, L, W]."""
        return np.repeat(w[:, None], self.layers, axis=1)

    def _run(self, **given: Floats) -> dict[str, NDArray[np.float32]]:
        """The graph has two parts that have nothing to do with each other; the one that is not
        asked gets zeros."""
        zeros = {
            "z": np.zeros((1, self.z), np.float32),
            "truncation": np.zeros(1, np.float32),
            "w": np.zeros((1, self.layers, self.w), np.float32),
            "noise": np.zeros((1, self.noise), np.float32),
        }
        return self.session.run_many({**zeros, **given})


def _fixed(shape: list[int | str | None]) -> list[int]:
    return [axis for axis in shape if isinstance(axis, int)]


def draw(generator: StyleGenerator, count: int, seed: int) -> tuple[Floats, Floats]:
    """z [count, Z] and noise [count, P] from N(0, 1): those of picture k depend on seed and k."""
    z = np.random.default_rng(seed).standard_normal((count, generator.z), np.float32)
    noise = [
        np.random.default_rng([seed, k]).standard_normal(generator.noise, np.float32)
        for k in range(count)
    ]
    return z, np.stack(noise)
