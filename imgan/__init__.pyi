"""The operations that ship, typed. Made by tests/stubs.py; a test keeps it in step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.api import Opened
from imgan.api import run as run
from imgan.errors import Failure as Failure
from imgan.errors import Misuse as Misuse
from imgan.errors import Skip as Skip

__version__: str

Picturable = str | Path | bytes | Image.Image | NDArray[np.uint8]
"""What is taken for a picture."""

def open(
    name: str | Path | Sequence[Mapping[str, Any]], /, *, device: str = ..., **options: Any
) -> Opened: ...
def adjust(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    brightness: float = ...,
    contrast: float = ...,
    saturation: float = ...,
    grayscale: bool = ...,
    device: str = ...,
) -> Image.Image: ...
def edit(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    add: Sequence[str] | None = ...,
    remove: Sequence[str] | None = ...,
    strength: float = ...,
    auto_strength: bool = ...,
    max_drift: float | None = ...,
    face: str | None = ...,
    aligned: bool = ...,
    engine: str = ...,
    keep: Sequence[str] | None = ...,
    model: str | None = ...,
    hair_color: str | None = ...,
    experimental: bool = ...,
    seed: int = ...,
    sheet: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def generate(
    *,
    count: int = ...,
    seed: int | None = ...,
    truncation: float | None = ...,
    grid: str | None = ...,
    attributes: Sequence[str] | None = ...,
    swap: tuple[Picturable, Picturable] | None = ...,
    model: str = ...,
    device: str = ...,
) -> Image.Image: ...
def inpaint(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    mask: Picturable | None = ...,
    mask_black: bool = ...,
    alpha: bool = ...,
    box: Sequence[str] | None = ...,
    color: str | None = ...,
    grow: int = ...,
    feather: int = ...,
    model: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def interpolate(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    space: str = ...,
    l1: float = ...,
    l2: float = ...,
    perceptual: float = ...,
    reg: float = ...,
    optimizer: str = ...,
    lr: float = ...,
    steps: int = ...,
    restarts: int = ...,
    init: str | None = ...,
    noise: bool = ...,
    tune: int = ...,
    seed: int = ...,
    frames: int = ...,
    fps: float = ...,
    loop: bool = ...,
    ease: bool = ...,
    spherical: bool = ...,
    paste: bool = ...,
    model: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def mix(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    space: str = ...,
    l1: float = ...,
    l2: float = ...,
    perceptual: float = ...,
    reg: float = ...,
    optimizer: str = ...,
    lr: float = ...,
    steps: int = ...,
    restarts: int = ...,
    init: str | None = ...,
    noise: bool = ...,
    tune: int = ...,
    seed: int = ...,
    layers: str = ...,
    model: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def parse(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    part: str = ...,
    sheet: bool = ...,
    model: str = ...,
    device: str = ...,
) -> Image.Image: ...
def reconstruct(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    steps: int = ...,
    optimizer: str = ...,
    tv: float = ...,
    seed: int = ...,
    features: str = ...,
    layer: str = ...,
    size: int | None = ...,
    grid: bool = ...,
    device: str = ...,
) -> Image.Image: ...
def scribble(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    realism: float = ...,
    count: int = ...,
    seeds: int = ...,
    steps: int = ...,
    seed: int = ...,
    study: bool = ...,
    frames: str | Path | None = ...,
    model: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def stylize(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    steps: int = ...,
    optimizer: str = ...,
    tv: float = ...,
    seed: int = ...,
    features: str = ...,
    init: str = ...,
    content_layer: str = ...,
    style_layers: str = ...,
    content_weight: float = ...,
    frames: str | Path | None = ...,
    style: Sequence[Picturable],
    style_weight: Sequence[float] | None = ...,
    strength: float = ...,
    keep_color: bool = ...,
    mask: Picturable | None = ...,
    size: int | None = ...,
    method: str = ...,
    grid: str | None = ...,
    device: str = ...,
) -> Image.Image: ...
def texture(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    steps: int = ...,
    optimizer: str = ...,
    tv: float = ...,
    seed: int = ...,
    features: str = ...,
    size: str = ...,
    tile: bool = ...,
    stroke: int = ...,
    style_layers: str = ...,
    device: str = ...,
) -> Image.Image: ...
def translate(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    to: str | None = ...,
    source: str | None = ...,
    model: str | None = ...,
    strength: float = ...,
    keep_structure: bool = ...,
    size: int | None = ...,
    experimental: bool = ...,
    snowfall: float = ...,
    seed: int = ...,
    face: int | None = ...,
    device: str = ...,
) -> Image.Image: ...
def upscale(
    image: Picturable | Sequence[Picturable],
    /,
    *,
    scale: int | None = ...,
    model: str | None = ...,
    sharpness: float = ...,
    device: str = ...,
) -> Image.Image: ...
