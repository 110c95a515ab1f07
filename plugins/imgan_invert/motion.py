"""`imgan interpolate` and `imgan mix`: several latents, one result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imgan.errors import Failure, Misuse
from imgan.images import open_picture
from imgan.images.tensors import Bytes
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan_generate.run import sheet
from imgan_generate.style import StyleGenerator, is_style_based
from imgan_invert import Inversion
from imgan_invert.latent import SUFFIX, Latent, render
from imgan_invert.moving import RATIO, SUFFIXES, Film, along, spaced
from imgan_invert.run import Studio, aligned, find, free, open_studio, save_made, write

SHEET = 8
"""Frames across a sheet."""


def latents(
    inputs: Sequence[Path], settings: Inversion, model: str | None, device: str
) -> tuple[Studio, list[Latent]]:
    """Of photos and of latents in files, all of one generator.

    Raises Misuse when there are fewer than two, or when they are of different generators.
    """
    if len(inputs) < 2:
        raise Misuse("two photos or latents are wanted, or more")
    read = {path: Latent.read(path) for path in inputs if path.suffix == SUFFIX}
    cards: list[ModelCard] = [latent.card() for latent in read.values()]
    if model:
        cards.append(store.find(store.installed(), model, "generate"))
    if len({card.sha256 for card in cards}) > 1:
        names = ", ".join(sorted({card.name for card in cards}))
        raise Misuse(f"the latents are for different generators: {names}")
    studio = open_studio(cards[0].name if cards else None, device)
    found = []
    for path in inputs:
        if path in read:
            found.append(read[path])
        else:
            found.append(find(studio, aligned(open_picture(path), studio, None), settings))
    return studio, found


def write_film(
    inputs: Sequence[Path],
    output: Path,
    settings: Inversion,
    frames: int,
    fps: float,
    loop: bool,
    ease: bool,
    spherical: bool,
    model: str | None,
    overwrite: bool,
    device: str,
) -> None:
    """Write the way through all inputs as a moving picture or a sheet, and tell how smooth it is.

    Raises Misuse and Failure.
    """
    free([output], overwrite)
    studio, found = latents(inputs, settings, model, device)
    session = studio.session
    centre = StyleGenerator(session).mean() if is_style_based(session) else None
    curve = along(found, spherical, centre)
    features = open_features(device)
    made, ratio = spaced(
        lambda place: render(session, curve(place)), frames, features.distance, ease
    )
    if output.suffix.lower() in SUFFIXES:
        film = Film([*made, *made[-2:0:-1]] if loop else made, fps, loop)
        write(lambda file: film.write(file, output.suffix.lower()), output, overwrite)
    else:
        save_made(sheet(np.stack(made), min(SHEET, frames)), output, overwrite)
    verdict = "smooth" if ratio <= RATIO else "not smooth: more --frames may help"
    print(f"largest step {ratio:.2f} times the median ({verdict})")


def write_mix(
    inputs: Sequence[Path],
    output: Path,
    settings: Inversion,
    layers: str,
    model: str | None,
    overwrite: bool,
    device: str,
) -> None:
    """Write A with some styles of B or, of more inputs, a sheet: a row for each that gives the
    coarse picture, a column for each that gives `layers`. Raises Misuse and Failure."""
    free([output], overwrite)
    studio, found = latents(inputs, settings, model, device)
    if not is_style_based(studio.session):
        raise Misuse(f"{studio.card.name} has no styles to mix")
    chosen = styles(layers, len(found[0].code))
    if len(found) == 2:
        save_made(render(studio.session, mixed(found[0], found[1], chosen)), output, overwrite)
        return
    own = [render(studio.session, latent) for latent in found]
    cells: list[Bytes] = [np.full_like(own[0], 255), *own]
    for left, latent in zip(own, found, strict=True):
        cells.append(left)
        cells += [render(studio.session, mixed(latent, other, chosen)) for other in found]
    save_made(sheet(np.stack(cells), 1 + len(found)), output, overwrite)


def mixed(a: Latent, b: Latent, layers: slice) -> Latent:
    """a with the styles of b in some layers. Raises Failure when they do not fit."""
    if a.code.shape != b.code.shape:
        raise Failure("the latents are for different generators")
    code = a.code.copy()
    code[layers] = b.code[layers]
    return replace(a, code=code)


def styles(words: str, count: int) -> slice:
    """The layers that `--layers 4-7` names, counted from 1. Raises Misuse."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", words)
    first = int(match[1]) if match else 0
    last = int(match[2] or match[1]) if match else 0
    if not 1 <= first <= last <= count:
        raise Misuse(f"--layers {words}: the generator has layers 1-{count}")
    return slice(first - 1, last)
