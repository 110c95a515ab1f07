"""`imgan shapes`: furniture out of noise, as meshes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.recipes import Evaluation, Recipe, Settings


class Mirror(StrEnum):
    """The axis along which the second half of a shape is the first one's mirror image."""

    none = "none"
    x = "x"
    y = "y"


@dataclass(frozen=True)
class GAN3DSettings(Settings):
    """As published; `--size 24 --width 32 --discriminator-width 32 --mirror y` ships."""

    steps: Annotated[int, Option(help="Updates in the whole run.")] = 10_000
    batch_size: Annotated[int, Option(help="Shapes a step, over all processes.")] = 32
    size: Annotated[
        int,
        Option(help="Cells a side: 64, or 48 without the margin; 32 or 24 of grids half as fine."),
    ] = 64
    width: Annotated[int, Option(help="Channels of the generator's last hidden layer.")] = 64
    discriminator_width: Annotated[
        int, Option(help="Channels of the discriminator's first layer.")
    ] = 64
    mirror: Annotated[
        Mirror, Option(help="Make one half, and mirror it along this axis: y swaps the sides.")
    ] = Mirror.none
    slope: Annotated[
        float, Option(help="Cells from the surface to full and to empty; 0 learns bare cells.")
    ] = 1.5
    whole: Annotated[
        float, Option(help="Weight of what hangs loose in a generated shape; 0: nobody looks.")
    ] = 4.0
    gamma: Annotated[float, Option(help="Weight of the gradient penalties R1 and R2.")] = 1.0
    penalty_every: Annotated[
        int, Option(help="Steps between penalties, then as much stronger.")
    ] = 8
    kind: Annotated[
        str | None, Option(help="Only shapes whose names begin with this, such as chair.")
    ] = None
    pose: Annotated[
        int | None, Option(help="Of objects in several poses (OBJECT_1 and on), this one alone.")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.size in (64, 48, 32, 24), "size", "64, 48, 32 or 24")
        self.require(self.mirror in set(Mirror), "mirror", " or ".join(Mirror))
        for name in ("slope", "whole", "gamma"):
            self.require(getattr(self, name) >= 0, name, "0 or more")


@hookimpl
def register_commands(app: typer.Typer) -> None:
    from imgan_shapes import commands

    app.add_typer(commands.app, name="shapes")


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="3dgan",
            summary="3D-GAN, occupancy grids out of noise.",
            entry="imgan_shapes.training.gan:GAN3DTask",
            settings=GAN3DSettings,
            data="A folder of meshes (.obj .off .stl .glb .ply) or grids (.binvox .mat .npy .npz); "
            "the last twentieth of the objects by name is held out.",
            ports="imgan_shapes.ports:generator",
            operation="shapes",
            input="200 numbers from N(0, 1)",
            paper="Wu, Zhang, Xue, Freeman, Tenenbaum 2016, arXiv:1610.07584",
        )
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="shapes",
            summary="How whole, varied and new generated shapes are, beside those of a folder.",
            entry="imgan_shapes.evaluate:evaluate",
        )
    ]
