"""GAN photo editing from the shell, and from Python: `imgan.edit("photo.jpg", add=["smiling"])`."""

import os
from typing import Any

from imgan.errors import Failure, Misuse, Skip

__version__ = "0.1.0"

__all__ = ["Failure", "Misuse", "Skip", "__version__"]

# imgan works offline and tells nobody: what would report on its own must be told before its import.
for _name, _value in {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.29 and later
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    """Operations by their names, `open` and `run`; imported when they are asked for."""
    from importlib.util import find_spec

    # `from imgan import plugins` asks here first, before it looks for a module.
    if name.startswith("_") or find_spec(f"imgan.{name}") is not None:
        raise AttributeError(name)
    from functools import partial

    import imgan.api as api
    from imgan.plugins import registry

    own = {"open": api.open_operation, "run": api.run}
    if name in own:
        return own[name]
    if name in registry().operations:
        function = partial(api.call, name)
        function.__doc__ = registry().operations[name].__doc__
        return function
    raise AttributeError(f"module 'imgan' has no attribute {name!r}, and no operation of that name")
