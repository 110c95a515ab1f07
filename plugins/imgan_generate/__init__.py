"""`imgan generate`: faces out of noise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.recipes import Evaluation, Recipe, Settings

GENERATOR = "generate-dcgan"
"""The card of the shipped generator."""


@dataclass(frozen=True)
class DCGANSettings(Settings):
    """As published; `--width 32 --critic-width 32` trains sixteen times as fast."""

    # 7,100 updates of 128 are a hundred passes over 9,000 faces.
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 7_100
    batch: Annotated[int, Option(help="Pictures a step, over all processes.")] = 128
    average: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.998
    width: Annotated[int, Option(help="Channels of the generator's last hidden layer.")] = 128
    critic_width: Annotated[int, Option(help="Channels of the discriminator's first layer.")] = 128


def generate(
    count: Annotated[int, Option("-n", "--count", min=1, help="How many faces.")] = 1,
    seed: Annotated[
        int | None,
        Option(min=0, help="Same seed, same pixels. Default: a new one, named in the file."),
    ] = None,
    grid: Annotated[bool, Option("--grid", help="All faces on one sheet.")] = False,
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="A file for one face or a sheet, a folder for several, - for standard output. "
            "Default: face-SEED.png here, or face-SEED-1.png and on.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files that exist.")] = False,
    model: Annotated[str, Option(help="A generator from `imgan models`.")] = GENERATOR,
    device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Sample faces that nobody has: 64x64 pixels, from a DCGAN.

    imgan generate -n 64 --seed 1 --grid -o faces.png
    """
    from imgan_generate.run import write_faces

    write_faces(count, seed, grid, output, overwrite, model, device)


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(generate)


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="dcgan",
            summary="DCGAN, 64x64 faces out of noise.",
            entry="imgan_generate.train:DCGANTask",
            settings=DCGANSettings,
            data="CelebA's folder, or any folder of aligned faces (the last 500 are held out).",
        )
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="generate",
            summary="How near sampled faces are to the last 500 of a folder of aligned faces.",
            entry="imgan_generate.evaluate:evaluate",
        )
    ]
