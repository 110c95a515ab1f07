"""`imgan evaluate inpaint`: what is filled into holes of known pictures."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan.images.tensors import Bytes
from imgan.metrics import luma, psnr, ssim
from imgan.metrics.perceptual import open_features
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan_inpaint import Inpaint
from imgan_inpaint.holes import draw_hole
from imgan_inpaint.run import Inpainting

Mask = NDArray[np.bool_]
Method = Callable[[Bytes, Mask], Bytes]

HEADER = ("hole", "method", "L1", "PSNR", "SSIM", "distance (bundled features)", "sharpness")

SIZES = (0.1, 0.2, 0.4)
"""Parts of the picture that holes take, give or take a seventh."""

DRAWN = 256
"""The side at which holes are drawn, in pixels."""


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, and for each size of holes a row for each method: means over all pictures.

    L1 (0..1) and PSNR (dB) are over the hole's pixels, SSIM (of luma) and the perceptual distance
    over the whole picture, in which nothing else differs. Sharpness is the energy of the gradients
    in the hole, in parts of the original's there. OpenCV's methods are left out where it is not
    installed. Holes are boxes and strokes, the same at every run.

    Raises Misuse for a model of another operation, Failure when a picture cannot be used.
    """
    features = open_features(device)
    methods = _methods(model, device)
    figures: dict[tuple[float, str], list[tuple[float, ...]]] = {}
    for number, truth in enumerate(_truths(data)):
        for size in SIZES:
            hole = _hole(truth.shape, size, number)
            for name, method in methods.items():
                filled = np.where(hole[..., None], method(truth, hole), truth)
                one, other = luma(filled), luma(truth)
                error = (filled[hole].astype(np.float64) - truth[hole]) / 255
                figures.setdefault((size, name), []).append(
                    (
                        float(np.abs(error).mean()),
                        psnr(255 * error, np.zeros_like(error)),
                        ssim(one, other),
                        features.distance(filled, truth),
                        _energy(one, hole) / max(_energy(other, hole), 1e-6),
                    )
                )
    rows: list[tuple[str, ...]] = []
    for (size, name), values in sorted(figures.items(), key=lambda item: item[0][0]):
        l1, decibels, similarity, distance, sharpness = np.mean(values, axis=0)
        rows.append(
            (f"{size:.0%}", name, f"{l1:.4f}", f"{decibels:.2f}", f"{similarity:.4f}",
             f"{distance:.4f}", f"{sharpness:.2f}")
        )  # fmt: skip
    return HEADER, rows


def _methods(model: str | None, device: str) -> Mapping[str, Method]:
    process = Inpainting(Inpaint(mask=None, model=model), Runtime(device, Models.installed()))

    def ours(photo: Bytes, hole: Mask) -> Bytes:
        return process.filled(Picture(photo), hole)[0].astype(np.uint8)

    def mean(photo: Bytes, hole: Mask) -> Bytes:
        colour = photo[~hole].mean(0).round().astype(np.uint8)
        return np.broadcast_to(colour, photo.shape)

    methods: dict[str, Method] = {"imgan": ours, "mean": mean}
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        return methods
    for name, way in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS)):
        methods[name] = partial(_by_opencv, cv2.inpaint, way)
    return methods


def _by_opencv(inpaint: Callable[..., Bytes], way: int, photo: Bytes, hole: Mask) -> Bytes:
    return inpaint(photo, hole.astype(np.uint8), 3, way)


def _truths(data: Path) -> Iterator[Bytes]:
    for path in pictures(data):
        picture = open_picture(path)
        yield np.ascontiguousarray(to_srgb(picture.pixels, picture.source))


def _hole(shape: tuple[int, ...], size: float, number: int) -> Mask:
    rng = np.random.default_rng([number, round(100 * size)])
    hole = Image.fromarray(draw_hole(rng, DRAWN, size * 6 / 7, size * 8 / 7))
    return np.asarray(hole.resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def _energy(plane: NDArray[np.float64], hole: Mask) -> float:
    down, across = np.gradient(plane)
    return float(np.hypot(down, across)[hole].mean())
