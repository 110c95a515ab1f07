"""`imgan evaluate stylize`: one pass through the network beside an optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from imgan.errors import Failure
from imgan.images import Picture, open_picture, pictures, to_srgb
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.references import Reference
from imgan.training import perceptual
from imgan.training.data import to_tensor
from imgan_stylize import FAST_MODEL, Stylize, Transfer, fast
from imgan_stylize.gram import Painter, choose, content_loss, split_layers, style_loss

PHOTOS, STYLES = "valB", "valA"
"""Folders of held-out photos and paintings, in CycleGAN's layout."""

COUNTS = 3, 2
"""Photos and styles, evenly out of their folders; every photo is painted in every style."""

SIZE = 256
"""The longer side of all of them."""

STEPS = 300

HEADER = (
    *("photo", "painting"),
    *("content", "content of gram", "content ratio"),
    *("style", "style of gram", "style ratio"),
)


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A header, a row for each pair of photo and style, and one of their means.

    `data` holds held-out photos in `valB` and paintings in `valA`. The losses are those that `gram`
    lowers, of the bundled features: of the content and of the style, each over the mean square of
    what is wanted. `gram` takes 300 steps with its default settings. The ratio of the means says
    how far the fast method is behind.

    Raises Misuse when the model serves another operation, Failure when there is no picture.
    """
    runtime = Runtime(device, Models.installed())
    card = runtime.models.find(model or FAST_MODEL, "stylize")
    transfer = Transfer(steps=STEPS)
    judge = Judge(perceptual.load(), transfer)
    painter = Painter(judge.features, transfer, choose(device))
    names, figures = [], []
    for style_name, style in _some(data / STYLES, COUNTS[1]):
        quick = fast.open_fast(
            Stylize(style=[Reference(Picture(style))], model=card.name), runtime, SIZE
        )
        for photo_name, photo in _some(data / PHOTOS, COUNTS[0]):
            painted = quick(Picture(photo)).picture.pixels.astype(np.uint8)
            optimised, _ = painter.stylise(photo, [style], [1.0], transfer)
            names.append((photo_name, style_name))
            figures.append(
                [*judge.losses(painted, photo, style), *judge.losses(optimised, photo, style)]
            )
    names.append(("mean", ""))
    figures.append(list(np.mean(figures, axis=0)))
    return HEADER, [(*name, *_texts(*row)) for name, row in zip(names, figures, strict=True)]


@dataclass(frozen=True)
class Judge:
    """Measures pictures [H, W, 3] in the layers that `transfer` names."""

    features: perceptual.Features
    transfer: Transfer

    @torch.no_grad()
    def losses(self, picture: Bytes, photo: Bytes, style: Bytes) -> tuple[float, float]:
        """Of the content and of the style, the latter's mean over its layers."""
        layer, layers = self.transfer.content_layer, split_layers(self.transfer.style_layers)
        seen = self.features(to_tensor([picture]), {layer, *layers})
        wanted = self.features(to_tensor([photo]), {layer})[layer]
        grams = self.features(to_tensor([style]), layers)
        apart = [style_loss(seen[name], perceptual.gram(grams[name])) for name in layers]
        return float(content_loss(seen[layer], wanted)), float(torch.stack(apart).mean())


def _some(folder: Path, count: int) -> list[tuple[str, Bytes]]:
    """`count` pictures of a folder, evenly spread, by name; all when there are fewer."""
    if not folder.is_dir():
        raise Failure(
            f"{folder} is missing: --data holds {PHOTOS}/ (photos) and {STYLES}/ (styles)"
        )
    found = pictures(folder)
    chosen = found[:: max(1, len(found) // count)][:count]
    opened = [(path.name, open_picture(path)) for path in chosen]
    return [(name, reduced(to_srgb(p.pixels, p.source), SIZE)) for name, p in opened]


def _texts(content: float, style: float, gram_content: float, gram_style: float) -> tuple[str, ...]:
    ratios = content / gram_content, style / gram_style
    row = content, gram_content, ratios[0], style, gram_style, ratios[1]
    return tuple(f"{value:.3g}" for value in row)
