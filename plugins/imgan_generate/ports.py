"""What generators, and the encoders of IcGAN, take and give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from imgan.training.ports import Form, Port
from imgan.training.task import Task
from imgan.training.weights import file_trait
from imgan_generate.labels import ATTRIBUTES, slug
from imgan_generate.net import LATENT
from imgan_generate.stylegan import Generator

GENERATOR = Form((Port("input", ("batch", LATENT), -2, 2),))
"""DCGAN's z to faces [N, 3, 64, 64] in -1..1."""

LABELLED = Form((Port("z", ("batch", LATENT), -2, 2), Port("y", ("batch", len(ATTRIBUTES)), -1, 1)))
"""z and y to faces in -1..1."""

ENCODERS = Form((Port("face", ("batch", 3, 64, 64), -1, 1),), ("z", "y"), magnitude=4)
"""Faces in -1..1 to z and y."""


def generator(task: Task[Any], name: str, network: nn.Module) -> Form:
    """A DCGAN's, whose card says how many pictures it never saw."""
    return replace(GENERATOR, traits={"held_out": task.settings.held_out})


def style_form(generator: Generator) -> Form:
    """z and truncation to styles, and w+ and noise to pictures in -1..1, in one file."""
    synthesis = generator.synthesis
    return Form(
        (
            Port("z", ("batch", generator.z), -2, 2),
            Port("truncation", (1,)),
            Port("w", ("pictures", synthesis.styles, generator.w), -1, 1),
            Port("noise", ("pictures", sum(synthesis.noise)), -2, 2),
        ),
        ("mapped", "picture"),
        magnitude=4,
    )


def style_generator(task: Task[Any], name: str, network: nn.Module) -> Form:
    """The ports of a style-based generator, whose card says how many pictures it never saw."""
    assert isinstance(network, Generator)
    return replace(style_form(network), traits={"held_out": task.settings.held_out})


def labelled_generator(task: Task[Any], name: str, network: nn.Module) -> Form:
    """The card names the attributes of y."""
    return replace(LABELLED, traits={"attributes": ",".join(map(slug, ATTRIBUTES))})


def encoders(task: Task[Any], name: str, network: nn.Module) -> Form:
    """The card names the generator's file by its SHA-256."""
    return replace(ENCODERS, traits=file_trait("generator", task.settings.generator))
