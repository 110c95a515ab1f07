"""`imgan interpolate` and `imgan mix`: several latents, one result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imgan import faces
from imgan.batch.run import Opened
from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.film import Film
from imgan.images import Picture, to_srgb
from imgan.images.sheets import sheet
from imgan.images.tensors import Bytes
from imgan.metrics.perceptual import Perceptual
from imgan.operations import Process, Result, Runtime
from imgan_generate.style import StyleGenerator, is_style_based
from imgan_invert import Interpolate, Inversion, Mix
from imgan_invert.latent import SUFFIX, Latent, render
from imgan_invert.moving import RATIO, along, spaced
from imgan_invert.run import Studio, aligned, find, place, studio_of

Inputs = Sequence[Picture]

RIM = 0.2
"""The part of a square's half side, from the border on, in which what is put into it fades."""


def latents(
    inputs: Inputs, settings: Inversion, model: str | None, runtime: Runtime
) -> tuple[Studio, list[Latent]]:
    """Of photos and of latents in files, all of one generator.

    Raises Misuse when there are fewer than two, or when they are of different generators.
    """
    if len(inputs) < 2:
        raise Misuse("two photos or latents are wanted, or more")
    files = inputs.sources if isinstance(inputs, Opened) else [None] * len(inputs)
    read = {i: Latent.read(f) for i, f in enumerate(files) if f and f.suffix == SUFFIX}
    cards = [latent.card() for latent in read.values()]
    if model:
        cards.append(runtime.models.find(model, "generate"))
    if len({card.sha256 for card in cards}) > 1:
        names = ", ".join(sorted({card.name for card in cards}))
        raise Misuse(f"the latents are for different generators: {names}")
    studio = studio_of(runtime, cards[0].name if cards else None)
    each = settings.steps * settings.restarts + settings.tune
    found = []
    for i in range(len(inputs)):
        if i in read:
            found.append(read[i])
            continue

        def report(step: int, loss: float, first: int = i * each) -> None:
            runtime.meter((first + step) / max(1, each * len(inputs)))

        target = aligned(inputs[i], studio, None)
        found.append(find(studio, target, settings, report))
    return studio, found


@dataclass(frozen=True)
class Frame:
    """A photo, into whose square pictures are put."""

    photo: Picture
    face: Face

    @classmethod
    def of(cls, inputs: Inputs, studio: Studio) -> Frame:
        """Of the first photo among the inputs. Raises Misuse when all are latents."""
        files = inputs.sources if isinstance(inputs, Opened) else [None] * len(inputs)
        for index, file in enumerate(files):
            if file is None or file.suffix != SUFFIX:
                return cls(inputs[index], place(inputs[index], studio, None))
        raise Misuse("--paste needs a photo among the inputs: latents have no frame")

    def around(self, made: Bytes) -> Bytes:
        """The photo with a picture [S, S, 3] in its square, that fades out at the border."""
        mask = faces.soft_mask(len(made), RIM)
        pixels = to_srgb(self.photo.pixels, self.photo.source).copy()
        place, weight = faces.spread(self.photo, self.face, mask)
        planes = [
            faces.spread(self.photo, self.face, mask * made[..., channel])[1]
            for channel in range(3)
        ]
        whole = pixels[place]
        whole[...] = ((1 - weight[..., None]) * whole + np.stack(planes, 2)).round().clip(0, 255)
        return pixels


def open_interpolating(operation: Interpolate, runtime: Runtime) -> Process:
    """The way through all inputs as a moving picture or a sheet; facts and a note tell how smooth
    it is."""
    features = Perceptual(runtime.session(runtime.models.find("features", "features")))

    def process(inputs: Inputs) -> Result:
        studio, found = latents(inputs, operation.plain(), operation.model, runtime)
        session = studio.session
        centre = StyleGenerator(session).mean() if is_style_based(session) else None
        curve = along(found, operation.spherical, centre)
        made, ratio = spaced(
            lambda place: render(session, curve(place)),
            operation.frames,
            features.distance,
            operation.ease,
        )
        verdict = "smooth" if ratio <= RATIO else "not smooth: more --frames may help"
        note = f"largest step {ratio:.2f} times the median ({verdict})"
        if operation.paste:
            frame = Frame.of(inputs, studio)
            made = [frame.around(picture) for picture in made]
        film = Film(made, operation.fps, operation.loop)
        return Result(film, {"step ratio": round(ratio, 3)}, (note,))

    return process


def open_mixing(operation: Mix, runtime: Runtime) -> Process:
    """A with some styles of B or, of more inputs, a sheet: a row for each that gives the coarse
    picture, a column for each that gives `layers`."""

    def process(inputs: Inputs) -> Result:
        studio, found = latents(inputs, operation.plain(), operation.model, runtime)
        if not is_style_based(studio.session):
            raise Misuse(f"{studio.card.name} has no styles to mix")
        chosen = styles(operation.layers, len(found[0].code))
        if len(found) == 2:
            pixels = render(studio.session, mixed(found[0], found[1], chosen))
            return Result(Picture(pixels))
        own = [render(studio.session, latent) for latent in found]
        cells: list[Bytes] = [np.full_like(own[0], 255), *own]
        for left, latent in zip(own, found, strict=True):
            cells.append(left)
            cells += [render(studio.session, mixed(latent, other, chosen)) for other in found]
        return Result(Picture(sheet(np.stack(cells), 1 + len(found))))

    return process


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
