"""Words of a command line as values of imgan's own fields.

typer, from 0.28 on, has them validated by pydantic, whose import takes longer than that of imgan.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from imgan.options import Field


@dataclass(frozen=True)
class _Reading:
    """What typer calls instead: the words given for a parameter, or its default, as values."""

    field: Field

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Raises Misuse."""
        if param.multiple or param.nargs == -1:
            return self.field.given(value or ())
        if value is None:
            return None
        return self.field.given([value])[0] if param.nargs == 1 else tuple(self.field.given(value))


def read_by_fields(param: Any) -> None:
    """Let a parameter of a click command be read so, where typer has another way in mind."""
    described = getattr(param, "type_descriptor", None)
    if described is None or not hasattr(param, "_runtime_param"):
        return
    field = Field(param.name, Annotated[described.annotation, described.parameter_info], None)
    try:
        known = issubclass(field.kind, int | float | str | Path | Enum)
    except (TypeError, ValueError):  # what imgan's own fields never are
        return
    if known and not getattr(described.parameter_info, "parser", None):
        param._runtime_param = _Reading(field)
