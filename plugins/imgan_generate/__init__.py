"""`imgan generate`: faces out of noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from imgan.recipes import Settings


@dataclass(frozen=True)
class DCGANSettings(Settings):
    """DCGAN as published is `--width 128 --critic-width 128`."""

    # 7,100 updates of 128 are a hundred passes over 9,000 faces.
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 7_100
    batch: Annotated[int, Option(help="Pictures a step, over all processes.")] = 128
    average: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.998
    width: Annotated[int, Option(help="Channels of the generator's last hidden layer.")] = 64
    critic_width: Annotated[int, Option(help="Channels of the discriminator's first layer.")] = 64
