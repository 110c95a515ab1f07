"""`imgan adjust`: brightness, contrast, saturation and grey. The smallest plugin: no network."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from typer import Option

from imgan.batch.job import Job, Operation
from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.options import unfold


def adjust(
    job: Job,
    brightness: Annotated[float, Option(min=0, help="0 is black, 1 the photo as it is.")] = 1.0,
    contrast: Annotated[float, Option(min=0, help="0 is even grey, 1 the photo as it is.")] = 1.0,
    saturation: Annotated[float, Option(min=0, help="0 is grey, 1 the photo as it is.")] = 1.0,
    grayscale: Annotated[bool, Option("--grayscale", help="The same as --saturation 0.")] = False,
) -> None:
    """Change brightness, contrast and colour: `imgan adjust photo.jpg --brightness 1.2`.

    The changes follow each other in the order given here.
    """
    if grayscale and saturation != 1.0:
        raise Misuse("--grayscale takes all colour away: leave --saturation out")
    factors = {
        "brightness": brightness,
        "contrast": contrast,
        "grayscale" if grayscale else "saturation": 0.0 if grayscale else saturation,
    }
    changes = {name: factor for name, factor in factors.items() if factor != 1.0}
    if not changes:
        raise Misuse(
            "nothing to adjust: give --grayscale, --brightness, --contrast or --saturation"
        )

    from imgan.batch.run import run
    from imgan_adjust.run import start

    run(
        job,
        Operation(
            name="adjust",
            suffix="-".join(changes),
            settings=changes,
            models=(),
            start=partial(start, changes),
        ),
    )


@hookimpl
def register_commands(app: typer.Typer) -> None:
    app.command()(unfold(adjust, "job", Job))
