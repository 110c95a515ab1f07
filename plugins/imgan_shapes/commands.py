"""The commands `imgan shapes ...`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from imgan.options import unfold

app = typer.Typer(no_args_is_help=True, help="Make furniture out of noise, as meshes.")


class Format(StrEnum):
    """What a shape is written as."""

    glb = "glb"
    obj = "obj"
    stl = "stl"
    ply = "ply"
    npz = "npz"


Picture = Annotated[
    Path | None,
    Option(metavar="FILE", help="Write shaded views on one sheet.", show_default=False),
]
Seed = Annotated[
    int | None,
    Option(min=0, help="Same seed, same shapes. Default: a new one, named in the files."),
]
_Output = Annotated[
    Path,
    Option("--output", "-o", metavar="DIR|FILE", help="A folder, or the file of a single shape."),
]


@dataclass(frozen=True)
class Making:
    """How latents become shapes, and what these are written as."""

    format: Annotated[Format, Option(help="What is written to a folder: meshes, or grids.")] = (
        Format.glb
    )
    keep_largest: Annotated[
        bool, Option("--keep-largest", help="Leave out bits that float beside the shape.")
    ] = False
    threshold: Annotated[
        float | None,
        Option(
            min=0.01,
            max=0.99,
            help="The occupancy at the surface: less is thicker. Default: the model's own.",
            show_default=False,
        ),
    ] = None
    truncation: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            help="Scales latents: less is more usual. Default: the model's own.",
            show_default=False,
        ),
    ] = None
    kind: Annotated[str, Option(help="What to make: a kind that some generator learned.")] = "chair"
    model: Annotated[
        str | None,
        Option(help="A generator from `imgan models`, and not by --kind.", show_default=False),
    ] = None
    device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files that exist.")] = False


def generate(
    making: Making,
    output: _Output,
    latents: Annotated[
        list[str] | None,
        Argument(
            metavar="[LATENT]...",
            help="Shapes to make again: SEED:NUMBER, or FILE.npz:NUMBER of a latents file.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, Option("-n", "--count", min=1, help="How many new ones.")] = 1,
    seed: Seed = None,
    add: Annotated[
        list[str] | None, Option(metavar="LATENT", help="Add this to each.", show_default=False)
    ] = None,
    minus: Annotated[
        list[str] | None,
        Option(metavar="LATENT", help="Subtract this from each.", show_default=False),
    ] = None,
    picture: Picture = None,
    turntable: Annotated[
        Path | None,
        Option(metavar="GIF", help="Write how they look all around.", show_default=False),
    ] = None,
) -> None:
    """Make shapes that nobody drew: closed meshes, or grids of 64 cells a side.

    imgan shapes generate -n 8 -o chairs --picture chairs.png

    Latents are kept beside them, to make them again, walk between them, or calculate:

    imgan shapes generate 1:3 --minus 1:5 --add 1:6 -o arms.glb
    """
    from imgan_shapes import run

    run.generate(making, output, latents or [], count, seed, add or [], minus or [], picture,
                 turntable)  # fmt: skip


def interpolate(
    making: Making,
    latents: Annotated[
        list[str],
        Argument(metavar="LATENT LATENT...", help="SEED:NUMBER, or FILE.npz:NUMBER: two or more."),
    ],
    output: Annotated[
        Path,
        Option(
            "--output", "-o", metavar="DIR|GIF", help="A folder for the shapes, or a .gif of them."
        ),
    ],
    steps: Annotated[int, Option(min=1, help="Steps from each to the next.")] = 8,
    picture: Picture = None,
) -> None:
    """Go from one shape to the next through the shapes between them.

    imgan shapes interpolate 1:3 1:5 -o between.gif
    """
    from imgan_shapes import run

    run.interpolate(making, latents, output, steps, picture)


def voxelize(
    mesh: Annotated[Path, Argument(help="A mesh: .obj .off .stl .glb .ply; or another grid.")],
    output: Annotated[Path, Option("--output", "-o", metavar="FILE.npz", help="The grid.")],
    picture: Picture = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Turn a mesh into a grid of 64 cells a side, as generators learn from.

    imgan shapes voxelize chair.obj -o chair.npz
    """
    from imgan_shapes import run

    run.voxelize(mesh, output, picture, overwrite)


def invert(
    making: Making,
    shape: Annotated[Path, Argument(help="A grid, or a mesh.")],
    output: Annotated[
        Path, Option("--output", "-o", metavar="FILE", help="The latent, and its grid; or a mesh.")
    ],
    steps: Annotated[int, Option(min=0, help="Steps of Adam.")] = 200,
    seed: Annotated[int, Option(min=0, help="Same seed, same latent on the CPU.")] = 0,
    picture: Picture = None,
) -> None:
    """Find the latent of a shape, by gradients, and how well it fits (needs the extra `train`).

    imgan shapes invert chair.npz -o latent.npz --picture both.png
    """
    from imgan_shapes import run

    run.invert(making, shape, output, steps, seed, picture)


app.command()(unfold(generate, making=Making))
app.command()(unfold(interpolate, making=Making))
app.command()(voxelize)
app.command()(unfold(invert, making=Making))
