"""`imgan edit`: attributes of faces in photos."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from imgan.cards import ModelCard, read_cards
from imgan.hookspecs import hookimpl
from imgan.job import Job
from imgan.options import unfold
from imgan.recipes import Evaluation, Recipe, Settings


class Engine(StrEnum):
    """How a face is edited."""

    vector = "vector"
    """Along attribute vectors in the latent space of a DCGAN."""


@dataclass(frozen=True)
class EncoderSettings(Settings):
    rate: Annotated[float, Option(help="Learning rate at the start.")] = 5e-4
    batch: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the encoder's first layer.")] = 48
    generator: Annotated[str, Option(help="The DCGAN to invert: its run or .onnx file.")] = ""
    latent_weight: Annotated[float, Option(help="Weight of the losses on z.")] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator:
            # Absolute, so that a run can be resumed and exported from any folder.
            object.__setattr__(self, "generator", str(Path(self.generator).resolve()))


@dataclass(frozen=True)
class ClassifierSettings(Settings):
    rate: Annotated[float, Option(help="Learning rate at the start.")] = 1e-3
    batch: Annotated[int, Option(help="Pictures a step, over all processes.")] = 64
    width: Annotated[int, Option(help="Channels of the first layer.")] = 24


@dataclass(frozen=True)
class Edit:
    """What is to change, in which faces, and by which network."""

    add: Annotated[
        list[str] | None,
        Option(
            metavar="NAMES", help="Attributes to add: bangs, or bangs,smiling.", show_default=False
        ),
    ] = None
    remove: Annotated[
        list[str] | None,
        Option(metavar="NAMES", help="Attributes to take away.", show_default=False),
    ] = None
    strength: Annotated[
        float, Option(min=0, help="1 is the mean difference between faces with and without.")
    ] = 1.0
    face: Annotated[
        str | None,
        Option(
            metavar="N|X,Y,W,H",
            help="Only the N-th face from the left, or a face boxed by hand, forehead to chin, in "
            "pixels of the upright photo. Default: every face found.",
            show_default=False,
        ),
    ] = None
    aligned: Annotated[
        bool,
        Option(
            "--aligned", help="The whole picture is a face, cut out as CelebA does: do not search."
        ),
    ] = False
    engine: Annotated[Engine, Option(help="How faces are edited.")] = Engine.vector
    model: Annotated[
        str | None,
        Option(help="An editor from `imgan models`. Default: edit-ENGINE.", show_default=False),
    ] = None


def edit(
    job: Job,
    wish: Edit,
    show: Annotated[
        bool, Option("--list", help="List the attributes with their measured success.")
    ] = False,
    sheet: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write one picture that shows the face with each of the 40 attributes added.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add attributes to the faces in a photo, or take them away.

    imgan edit photo.jpg --add bangs --remove smiling --strength 1.5
    """
    from imgan_edit import run

    if show:
        run.list_attributes(wish, job.json)
    elif sheet:
        run.write_sheet(job, wish, sheet)
    else:
        run.edit(job, wish)


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(unfold(unfold(edit, "wish", Edit), "job", Job))


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="edit",
            summary="The encoder of `imgan edit`, and the attribute vectors.",
            entry="imgan_edit.train:EncoderTask",
            settings=EncoderSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
        ),
        Recipe(
            name="edit-classifier",
            summary="The judge of `imgan evaluate edit`: 40 attributes of a face.",
            entry="imgan_edit.train:ClassifierTask",
            settings=ClassifierSettings,
            data="CelebA's folder, with list_attr_celeba.txt (the last 500 faces are held out).",
        ),
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="edit",
            summary="For each attribute: how often an edit is seen, how far the others move.",
            entry="imgan_edit.evaluate:evaluate",
        ),
        Evaluation(
            name="edit-classifier",
            summary="How often the judge of edits agrees with CelebA's labels.",
            entry="imgan_edit.evaluate:evaluate_judge",
        ),
    ]
