"""What goes into each family of networks, and what comes out; the `entry` of the exporters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from imgan.metrics.perceptual import SCALES
from imgan.models import store
from imgan.models.cards import Description
from imgan.training.task import Task
from imgan_exporters.onnx import Form, Parity, Port
from imgan_generate.stylegan import Generator
from imgan_translate import STEP

_FACE = ("batch", 3, 64, 64)

picture = Form((Port("input", ("batch", 3, "height", "width")),))
"""Pictures of any size to pictures, RGB in 0..1."""

generator = Form((Port("input", ("batch", 100), -2, 2),))
"""DCGAN's z to faces [N, 3, 64, 64] in -1..1."""


def vanilla_generator(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """A DCGAN's; the card says how many pictures were held out."""
    known = replace(card, traits={"held_out": task.settings.held_out, **card.traits})
    return generator(task, target, known, network=network, half=half, overwrite=overwrite)


def style_generator(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """z and truncation to styles, and w+ and noise to pictures in -1..1, in one file."""
    generator = task.product(network)
    assert isinstance(generator, Generator)
    known = replace(card, traits={"held_out": task.settings.held_out, **card.traits})
    return style_form(generator)(
        task, target, known, network=network, half=half, overwrite=overwrite
    )


def style_form(generator: Generator) -> Form:
    """The ports of a style-based generator of any size."""
    synthesis = generator.synthesis
    return Form(
        (
            Port("z", ("batch", generator.z), -2, 2),
            Port("truncation", (1,)),
            Port("w", ("batch", synthesis.styles, generator.w), -1, 1),
            Port("noise", ("batch", sum(synthesis.noise)), -2, 2),
        ),
        ("mapped", "picture"),
        magnitude=4,
    )


editor_form = Form(
    (Port("face", _FACE, -1, 1), Port("change", ("batch", 40), -1, 1)),
    ("reconstruction", "edited", "z"),
    magnitude=4,
)
"""Faces in -1..1, and how much of each attribute to add, to two faces and the z of the first."""


def editor(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """An editor, whose encoder says z of a DCGAN: the card names that by its SHA-256, when it is a
    file."""
    source, known = Path(task.settings.generator), card
    if source.is_file():
        known = replace(card, traits={"generator": store.sha256(source), **card.traits})
    return editor_form(task, target, known, network=network, half=half, overwrite=overwrite)


classifier = Form((Port("input", _FACE, -1, 1),))
"""Faces in -1..1 to logits: of 40 attributes, or of something before each of 16x16 places."""


def domain_classifier(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """Pictures of any size, RGB in 0..1, to a logit of the domain that the card calls "to"."""
    traits = {"from": task.settings.source, "to": task.settings.target, **card.traits}
    return picture(
        task, target, replace(card, traits=traits), network=network, half=half, overwrite=overwrite
    )


features = Form((Port("input", ("batch", 3, "height", "width")),), SCALES)
"""Pictures of 16 px a side or more, RGB in 0..1, to the activations of five layers."""


def translator_form(side: int | None) -> Form:
    """Pictures to pictures, RGB in -1..1: of `side` pixels a side, or of any multiples of STEP."""
    shape = ("batch", 3, side or "height", side or "width")
    return Form((Port("input", shape, -1, 1, step=STEP),))


def translator(
    task: Task[Any],
    target: Path,
    card: Description,
    *,
    network: str | None = None,
    half: bool,
    overwrite: bool,
) -> Parity:
    """A generator of a translator's run. "backward" goes from the second of the data's domains to
    the first: one of a CycleGAN, or a pix2pix that was trained with `--swap`."""
    settings = task.settings
    ends = [settings.source, settings.target]
    traits: dict[str, float | str] = {"side": settings.crop}
    swapped = getattr(settings, "swap", False)
    if task.chosen(network) == "backward":
        ends.reverse()
    if task.chosen(network) == "backward" or swapped:
        traits["direction"] = "backward"
    if getattr(settings, "faces", False):
        traits["faces"] = "aligned"
    if getattr(settings, "pairs", None) and not swapped:
        traits["preprocess"] = str(settings.pairs)
    fixed = getattr(settings, "generator", None) == "unet"
    known = replace(card, traits={"from": ends[0], "to": ends[1], **traits, **card.traits})
    form = translator_form(settings.crop if fixed else None)
    return form(task, target, known, network=network, half=half, overwrite=overwrite)
