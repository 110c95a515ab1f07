"""`imgan evaluate upscale`: what an upscaler restores of pictures that were made small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from imgan.errors import Failure
from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan.images.tensors import Pixels
from imgan.metrics import fidelity
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.sessions import open_session
from imgan_upscale import DEFAULT_MODELS
from imgan_upscale.run import Upscaler, native_scale

DISTANCE = "distance (bundled features)"
HEADER = (
    "picture", "PSNR", "SSIM", DISTANCE, "bicubic PSNR", "bicubic SSIM", "bicubic distance",
)  # fmt: skip


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, a row for each picture of a folder and one of their means.

    A picture is cut to a multiple of the model's scale, made smaller by antialiased bicubic
    interpolation and enlarged again as `imgan upscale` does it, and by bicubic interpolation. PSNR
    (dB) and SSIM are those of luma, the distance is `imgan.metrics.perceptual`'s (0 is equal); all
    with `scale` pixels cut off each side.

    Raises Misuse when the model is no upscaler, Failure when a picture cannot be used.
    """
    card = store.find(store.installed(), model or DEFAULT_MODELS[4], "upscale")
    session = open_session(store.path(card), device)
    scale = native_scale(session)
    upscaler = Upscaler(session, scale)
    features = open_features(device)

    def measure(picture: Pixels, truth: Pixels) -> tuple[float, ...]:
        inside = np.s_[scale:-scale, scale:-scale]
        distance = features.distance(picture[inside], truth[inside])
        return *fidelity(picture, truth, scale), distance

    names, figures = [], []
    for path, truth in _truths(data, scale):
        large = Image.fromarray(truth)
        small = large.resize(
            (large.width // scale, large.height // scale), Image.Resampling.BICUBIC
        )
        result = upscaler(Picture(np.asarray(small))).picture
        bicubic = small.resize(large.size, Image.Resampling.BICUBIC)
        names.append(str(path.relative_to(data)))
        figures.append(
            measure(np.asarray(result.pixels, np.uint8), truth)
            + measure(np.asarray(bicubic), truth)
        )
    rows = zip([*names, "mean"], [*figures, np.mean(figures, axis=0)], strict=True)
    return HEADER, [(name, *_text(*row)) for name, row in rows]


def _truths(data: Path, scale: int) -> Iterator[tuple[Path, Pixels]]:
    least = 16 + 2 * scale
    for path in pictures(data):
        picture = open_picture(path)
        height, width = (side // scale * scale for side in picture.pixels.shape[:2])
        if min(height, width) < least:
            raise Failure(f"{path}: {width}x{height} px; measuring x{scale} needs {least} a side")
        yield path, to_srgb(picture.pixels, picture.source)[:height, :width]


def _text(*figures: float) -> tuple[str, ...]:
    return tuple(f"{x:.2f}" if i % 3 == 0 else f"{x:.4f}" for i, x in enumerate(figures))
