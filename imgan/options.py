"""From dataclasses to command-line options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


def unfold(command: Callable[..., None], parameter: str, kind: type) -> Callable[..., None]:
    """A typer command in which one dataclass parameter is given field by field.

    `def adjust(job: Job, brightness: float = 1.0)` with `parameter="job", kind=Job` becomes a
    command with one option for each field of Job, annotated there, followed by `--brightness`. So
    options that many commands share stand once, as a type, and a command gets them as one value.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    kind_hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    own = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, p in signature.parameters.items()
        if name != parameter
    ]
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=kind_hints[field.name],
        )
        for field in fields(kind)
    ]

    def unfolded(**given: Any) -> None:
        value = kind(**{name: given.pop(name) for name in names})
        command(**{parameter: value}, **given)

    unfolded.__name__ = command.__name__
    unfolded.__doc__ = command.__doc__
    unfolded.__module__ = command.__module__
    parameters = [*shared, *own]
    unfolded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    unfolded.__annotations__ = {p.name: p.annotation for p in parameters}
    return unfolded
