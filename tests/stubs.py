"""Writes `imgan/__init__.pyi`, the operations as typed functions: `python tests/stubs.py`."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path

import imgan
from imgan.operations import Operation
from imgan.options import Field, fields_of
from imgan.plugins import registry

FILE = Path(imgan.__file__).with_suffix(".pyi")

HEAD = '''"""The operations that ship, typed. Made by tests/stubs.py; a test keeps it in step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.api import Opened
from imgan.api import run as run
from imgan.errors import Failure as Failure
from imgan.errors import Misuse as Misuse
from imgan.errors import Skip as Skip

__version__: str

Picturable = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""What is taken for a picture."""

def open(
    name: str | Path | Sequence[Mapping[str, Any]], /, *, device: str = ..., **options: Any
) -> Opened: ...
'''


def text() -> str:
    """The whole file."""
    shipped = [
        kind
        for _, kind in sorted(registry().operations.items())
        if kind.__module__.startswith("imgan_")
    ]
    return HEAD + "".join(map(_function, shipped))


def _function(kind: type[Operation]) -> str:
    image = "    image: Picturable | Sequence[Picturable],\n    /,\n" if kind.inputs else ""
    options = "".join(map(_option, fields_of(kind)))
    return (
        f"def {kind.name}(\n{image}    *,\n{options}    device: str = ...,\n) -> Image.Image: ...\n"
    )


def _option(field: Field) -> str:
    kind = field.kind.__name__ if field.kind.__module__ == "builtins" else "str"
    name = {"Reference": "Picturable", "Path": "str | Path"}.get(field.kind.__name__, kind)
    if field.count:
        hint = f"tuple[{', '.join([name] * field.count)}]"
    else:
        hint = f"Sequence[{name}]" if field.many else name
    hint += " | None" if field.default is None else ""
    return f"    {field.name}: {hint}{'' if field.default is MISSING else ' = ...'},\n"


if __name__ == "__main__":
    FILE.write_text(text())
