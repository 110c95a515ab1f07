"""What the networks of `imgan inpaint` take and give, for their export."""

from __future__ import annotations

from imgan.training.ports import Form, Port
from imgan_inpaint.net import STEP

INPAINTER = Form(
    (
        Port("image", ("batch", 3, "height", "width"), step=STEP),
        Port("mask", ("batch", 1, "height", "width"), step=STEP),
    )
)
"""Pictures RGB in 0..1 and masks, 1 in the hole, to pictures whose holes are filled."""
