"""What goes into each family of networks, and what comes out; the `entry` of the exporters."""

from __future__ import annotations

from imgan_exporters.onnx import Form, Port

_FACE = ("batch", 3, 64, 64)

picture = Form((Port("input", ("batch", 3, "height", "width")),))
"""Pictures of any size to pictures, RGB in 0..1."""

generator = Form((Port("input", ("batch", 100), -2, 2),))
"""DCGAN's z to faces [N, 3, 64, 64] in -1..1."""

editor = Form(
    (Port("face", _FACE, -1, 1), Port("change", ("batch", 40), -1, 1)),
    ("reconstruction", "edited"),
)
"""Faces in -1..1, and how much of each attribute to add, to two faces."""

classifier = Form((Port("input", _FACE, -1, 1),))
"""Faces in -1..1 to 40 logits."""
