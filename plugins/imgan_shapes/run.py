"""Latents to grids, and grids to the files that are asked for."""

from __future__ import annotations

import math
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgan.errors import Misuse
from imgan.film import Film
from imgan.images.sheets import sheet
from imgan.making import free, save_made, write
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session, open_session
from imgan.recipes import resolve
from imgan_shapes.commands import Format, Making
from imgan_shapes.grids import FRAME, MESHES, Grid, framed, largest_part, read_grid
from imgan_shapes.latents import Latents, arithmetic, drawn, named, path
from imgan_shapes.traits import ShapeTraits

FRAMES = 36
"""Pictures of a turntable: ten degrees each."""
SIDE = 256
"""Of a shaded view, in pixels."""
MOVING = 160
"""Of one on a turntable."""
SUFFIXES = tuple(f".{name}" for name in Format)


@dataclass(frozen=True)
class Generator:
    """A generator with the threshold and the truncation that are taken."""

    card: ModelCard
    session: Session
    threshold: float
    truncation: float

    @classmethod
    def open(cls, making: Making) -> Generator:
        """Raises what `find_card`, `store.path` and `open_session` raise."""
        card = find_card(making.model, making.kind)
        given = (making.threshold, making.truncation)
        traits = ShapeTraits.of(card)
        own = (traits.threshold, traits.truncation)
        threshold, truncation = (b if a is None else a for a, b in zip(given, own, strict=True))
        session = open_session(store.path(card), making.device)
        return cls(card, session, threshold, truncation)

    def shape(self, latent: Latents, keep_largest: bool = False) -> Shape:
        """The shape of one latent [200]: by itself, so that it is the same to the bit in any
        company."""
        occupancy = self.session.run(latent[None] * np.float32(self.truncation))[0]
        shape = Shape(occupancy, self.threshold, {"latents": latent, "model": self.card.name})
        return shape.largest() if keep_largest else shape


def find_card(model: str | None, kind: str) -> ModelCard:
    """The generator called `model`, else the first by name whose card says that it learned `kind`.

    Raises Misuse, with the kinds there are, when there is none.
    """
    cards = store.installed()
    if model is not None:
        return store.find(cards, model, "shapes")
    serving = [card for card in cards if card.operation == "shapes"]
    known = {str(card.traits.get("kind")): card for card in reversed(serving)}
    if kind not in known:
        raise Misuse(f"--kind {kind}: there are generators of {', '.join(known) or 'nothing'}")
    return known[kind]


@dataclass(frozen=True)
class Shape:
    """An occupancy, where its surface is, and what is kept beside its cells."""

    occupancy: Grid
    threshold: float
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def cells(self) -> NDArray[np.bool_]:
        """What is occupied."""
        return self.occupancy >= self.threshold

    def largest(self) -> Shape:
        """Without what floats beside the largest piece."""
        loose = self.cells & ~largest_part(self.cells)
        return Shape(np.where(loose, 0, self.occupancy), self.threshold, self.facts)

    def write(self, file: BinaryIO, suffix: str) -> None:
        """As a mesh, or as packed cells with the facts beside them (.npz)."""
        if suffix != ".npz":
            mesh = resolve("imgan_shapes.meshes:surface")(self.occupancy, self.threshold)
            resolve("imgan_shapes.meshes:write_mesh")(mesh, file, suffix)
            return
        cells = self.cells
        facts: dict[str, Any] = {key: np.asarray(value) for key, value in self.facts.items()}
        np.savez_compressed(file, voxels=np.packbits(cells), shape=cells.shape, **facts)


def generate(
    making: Making,
    output: Path,
    names: Sequence[str],
    count: int,
    seed: int | None,
    add: Sequence[str],
    minus: Sequence[str],
    picture: Path | None,
    turntable: Path | None,
) -> None:
    """Write shapes of new latents, or of those named, with others added and subtracted; and
    pictures of them. Raises Misuse and Failure."""
    if names and (seed is not None or count > 1):
        raise Misuse("the latents that are named say which shapes: leave --seed and -n out")
    if turntable is not None and turntable.suffix.lower() != ".gif":
        raise Misuse(f"--turntable {turntable}: end it with .gif")
    seed = secrets.randbelow(2**32) if seed is None and not names else seed
    latents = np.stack([named(n) for n in names]) if names else drawn(int(seed or 0), count)
    latents = arithmetic(latents, add, minus)
    prefix = making.kind if seed is None else f"{making.kind}-{seed}"
    targets = _targets(output, making, prefix, len(latents))
    kept = [] if _is_file(output) else [output / f"latents-{prefix}.npz"]
    free([*targets, *kept, *(f for f in (picture, turntable) if f)], making.overwrite)
    generator = Generator.open(making)
    shapes = [generator.shape(latent, making.keep_largest) for latent in latents]
    _write(shapes, targets, making.overwrite)
    for file in kept:
        content = partial(np.savez, latents=latents, model=generator.card.name)
        write(content, file, making.overwrite)
    if picture:
        save_made(_views(shapes), picture, making.overwrite)
    if turntable:
        show = resolve("imgan_shapes.render:turntable")
        frames = show([shape.occupancy for shape in shapes], MOVING, generator.threshold, FRAMES)
        # The last one leads to the first: for ever round, and not back.
        write(lambda file: gif(frames, file), turntable, making.overwrite)


