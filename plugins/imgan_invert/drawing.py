"""`imgan scribble`: a drawing's strokes and colours, among the pictures that a generator knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from imgan.errors import Failure
from imgan.film import Film
from imgan.images import Picture, to_srgb
from imgan.images.picture import eight_bits
from imgan.images.sheets import sheet
from imgan.images.tensors import Bytes
from imgan.operations import Meter, Process, Result, Runtime
from imgan.recipes import resolve
from imgan_generate.style import is_style_based
from imgan_invert import Init, Inversion, Scribble, Space
from imgan_invert.latent import Latent, render
from imgan_invert.run import Studio, labelled, studio_of

REALISM = 0.01
"""Weight of the way from the start for each unit of `--realism`."""

STUDIED = (0.0, 1.0, 3.0)
"""The published study."""

PLAIN = 24
"""How far, in levels, a colour is from the background's to be a stroke."""

MOST, FPS = 60, 12
"""Frames of how it came about."""


def open_scribbling(operation: Scribble, runtime: Runtime) -> Process:
    """The best pictures for a drawing, side by side; facts tell their losses."""
    studio = studio_of(runtime, operation.model)

    def process(drawing: Picture) -> Result:
        target, mask = strokes(drawing, studio.side)
        if operation.study:
            rows = []
            for realism in STUDIED:
                found = search(studio, target, mask, replace(operation, realism=realism))
                rows.append([target, *(render(studio.session, latent) for latent in found)])
            columns = ["drawing", "best", *(str(k) for k in range(2, operation.seeds + 1))]
            words = [f"{realism:g}" for realism in STUDIED]
            return Result(Picture(labelled(rows, columns, words)))
        found = search(studio, target, mask, operation, runtime.meter)
        made = [render(studio.session, latent) for latent in found[: operation.count]]
        facts = {"losses": [latent.facts["losses"]["loss"] for latent in found]}
        extras = {}
        if operation.frames:
            best = int(found[0].facts["number"])
            extras = {
                operation.frames: Film(_film(studio, target, mask, operation, best), FPS, False)
            }
        return Result(Picture(sheet(np.stack(made), operation.count)), facts, extras=extras)

    return process


def strokes(drawing: Picture, side: int) -> tuple[Bytes, Bytes]:
    """A drawing as the generator's square, [S, S, 3], and [S, S] with 255 where something is drawn.

    What is drawn is what is not transparent or, without transparency, not of the background's
    colour: the one that is most frequent along the border. Raises Failure when nothing is drawn.
    """
    pixels = to_srgb(drawing.pixels, drawing.source)
    alpha = None if drawing.alpha is None else eight_bits(drawing.alpha)
    if alpha is None or alpha.min() == 255:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        colours, counts = np.unique(border, axis=0, return_counts=True)
        far = np.abs(pixels.astype(int) - colours[counts.argmax()]).max(axis=2)
        alpha = np.where(far > PLAIN, 255, 0).astype(np.uint8)
    image = Image.fromarray(np.dstack([pixels, alpha]))
    longer = max(image.size)
    whole = Image.new("RGBA", (longer, longer))
    whole.paste(image, ((longer - image.width) // 2, (longer - image.height) // 2))
    small = np.asarray(whole.resize((side, side), Image.Resampling.BOX))
    mask = np.where(small[..., 3] > 127, 255, 0).astype(np.uint8)
    if not mask.any():
        raise Failure("nothing is drawn: all is transparent, or of one colour")
    return np.ascontiguousarray(small[..., :3]), mask


def settings_of(wanted: Scribble, number: int, styled: bool) -> Inversion:
    """The search from the start of that number: the first from the mean."""
    return Inversion(
        space=Space.wplus if styled else Space.z,
        l1=1.0,
        l2=0.0,
        perceptual=0.5,
        reg=REALISM * wanted.realism,
        steps=wanted.steps,
        init=Init.random if number else Init.mean,
        noise=False,
        seed=wanted.seed + number,
    )


def search(
    studio: Studio, target: Bytes, mask: Bytes, wanted: Scribble, meter: Meter | None = None
) -> list[Latent]:
    """A latent for each seed, the one of the lowest loss first; facts tell its number."""
    look = resolve("imgan_invert.search:search")
    styled = is_style_based(studio.session)
    found: list[Latent] = []
    for number in range(wanted.seeds):

        def report(step: int, loss: float, first: int = number * wanted.steps) -> None:
            if meter:
                meter((first + step) / (wanted.seeds * wanted.steps))

        facts = {"model": studio.card.name, "sha256": studio.card.sha256, "number": number}
        settings = settings_of(wanted, number, styled)
        found.append(look(studio.card, target, settings, None, facts, report, mask))
    return sorted(found, key=lambda latent: float(latent.facts["losses"]["loss"]))


def _film(
    studio: Studio, target: Bytes, mask: Bytes, wanted: Scribble, number: int
) -> Sequence[Bytes]:
    """The pictures on the way, searched once more: the same seed goes the same way."""
    pictures: list[Bytes] = []
    settings = settings_of(wanted, number, is_style_based(studio.session))
    facts = {"model": studio.card.name, "sha256": studio.card.sha256}
    resolve("imgan_invert.search:search")(
        studio.card, target, settings, None, facts, None, mask, pictures.append
    )
    every = -(-len(pictures) // MOST)
    return [*pictures[::every], pictures[-1]]
