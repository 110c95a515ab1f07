"""What the parser takes and gives."""

from __future__ import annotations

from imgan.training.ports import Form, Port
from imgan_parse import STEP

PARSER = Form(
    (Port("input", ("batch", 3, "height", "width"), -1, 1, step=STEP),), ("logits",), magnitude=10
)
"""Faces in -1..1 to logits of the 19 classes."""
