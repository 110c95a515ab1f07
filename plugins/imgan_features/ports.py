"""What the perceptual network takes and gives."""

from __future__ import annotations

from imgan.metrics.perceptual import SCALES
from imgan.training.ports import Form, Port

FEATURES = Form((Port("input", ("batch", 3, "height", "width")),), SCALES)
"""Pictures of 16 px a side or more, RGB in 0..1, to the activations of five layers."""
