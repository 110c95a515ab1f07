"""`imgan scribble`: a drawing's strokes and colours, among the pictures that a generator knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from imgan.errors import Failure, Misuse
from imgan.images import Picture, open_picture, to_srgb
from imgan.images.picture import eight_bits
from imgan.images.tensors import Bytes
from imgan.recipes import resolve
from imgan_generate.run import sheet
from imgan_generate.style import is_style_based
from imgan_invert import Init, Inversion, Space
from imgan_invert.latent import Latent, render
from imgan_invert.moving import Film
from imgan_invert.run import (
    Studio,
    free,
    labelled,
    open_studio,
    progress,
    save_made,
    write,
)

REALISM = 0.01
"""Weight of the way from the start for each unit of `--realism`."""

STUDIED = (0.0, 1.0, 3.0)
"""The published study."""

PLAIN = 24
"""How far, in levels, a colour is from the background's to be a stroke."""

Report = Callable[[int, float], None]

MOST, FPS = 60, 12
"""Frames of how it came about."""


@dataclass(frozen=True)
class Scribble:
    """How a picture is looked for."""

    realism: float = 1.0
    seeds: int = 4
    steps: int = 100
    seed: int = 0

    def inversion(self, number: int, styled: bool) -> Inversion:
        """The search from the start of that number: the first from the mean."""
        return Inversion(
            space=Space.wplus if styled else Space.z,
            l1=1.0,
            l2=0.0,
            perceptual=0.5,
            reg=REALISM * self.realism,
            steps=self.steps,
            init=Init.random if number else Init.mean,
            noise=False,
            seed=self.seed + number,
        )


def write_scribble(
    drawing: Path,
    output: Path,
    wanted: Scribble,
    count: int,
    study: bool,
    frames: Path | None,
    model: str | None,
    overwrite: bool,
    device: str,
) -> None:
    """Write the best `count` pictures for a drawing, side by side. Raises Misuse and Failure."""
    if study and frames:
        raise Misuse("--frames shows how one picture came about: leave --study out")
    free([output, *([frames] if frames else [])], overwrite)
    studio = open_studio(model, device)
    target, mask = strokes(open_picture(drawing), studio.side)
    if study:
        rows = []
        for realism in STUDIED:
            found = search(studio, target, mask, replace(wanted, realism=realism))
            rows.append([target, *(render(studio.session, latent) for latent in found)])
        columns = ["drawing", "best", *(str(k) for k in range(2, wanted.seeds + 1))]
        words = [f"{realism:g}" for realism in STUDIED]
        save_made(labelled(rows, columns, words), output, overwrite)
        return
    found = search(studio, target, mask, wanted)
    made = [render(studio.session, latent) for latent in found[:count]]
    save_made(sheet(np.stack(made), count), output, overwrite)
    if frames:
        best = int(found[0].facts["number"])
        film = Film(_film(studio, target, mask, wanted, best), FPS)
        write(lambda file: film.write(file, frames.suffix.lower()), frames, overwrite)


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


def search(studio: Studio, target: Bytes, mask: Bytes, wanted: Scribble) -> list[Latent]:
    """A latent for each seed, the one of the lowest loss first; facts tell its number."""
    find = resolve("imgan_invert.search:search")
    styled = is_style_based(studio.session)
    found: list[Latent] = []
    with progress(wanted.seeds * wanted.steps) as report:
        for number in range(wanted.seeds):
            facts = {
                "model": studio.card.name,
                "sha256": studio.card.sha256,
                "number": number,
            }
            settings = wanted.inversion(number, styled)
            moved = report and _later(report, number * wanted.steps)
            found.append(find(studio.card, target, settings, None, facts, moved, mask))
            if found[-1].facts["stopped"]:
                break
    return sorted(found, key=lambda latent: float(latent.facts["losses"]["loss"]))


def _later(report: Report, steps: int) -> Report:
    """A report that counts on from so many steps."""
    return lambda step, loss: report(steps + step, loss)


def _film(
    studio: Studio, target: Bytes, mask: Bytes, wanted: Scribble, number: int
) -> Sequence[Bytes]:
    """The pictures on the way, searched once more: the same seed goes the same way."""
    pictures: list[Bytes] = []
    settings = wanted.inversion(number, is_style_based(studio.session))
    facts = {"model": studio.card.name, "sha256": studio.card.sha256}
    resolve("imgan_invert.search:search")(
        studio.card, target, settings, None, facts, None, mask, pictures.append
    )
    every = -(-len(pictures) // MOST)
    return [*pictures[::every], pictures[-1]]