def interpolate(
    making: Making, names: Sequence[str], output: Path, steps: int, picture: Path | None
) -> None:
    """Write the shapes from each latent to the next, or a moving picture of them.

    Raises Misuse and Failure.
    """
    if len(names) < 2:
        raise Misuse("a way has two ends: name two latents or more")
    latents = path(np.stack([named(name) for name in names]), steps)
    film = output.suffix.lower() == ".gif"
    if not film and _is_file(output):
        raise Misuse(f"-o {output}: a folder for {len(latents)} shapes, or a .gif")
    targets = [output] if film else _targets(output, making, f"{making.kind}-between", len(latents))
    free([*targets, *([picture] if picture else [])], making.overwrite)
    generator = Generator.open(making)
    shapes = [generator.shape(latent, making.keep_largest) for latent in latents]
    if film:
        frames = [_views([shape], SIDE) for shape in shapes]
        moving = Film(frames, fps=8)
        write(lambda file: moving.write(file, ".gif"), output, making.overwrite)
    else:
        _write(shapes, targets, making.overwrite)
    if picture:
        save_made(_views(shapes), picture, making.overwrite)


def voxelize(mesh: Path, output: Path, picture: Path | None, overwrite: bool) -> None:
    """Write the grid of a mesh file, or of a grid file in the frame of generators.

    Raises Misuse and Failure; a mesh that is not closed gets a line on standard error.
    """
    if output.suffix.lower() != ".npz":
        raise Misuse(f"-o {output}: a grid is an .npz file")
    free([output, *([picture] if picture else [])], overwrite)
    shape = Shape(_read(mesh), 0.5)
    write(lambda file: shape.write(file, ".npz"), output, overwrite)
    if picture:
        save_made(_views([shape]), picture, overwrite)


def invert(
    making: Making, source: Path, output: Path, steps: int, seed: int, picture: Path | None
) -> None:
    """Write the latent of a shape with its grid, or the mesh, say how much the two overlap, and
    show them side by side. Raises Misuse and Failure."""
    if not _is_file(output):
        raise Misuse(f"-o {output}: end it with {', '.join(SUFFIXES)}")
    free([output, *([picture] if picture else [])], making.overwrite)
    target = Shape(_read(source), 0.5)
    generator = Generator.open(making)
    search = resolve("imgan_shapes.search:search")
    latent = search(generator.card, target.occupancy, generator.threshold, generator.truncation,
                    steps, seed)  # fmt: skip
    found = generator.shape(latent, making.keep_largest)
    print(f"IoU {overlap(found.cells, target.cells):.3f}", file=sys.stderr)
    _write([found], [output], making.overwrite)
    if picture:
        save_made(_views([target, found]), picture, making.overwrite)


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def gif(frames: Sequence[NDArray[np.uint8]], file: BinaryIO) -> None:
    """A moving picture that begins again for ever, twelve frames a second."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(file, "GIF", save_all=True, append_images=others, duration=83, loop=0)


def _is_file(output: Path) -> bool:
    return output.suffix.lower() in SUFFIXES


def _targets(output: Path, making: Making, prefix: str, count: int) -> list[Path]:
    """The files to write: in a folder, or the one named. Raises Misuse when one is too few."""
    if _is_file(output):
        if count > 1:
            raise Misuse(f"-o {output} is one file for {count} shapes: name a folder")
        return [output]
    numbers = range(1, count + 1)
    return [output / f"{prefix}-{number}.{making.format}" for number in numbers]


def _read(file: Path) -> Grid:
    """A grid or mesh in the frame of generators. Raises Failure; says what is open."""
    grid = framed(read_grid(file, FRAME * 3 // 4), FRAME, str(file))
    if file.suffix.lower() in MESHES:
        read_mesh, openings = (
            resolve(f"imgan_shapes.meshes:{name}") for name in ("read_mesh", "openings")
        )
        if count := openings(read_mesh(file)):
            print(
                f"{file}: not closed, {count} edges belong to one triangle alone; what can be "
                "reached from outside stays empty",
                file=sys.stderr,
            )
    return grid


def _write(shapes: Sequence[Shape], targets: Sequence[Path], overwrite: bool) -> None:
    for shape, target in zip(shapes, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        write(partial(shape.write, suffix=target.suffix.lower()), target, overwrite)


def _views(shapes: Sequence[Shape], side: int = SIDE) -> NDArray[np.uint8]:
    """Shaded, on one sheet."""
    pictures: list[NDArray[np.uint8]] = [
        resolve("imgan_shapes.render:views")([s.occupancy], side, s.threshold) for s in shapes
    ]
    return sheet(np.stack(pictures), math.ceil(math.sqrt(len(pictures))))
