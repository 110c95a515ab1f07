"""GAN photo editing from the shell, and from Python: `imgan.edit("photo.jpg", add=["bangs"])`."""

import os

__version__ = "0.1.0"

# imgan works offline and tells nobody: what would report on its own must be told before its import.
for _name, _value in {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.29 and later
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)
