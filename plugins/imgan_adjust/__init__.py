"""`imgan adjust`: brightness, contrast, saturation and grey. The smallest plugin: no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from imgan.errors import Misuse
from imgan.hookspecs import hookimpl
from imgan.operations import Operation, Process, Runtime


@dataclass(frozen=True, kw_only=True)
class Adjust(Operation):
    """Change brightness, contrast and colour: `imgan adjust photo.jpg --brightness 1.2`.

    The changes follow each other in the order given here.
    """

    name = "adjust"

    brightness: Annotated[
        float, Option(min=0, max=10, help="0 is black, 1 the photo as it is.")
    ] = 1.0
    contrast: Annotated[
        float, Option(min=0, max=10, help="0 is even grey, 1 the photo as it is.")
    ] = 1.0
    saturation: Annotated[float, Option(min=0, max=10, help="0 is grey, 1 the photo as it is.")] = (
        1.0
    )
    grayscale: Annotated[bool, Option("--grayscale", help="The same as --saturation 0.")] = False

    @property
    def changes(self) -> dict[str, float]:
        """The factors that change something, by name, in order."""
        factors = {
            "brightness": self.brightness,
            "contrast": self.contrast,
            "grayscale" if self.grayscale else "saturation": (
                0.0 if self.grayscale else self.saturation
            ),
        }
        return {name: factor for name, factor in factors.items() if factor != 1.0}

    @property
    def suffix(self) -> str:
        return "-".join(self.changes)

    def check(self) -> None:
        if self.grayscale and self.saturation != 1.0:
            raise Misuse("--grayscale takes all colour away: leave --saturation out")
        if not self.changes:
            raise Misuse(
                "nothing to adjust: give --grayscale, --brightness, --contrast or --saturation"
            )

    def open(self, runtime: Runtime) -> Process:
        from imgan_adjust.enhance import Enhancing

        return Enhancing(self.changes)


@hookimpl
def register_operations() -> Iterable[type[Operation]]:
    return [Adjust]
