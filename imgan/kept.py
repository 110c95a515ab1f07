"""How often a result was kept by an eye that was asked: would a demanding person keep this?"""

from __future__ import annotations

from typing import NamedTuple

from imgan.errors import Misuse

OFFERED = 0.35
"""What is kept less often is experimental."""


class Kept(NamedTuple):
    """So many of so many photos that nothing was trained or tuned on; of none: not judged."""

    kept: int
    of: int
    beware: str = ""
    """Where not to expect much."""

    @property
    def experimental(self) -> bool:
        return self.kept < OFFERED * self.of

    def allow(self, name: str, experimental: bool) -> None:
        """Raises Misuse for what is kept too seldom to be had without `--experimental`."""
        if self.experimental and not experimental:
            raise Misuse(
                f"{name} is experimental: of {self.of} results {self.kept} were kept by eye; "
                "--experimental does it all the same"
            )

    def __str__(self) -> str:
        if not self.of:
            return ""
        return f"{self.kept} of {self.of}" + (", experimental" if self.experimental else "")
