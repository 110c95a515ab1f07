"""What goes into the network, and what comes out; the `entry` of the exporter."""

from __future__ import annotations

from imgan_exporters.onnx import Form, Port
from imgan_parse import STEP

parser = Form(
    (Port("input", ("batch", 3, "height", "width"), -1, 1, step=STEP),), ("logits",), magnitude=10
)
"""Faces in -1..1 to logits of the 19 classes."""
