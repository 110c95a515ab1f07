"""The engine `vector`: a face is encoded, moved along attribute vectors, decoded, and compared.

What goes back into the photo is the difference between the decoded face before and after the move,
never the decoded face itself: what the networks cannot reconstruct stays as it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from imgan import batch, faces, store
from imgan.cards import ModelCard
from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.images import Picture, Samples, open_picture, save_picture, to_srgb
from imgan.job import Job, Operation
from imgan.session import Session, open_session
from imgan_edit import Edit
from imgan_edit.attributes import SLUGS, parse

if TYPE_CHECKING:
    from imgan.job import Process

SIZE = 64
TILE, LABEL, COLUMNS = 128, 16, 7
"""The sheet: sides of its faces, height of the lines under them, faces in a row."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def edit(job: Job, wish: Edit) -> None:
    """Edit every picture of the job. Raises Misuse for a wish that contradicts itself."""
    added, removed = parse(wish.add or []), parse(wish.remove or [])
    if both := [slug for slug in added if slug in removed]:
        raise Misuse(f"--add and --remove both name {both[0]}; leave one out")
    if not added and not removed:
        raise Misuse("nothing to edit: name an attribute with --add or --remove (--list has them)")
    place = Place.of(wish)
    card = _editor(wish)
    change = np.zeros(len(SLUGS), np.float32)
    change[[SLUGS.index(slug) for slug in added]] = wish.strength
    change[[SLUGS.index(slug) for slug in removed]] = -wish.strength
    settings = {
        "add": sorted(added),
        "remove": sorted(removed),
        "strength": wish.strength,
        "face": wish.face,
        "aligned": wish.aligned,
    }
    batch.run(
        job,
        Operation(
            name="edit",
            suffix="-".join([*added, *(f"no-{slug}" for slug in removed)]),
            settings=settings,
            models=(card.sha256,),
            start=partial(_start, card, job.device, change, place),
        ),
    )


def write_sheet(job: Job, wish: Edit, target: Path) -> None:
    """One picture of the face as it is and with each of the 40 attributes added.

    Of several faces it takes the leftmost, or the one that `--face` picks.
    """
    if wish.add or wish.remove:
        raise Misuse("--sheet shows every attribute: leave --add and --remove out")
    if job.inputs is None or len(job.inputs) != 1:
        raise Misuse("--sheet takes one picture: name it, or - for standard input")
    place, card, source = Place.of(wish), _editor(wish), job.inputs[0]
    picture = open_picture(sys.stdin.buffer.read() if source == "-" else Path(source))
    try:
        found, chosen = place.faces(picture)
    except Failure as failure:
        raise Failure(f"{source}: {failure}") from failure
    face = found[chosen[0]]
    session = open_session(store.path(card), job.device)
    crops = np.repeat(faces.align(picture, face, SIZE)[None], len(SLUGS), 0)
    differences = difference(session, crops, wish.strength * np.eye(len(SLUGS), dtype=np.float32))
    portrait = Picture(faces.align(picture, face, TILE))
    tiles = [
        faces.paste(portrait, faces.whole(TILE, TILE), change, soft_mask(SIZE)).pixels
        for change in differences
    ]
    sheet = _sheet([portrait.pixels, *tiles], ["as it is", *SLUGS])
    save_picture(Picture(sheet), target, quality=job.quality, overwrite=job.overwrite)


def list_attributes(wish: Edit, as_json: bool) -> None:
    """Print the attributes and the editor's figures: how often adding and removing them is seen."""
    figures = _editor(wish).figures
    for slug in SLUGS:
        added, removed = figures.get(added_figure(slug)), figures.get(removed_figure(slug))
        if as_json:
            print(json.dumps({"attribute": slug, "added": added, "removed": removed}))
        else:
            print(f"{slug:20} added {_percent(added):>12}   removed {_percent(removed):>12}")


def added_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is seen once added, 0..1."""
    return f"{slug} added"


def removed_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is gone once removed, 0..1."""
    return f"{slug} removed"


def encode(crops: Bytes | Floats) -> Floats:
    """Faces [N, 64, 64, 3] in 0..255 as the networks see them: [N, 3, 64, 64] in -1..1."""
    return crops.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def difference(session: Session, crops: Bytes, change: Floats) -> Floats:
    """What a change [N, 40] moves in faces [N, 64, 64, 3]: [N, 64, 64, 3] in 255ths.

    The network takes `face` [N, 3, 64, 64] in -1..1 and `change`, and gives `reconstruction` and
    `edited` like `face`.
    """
    result = session.run_many({"face": encode(crops), "change": change})
    moved: Floats = (result["edited"] - result["reconstruction"]) * 127.5
    return moved.transpose(0, 2, 3, 1)


