"""The engine `stylegan`: the styles of a face are moved along directions of attributes, and it is
generated before and after (Shen et al. 2020, arXiv:1907.10786).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats, encode
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan.operations import Runtime
from imgan_edit.attributes import SLUGS
from imgan_edit.engines import Editor, in_255ths
from imgan_generate.style import StyleGenerator
from imgan_invert import encoder_of, style_generator_of


@dataclass(frozen=True, kw_only=True)
class StyleEditor(Editor):
    """Its `session` is `imgan_edit.net.Directions`: `change` and `away` [N, 40] to `step` [N, W].

    The encoder says w+ of a face, all of whose styles move by the step.
    """

    encoder: Session
    generator: StyleGenerator
    attributes: tuple[str, ...]
    kept: tuple[int, ...] = ()
    """What stays as it is, by place in CelebA's order."""
    name = "stylegan"
    rim = 0.35

    @property
    def knows(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.attributes

    def keeping(self, slugs: Iterable[str]) -> StyleEditor:
        self.check(slugs)
        return replace(self, kept=tuple(SLUGS.index(slug) for slug in slugs))

    def __call__(self, crops: Bytes, changes: Floats) -> Floats:
        w = self.encoder.run(encode(crops))
        moved = w + self.steps(changes)[:, None]
        # The same noise, none, in both: what differs is what the styles differ in.
        noise = np.zeros((1, self.generator.noise), np.float32)
        before = self.generator.planes(w, noise)
        after = self.generator.planes(moved, noise.repeat(len(moved), 0))
        return in_255ths(self.gain * (after - before))

    def steps(self, changes: Floats) -> Floats:
        """What changes [N, 40] add to every style, [N, W]: less what would move across the borders
        of attributes that are kept (conditional manipulation, section 3.3)."""
        nothing = np.zeros_like(changes)
        steps = self.session.run_many({"change": changes, "away": nothing})["step"]
        if self.kept:
            one_each = np.eye(len(SLUGS), dtype=np.float32)[[*self.kept]]
            given = {"change": np.zeros_like(one_each), "away": one_each}
            normals = self.session.run_many(given)["step"]
            shares, *_ = np.linalg.lstsq(normals.T, steps.T, rcond=None)
            steps = steps - shares.T @ normals
        return np.asarray(steps, np.float32)


def open_stylegan(card: ModelCard, runtime: Runtime) -> StyleEditor:
    """The directions of a card, the generator that they are of, and the encoder for it. Raises
    Failure when one of these is not installed, and what `Runtime.session` raises."""
    made_by = style_generator_of(runtime.models, card)
    if made_by is None:
        raise Failure(f"model {card.name}: the generator that it is for is not installed")
    encoder = encoder_of(runtime.models, made_by)
    if encoder is None:
        raise Failure(
            f"model {card.name}: no encoder for {made_by.name} is installed; `imgan train "
            "stylegan-encoder` makes one"
        )
    generator = StyleGenerator(runtime.session(made_by))
    return StyleEditor(
        runtime.session(card),
        generator.side,
        card.number("gain", 1),
        encoder=runtime.session(encoder),
        generator=generator,
        attributes=tuple(filter(None, str(card.traits.get("attributes", "")).split(","))),
    )
