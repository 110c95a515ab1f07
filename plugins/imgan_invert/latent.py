"""Latents in files: what a generator makes a picture of, and what made the latent."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats, decode
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session
from imgan_generate.style import StyleGenerator, is_style_based

SUFFIX = ".npz"
TUNED = "tuned."
"""Begins the names of weights that were fine-tuned for this one picture."""


@dataclass(frozen=True)
class Latent:
    """What a generator makes one picture of.

    `code` is w+ [L, W] of a style-based generator, or z [1, Z] of one without styles, whose `noise`
    is empty; `noise` is [P]. `tuned` has what was added to weights of the generator, by their
    names. `facts` tell what made it: JSON-able, with "model" and "sha256" of the generator.
    """

    code: Floats
    noise: Floats
    facts: Mapping[str, Any]
    tuned: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)

    def write(self, file: BinaryIO, suffix: str = SUFFIX) -> None:
        """As arrays that numpy reads, and the facts as a text."""
        arrays: dict[str, Any] = {TUNED + name: change for name, change in self.tuned.items()}
        np.savez_compressed(
            file, code=self.code, noise=self.noise, facts=np.array(json.dumps(self.facts)), **arrays
        )

    @classmethod
    def read(cls, path: Path) -> Latent:
        """The latent in a file. Raises Failure when it holds none."""
        try:
            with path.open("rb") as file:
                arrays = dict(np.load(file, allow_pickle=False))
            facts = json.loads(str(arrays.pop("facts")))
            tuned = {k.removeprefix(TUNED): v for k, v in arrays.items() if k.startswith(TUNED)}
            latent = cls(arrays["code"], arrays["noise"], facts, tuned)
            if latent.code.ndim != 2 or latent.noise.ndim != 1 or "sha256" not in facts:
                raise ValueError
        except OSError as error:
            raise Failure(f"{path}: {error.strerror or 'no latent is in it'}") from None
        except (ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
            raise Failure(f"{path}: no latent of `imgan invert` is in it") from None
        return latent

    def card(self) -> ModelCard:
        """Of the generator that it is for. Raises Failure when that is not installed."""
        for card in store.installed():
            if card.sha256 == self.facts["sha256"]:
                return card
        name = self.facts.get("model", "unknown")
        raise Failure(f"the latent is for another {name} than is installed: invert the photo anew")


def render(session: Session, latent: Latent) -> Bytes:
    """The picture of a latent, [S, S, 3]. Raises Failure when it does not fit the generator."""
    if latent.tuned:
        from imgan_invert.network import render_tuned

        return render_tuned(latent)
    if not is_style_based(session):
        return decode(session.run(latent.code))[0]
    style = StyleGenerator(session)
    if latent.code.shape != (style.layers, style.w) or latent.noise.shape != (style.noise,):
        raise Failure(f"the latent does not fit {session.name}")
    return style.pictures(latent.code[None], latent.noise[None])[0]