def soft_mask(size: int) -> Floats:
    """Where an edit counts, [size, size] in 0..1: a rounded square that fades to 0 at the border.

    With r = (x^4 + y^4)^(1/4), which is 1 on the border's pixels and above it in the corners, the
    weight is 1 up to r = 0.65 and then a smooth step.
    """
    side = np.linspace(-1, 1, size, dtype=np.float32) ** 4
    radius = (side[:, None] + side) ** 0.25
    t = ((1 - radius) / 0.35).clip(0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Place:
    """Which faces of a photo: all that are found, or one."""

    number: int | None = None
    """Counted from the left, from 1."""
    box: tuple[float, float, float, float] | None = None
    """x, y, width, height in pixels of the upright photo."""
    aligned: bool = False

    @classmethod
    def of(cls, wish: Edit) -> Place:
        """Read `--face` and `--aligned`. Raises Misuse."""
        if wish.face is None:
            return cls(aligned=wish.aligned)
        if wish.aligned:
            raise Misuse("--face and --aligned contradict each other: leave one out")
        try:
            match [float(part) for part in wish.face.split(",")]:
                case [number] if number >= 1 and number.is_integer():
                    return cls(number=int(number))
                case [x, y, width, height] if min(width, height) > 0 and np.isfinite(x + y):
                    return cls(box=(x, y, width, height))
        except ValueError:
            pass
        raise Misuse(
            f"--face {wish.face}: give a number from 1, counted from the left, or x,y,width,height "
            "in pixels"
        )

    def faces(self, picture: Picture) -> tuple[list[Face], list[int]]:
        """The faces of a photo from left to right, and the indices of those to edit.

        Raises Failure when there is none, or not the one that is asked for.
        """
        height, width = picture.pixels.shape[:2]
        if self.aligned:
            return [faces.whole(width, height)], [0]
        if self.box:
            x, y, w, h = self.box
            if x >= width or y >= height or x + w <= 0 or y + h <= 0 or w > width or h > height:
                raise Failure(
                    f"the box of --face does not fit a picture of {width}x{height} pixels"
                )
            return [faces.boxed(*self.box)], [0]
        found = faces.find(to_srgb(picture.pixels, picture.source))
        if not found:
            raise Failure(
                "no face found; box it with --face x,y,width,height, or give --aligned if the "
                "picture is a face and nothing else"
            )
        if self.number is None:
            return found, list(range(len(found)))
        if self.number > len(found):
            raise Failure(f"no face {self.number}: {len(found)} found; --face counts from the left")
        return found, [self.number - 1]


def _editor(wish: Edit) -> ModelCard:
    return store.find(store.installed(), wish.model or f"edit-{wish.engine}", "edit")


def _start(card: ModelCard, device: str, change: Floats, place: Place) -> Process:
    session = open_session(store.path(card), device)
    mask = soft_mask(SIZE)

    def process(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        found, chosen = place.faces(picture)
        crops = np.stack([faces.align(picture, found[i], SIZE) for i in chosen])
        differences = difference(session, crops, np.repeat(change[None], len(chosen), 0))
        if picture.source.grey:
            # A grey photo stays grey: only the lightness moves (ITU-R BT.601).
            lightness = differences @ np.array([0.299, 0.587, 0.114], np.float32)
            differences = np.repeat(lightness[..., None], 3, -1)
        for i, moved in zip(chosen, differences, strict=True):
            picture = faces.paste(picture, found[i], moved, mask)
        return picture, {
            "faces": len(found),
            "boxes": [[round(side, 1) for side in face.box] for face in found],
            "edited": [i + 1 for i in chosen],
        }

    return process


def _sheet(tiles: Sequence[Samples], labels: Sequence[str]) -> Bytes:
    """Tiles in rows, each above its label."""
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        row, column = divmod(index, COLUMNS)
        x, y = column * TILE, row * (TILE + LABEL)
        sheet.paste(Image.fromarray(tile), (x, y))
        draw.text((x + TILE / 2, y + TILE + LABEL / 2), label, "black", anchor="mm")
    return np.asarray(sheet)


def _percent(figure: float | str | None) -> str:
    return f"{figure:.0%}" if isinstance(figure, int | float) else "not measured"
