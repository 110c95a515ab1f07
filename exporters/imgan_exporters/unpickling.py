"""Official StyleGAN pickles, read without running code from them.

They hold modules as `torch_utils.persistence` keeps them: source code, which is run to get the
class, and the state. Here the source is left alone and the state is read. Only what such files need
is known; everything else is refused by its name (a pickle can call any function that is found).
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgan.errors import Failure, UnsupportedFile


class Kept:
    """A module as it was kept: its class's name, its attributes, parameters and children."""

    def __init__(self, meta: Any) -> None:
        state = meta.get("state") if isinstance(meta, Mapping) else None
        if not isinstance(state, Mapping):
            raise pickle.UnpicklingError("a module without a state")
        self.name = str(meta.get("class_name"))
        self.state = dict(state)

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and buffers by their full names."""
        found = {}
        for kind in ("_parameters", "_buffers"):
            for name, tensor in _table(self.state.get(kind)).items():
                if isinstance(tensor, Tensor):
                    found[f"{prefix}{name}"] = tensor.detach().float()
        for name, child in _table(self.state.get("_modules")).items():
            if isinstance(child, Kept):
                found |= child.tensors(f"{prefix}{name}.")
        return found


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def read_pickle(file: Path) -> dict[str, dict[str, Tensor]]:
    """The modules in an official pickle, such as "G_ema": their parameters and buffers by name.

    Raises Failure when it is damaged or calls for anything unknown, UnsupportedFile when what it
    holds is no table of modules.
    """
    try:
        with file.open("rb") as stream:
            content = _Reader(stream).load()
        # In here, too: a pickle may put anything in the place of a state, and a module in itself.
        modules = {str(k): v.tensors() for k, v in _table(content).items() if isinstance(v, Kept)}
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None
    except Refused as refused:
        raise Failure(
            f"{file} calls for {refused}, which weights do not need: nothing of it was run"
        ) from None
    except Exception:  # whatever damaged bytes make of the machine that reads them
        raise Failure(f"{file} is damaged, or no pickle of StyleGAN's") from None
    if not modules:
        raise UnsupportedFile(f"a {type(content).__name__} without modules")
    return modules


class Refused(Exception):
    """Something that is not known; its name is the text."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A stand-in of our own for each thing that is known, never the thing that is named."""
        if module.partition(".")[0] == "dnnlib" and "tflib" in module:
            raise Refused(f"{module}.{name} (TensorFlow: convert it with legacy.py first)")
        known = _KNOWN.get((module, name))
        if known is None:
            raise Refused(f"{module}.{name}"[:120])
        return known()

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("something outside the file")


def _stand_in(function: Callable[..., Any]) -> Callable[[], Callable[..., Any]]:
    """Gives a new function at each call: a pickle may set attributes of what it has found."""
    return lambda: lambda *args: function(*args)


def _storage(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    flat = torch.tensor([], dtype=storage.dtype).set_(storage._untyped_storage)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride), default=0) < 0 or last >= max(1, len(flat)):
        raise pickle.UnpicklingError("a tensor that leaves its storage")
    return flat.as_strided(tuple(size), tuple(stride), offset).clone()


_KNOWN: Mapping[tuple[str, str], Callable[[], Any]] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _stand_in(Kept),
    ("torch._utils", "_rebuild_tensor_v2"): _stand_in(_tensor),
    ("torch._utils", "_rebuild_parameter"): _stand_in(lambda data, *_: data),
    ("torch.storage", "_load_from_bytes"): _stand_in(_storage),
    ("torch", "device"): _stand_in(lambda *_: None),
    ("collections", "OrderedDict"): lambda: OrderedDict,
    ("dnnlib.util", "EasyDict"): lambda: dict,
}
