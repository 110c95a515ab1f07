"""What lies in the checkpoints of PyTorch's users. Weights are read, and code is never run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from imgan.errors import Failure, UnsupportedFile


def read_table(file: Path) -> dict[str, Any]:
    """The table in a checkpoint, on the CPU: tensors by name, or tables of them.

    Raises Failure, in one line, when the file is damaged or no checkpoint, or holds code;
    UnsupportedFile when what it holds is no table.
    """
    try:
        file.open("rb").close()  # torch raises OSError for damage, too
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the file may be another kind of archive
            if file.suffix.lower() == ".safetensors":
                content = load_file(file)
            else:
                content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what the two libraries raise on damaged files has no common base
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise Failure(
                f"{file} holds code ({code[1]}), and weights alone are read: save the network's "
                "state_dict()"
            ) from None
        raise Failure(f"{file} is damaged, or no checkpoint of PyTorch's") from None
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise UnsupportedFile(f"a {type(content).__name__}")
    return dict(content)


def foreign(table: Mapping[str, Any]) -> UnsupportedFile:
    """What to raise for a table of no known network."""
    if "param_groups" in table:
        return UnsupportedFile("the state of an optimiser")
    some = ", ".join(list(table)[:3])
    return UnsupportedFile(f"{len(table)} entries ({some} ...) of an unknown network")
