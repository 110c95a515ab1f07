"""What upscalers take and give."""

from __future__ import annotations

from imgan.training.ports import Form, Port

UPSCALER = Form((Port("input", ("batch", 3, "height", "width")),))
"""Pictures of any size to larger ones, RGB in 0..1."""
