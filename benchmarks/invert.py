"""`imgan invert`: what its encoder saves, which space comes nearest, and what tuning keeps.

    python benchmarks/invert.py DATA [MODEL [COUNT [STEPS]]]

COUNT photos (default 20) that were held out of DATA, the folder that MODEL (default stylegan-cats)
was trained on. Aims: an encoder's answer and a tenth of STEPS (default 1,000) reach a lower loss
than STEPS from the mean, in a tenth of the time; w+ is nearer than w, and w than z, after a tenth
each; what pivotal tuning makes of a photo has a similarity of .85 with it, by deep features.
Seconds are the processor's: what else the machine does doesn't count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from imgan.images import open_picture, pictures
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan_invert import GENERATOR, Init, Inversion, Space
from imgan_invert.latent import render
from imgan_invert.run import aligned, find, open_studio

HELD_OUT = 300

BEGUN = 100
"""Steps before `--tune`, and of tuning."""


def main(data: str, model: str = GENERATOR, count: int = 20, steps: int = 1000) -> None:
    studio = open_studio(model, "cpu")
    features = open_features("cpu")
    held_out = int(studio.card.number("held_out", HELD_OUT))
    paths = pictures(Path(data))[-held_out:][:: max(1, held_out // count)][:count]
    targets = [aligned(open_picture(path), studio, None) for path in paths]
    tenth = steps // 10
    searches = {
        f"{space}, the mean, {tenth} steps": Inversion(space=space, steps=tenth, init=Init.mean)
        for space in reversed(Space)
    }
    searches[f"w+, tuned {BEGUN} of {2 * BEGUN} steps"] = Inversion(steps=BEGUN, tune=BEGUN)
    searches[f"w+, the mean, {steps} steps"] = Inversion(steps=steps, init=Init.mean)
    if studio.encoder:
        begun = Inversion(steps=tenth, init=Init.encoder)
        searches = {f"w+, the encoder, {tenth} steps": begun, **searches}
    print(f"{model}, {len(targets)} held-out photos: means")
    print("search", "loss", "L2", "perceptual", "similarity", "seconds", sep="\t")
    for name, settings in searches.items():
        rows = []
        for target in targets:
            began = time.process_time()
            latent = find(studio, target, settings)
            seconds = time.process_time() - began
            made = render(studio.session, latent)
            squared = float(np.square((made / 127.5) - (target / 127.5)).mean())
            rows.append((squared, *features.compare(target, made), seconds))
        _told(name, rows)


def _told(name: str, rows: Sequence[tuple[float, float, float, float]]) -> None:
    squared, distance, similarity, seconds = np.mean(rows, axis=0)
    # As the search weighs them.
    loss = Inversion.l2 * squared + Inversion.perceptual * distance
    print(name, f"{loss:.4f}", f"{squared:.4f}", f"{distance:.4f}", f"{similarity:.3f}",
          f"{seconds:.1f}", sep="\t", flush=True)  # fmt: skip


if __name__ == "__main__":
    # No latent is to be found in the cache: that would take no time.
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(store, "cache_folder", lambda: Path(folder)),
    ):
        main(*sys.argv[1:3], *map(int, sys.argv[3:]))
