"""Photos of people as a folder in CelebA's layout, for `imgan train edit-residual --more`.

The guide says which attributes a face has: not the judge of `imgan evaluate edit`, which is to know
nothing of the training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from torch import Tensor

from imgan import faces
from imgan.errors import Failure, Misuse
from imgan.files import whole_file
from imgan.images import open_picture, pictures
from imgan.training.celeba import ATTRIBUTES_FILE
from imgan.training.data import stack
from imgan.training.faces import centred, taken
from imgan_edit.attributes import NAMES
from imgan_edit.guide import load_guide
from imgan_edit.place import Place
from imgan_edit.train import SIZE

SIDE = 128
"""Of the faces that are written."""

SEEN = 89
"""Side of CelebA's faces at half size: the guide knows none that are sharper."""


def write_faces(photos: Path, run: Path, out: Path) -> None:
    """Cut out the largest face of each photo as CelebA's are, and list its attributes.

    Photos without a face that `imgan edit` would edit are left out. Raises Misuse when `out` has a
    list, Failure when no face is found, and what `load_guide` raises.
    """
    if (out / ATTRIBUTES_FILE).exists():
        raise Misuse(f"{out}: there is a {ATTRIBUTES_FILE} in it already; name another --out")
    judge = _judge(run)
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    console = Console(stderr=True)
    for path in track(
        pictures(photos), photos.name, console=console, disable=not console.is_terminal
    ):
        try:
            face = _largest(path)
        except Failure:
            continue
        name = f"{len(lines):06d}.png"
        face.save(out / name)
        has = judge(face).tolist()
        lines.append(f"{name} {' '.join('1' if logit > 0 else '-1' for logit in has)}")
    if not lines:
        raise Failure(f"{photos}: no face in any of its pictures")
    listing = "\n".join([str(len(lines)), " ".join(NAMES), *lines, ""])
    with whole_file(out / ATTRIBUTES_FILE, overwrite=False) as file:
        file.write(listing.encode())


def _largest(path: Path) -> Image.Image:
    picture = open_picture(path)
    found = Place().find(picture)
    face = max((found.faces[i] for i in found.chosen), key=lambda face: face.box[3])
    return Image.fromarray(faces.align(picture, face, SIDE))


def _judge(run: Path) -> Callable[[Image.Image], Tensor]:
    """What makes logits [40] of a face: the mean over it and its mirror image."""
    guide = load_guide(str(run))

    @torch.no_grad()
    def judge(face: Image.Image) -> Tensor:
        bicubic = Image.Resampling.BICUBIC
        seen = face.resize((SEEN, SEEN), bicubic).resize((SIZE, SIZE), bicubic)
        views = centred(taken(stack([seen, ImageOps.mirror(seen)]), np.arange(2)))
        return guide(views).mean(0)

    return judge
