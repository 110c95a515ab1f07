"""What the commands ask for, as operations on pictures; the methods lie in fast.py and gram.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from imgan.batch import run as batch
from imgan.batch.job import Job, Meter, Operation
from imgan.errors import Failure, Misuse
from imgan.files import digest
from imgan.images import Picture, format_of, open_picture, pictures, save_picture, to_srgb
from imgan.images.codecs import rows
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.metrics import perceptual
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.recipes import option, resolve
from imgan_stylize import FAST_MODEL, REFINE, Grid, Look, Method, Search, Transfer, fast
from imgan_stylize.sheet import CELL, sheet

if TYPE_CHECKING:
    from imgan.batch.job import Process

STYLIZED = {Method.fast: 768, Method.gram: 1024}
RECONSTRUCTED = 512
"""The longer sides of pictures that are worked on, where --size does not say."""


@dataclass(frozen=True)
class Source:
    """A picture that a command names beside its inputs."""

    pixels: Bytes
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Source:
        """[H, W, 3] sRGB. Raises Failure when it cannot be read."""
        picture = open_picture(path)
        return cls(to_srgb(picture.pixels, picture.source), digest(path))


def stylize(job: Job, look: Look, transfer: Transfer) -> None:
    """Stylise every picture of the job, or make a table of them.

    Raises Misuse for options that contradict each other, Failure for a style that cannot be read.
    """
    check(job, look, transfer)
    styles = [Source.read(Path(name)) for name in look.style]
    if look.grid is Grid.styles:
        write_styles_table(job, look, transfer, styles)
        return
    weights = look.style_weight or [1.0] * len(styles)
    mask = None if look.mask is None else Source.read(look.mask)
    meter = Meter()
    settings = {
        **asdict(transfer),
        **asdict(look),
        "style": [style.sha256 for style in styles],
        "style_weight": [weight / sum(weights) for weight in weights],
        "mask": None if mask is None else mask.sha256,
        "frames": transfer.frames is not None,
    }
    if look.grid is Grid.layers:
        size = look.size or CELL
        start = _later("start_table", styles[0].pixels, transfer, size, job.device, meter)
    else:
        pixels = [style.pixels for style in styles]
        start = partial(_start, job, look, transfer, pixels, weights, meter)
        if mask is not None:
            start = partial(masked, start, mask.pixels)
    batch.run(
        job,
        Operation(
            name="stylize",
            suffix="layers" if look.grid is Grid.layers else "stylized",
            settings=settings,
            models=_models(look, transfer),
            start=start,
            meter=meter,
        ),
    )


def texture(
    job: Job, search: Search, size: str, tile: bool, stroke: int, style_layers: str
) -> None:
    """Make a texture of every painting of the job. Raises Misuse for a size that is none."""
    match = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", size)
    if match is None:
        raise Misuse(f"--size {size}: give width x height, such as 1024x512")
    sides = int(match[2]), int(match[1])
    meter = Meter()
    batch.run(
        job,
        Operation(
            name="texture",
            suffix="texture",
            settings={
                **asdict(search),
                "size": sides,
                "tile": tile,
                "stroke": stroke,
                "style_layers": style_layers,
            },
            models=_features(search),
            start=_later(
                "start_texture", search, sides, style_layers, stroke, tile, job.device, meter
            ),
            meter=meter,
        ),
    )


def reconstruct(job: Job, search: Search, layer: str, size: int | None, grid: bool) -> None:
    """Make every picture of the job anew from a layer, or a table of it from every layer."""
    meter = Meter()
    size = size or (CELL if grid else RECONSTRUCTED)
    batch.run(
        job,
        Operation(
            name="reconstruct",
            suffix="layers" if grid else layer,
            settings={**asdict(search), "layer": None if grid else layer, "size": size},
            models=_features(search),
            start=_later(
                "start_reconstruction", search, None if grid else layer, size, job.device, meter
            ),
            meter=meter,
        ),
    )


def check(job: Job, look: Look, transfer: Transfer) -> None:
    """Raise Misuse, in one line, for options that contradict each other."""
    weights = look.style_weight or []
    if weights and len(weights) != len(look.style):
        raise Misuse(
            f"--style-weight is given {len(weights)} times, for {len(look.style)} styles: "
            "give one for each, in their order"
        )
    if any(weight <= 0 for weight in weights):
        raise Misuse("--style-weight: weights are above 0; leave a style out that is not wanted")
    if look.method is Method.gram and look.model is not None:
        raise Misuse("--model belongs to --method fast; --method gram has --features")
    if look.method is Method.gram and look.refine != REFINE:
        raise Misuse("--refine belongs to --method fast; --method gram has --steps")
    if look.method is Method.fast:
        for field in fields(transfer):
            if getattr(transfer, field.name) != field.default:
                raise Misuse(
                    f"{option(field.name)} belongs to --method gram: add that, or leave it"
                )
        if look.grid is Grid.layers:
            raise Misuse("--grid layers belongs to --method gram: add that")
    if look.grid is not None:
        for name in ("mask", "frames"):
            if getattr(look if name == "mask" else transfer, name) is not None:
                raise Misuse(f"--grid makes a table: leave {option(name)} out")
    if look.grid is Grid.layers and (len(look.style) > 1 or look.keep_color or look.strength != 1):
        raise Misuse("--grid layers shows one --style, at full strength, in its own colours")
    if transfer.frames is not None:
        _check_frames(job, transfer.frames)


def _check_frames(job: Job, target: Path) -> None:
    inputs = job.inputs or ["-"]
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise Misuse("--frames shows the making of one picture: name one")
    if target.suffix.lower() != ".gif":
        raise Misuse(f"--frames {target}: end it with .gif")
    if target.exists() and not job.overwrite:
        raise Failure(f"{target} exists; --overwrite to replace")


def _start(
    job: Job,
    look: Look,
    transfer: Transfer,
    styles: Sequence[Bytes],
    weights: Sequence[float],
    meter: Meter,
) -> Process:
    size = look.size or STYLIZED[look.method]
    if look.method is Method.fast:
        return fast.start(
            *(_card(look), styles, weights, look.strength, look.keep_color, size),
            *(look.refine, job.device, meter),
        )
    start = _later(
        "start_transfer",
        *(styles, weights, transfer, look.strength, look.keep_color, size),
        *(job.device, job.overwrite, meter),
    )
    return start()


def _later(name: str, *arguments: Any) -> Callable[[], Process]:
    """A function of optimise.py with its arguments; torch is imported when it is called."""
    return lambda: resolve(f"imgan_stylize.optimise:{name}")(*arguments)


def _models(look: Look, transfer: Transfer) -> tuple[str, ...]:
    if look.method is Method.fast:
        return _card(look).sha256, *([fast.slope_card().sha256] if look.refine else [])
    return _features(transfer)


def _card(look: Look) -> ModelCard:
    return store.find(store.installed(), look.model or FAST_MODEL, "stylize")


def _features(search: Search) -> tuple[str, ...]:
    if search.features != "bundled":
        return ()
    return (store.find(store.installed(), perceptual.MODEL, perceptual.OPERATION).sha256,)


def masked(start: Callable[[], Process], mask: Bytes) -> Process:
    """A process whose result counts where the mask [h, w, 3] is white, and partly where it is grey.

    The mask is stretched over each picture. Where it is black there, the pixels stay to the bit.
    """
    process = start()
    cover = Image.fromarray(mask).convert("L")

    def within(picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        done, facts = process(picture)
        height, width = picture.pixels.shape[:2]
        weights = np.asarray(cover.resize((width, height), Image.Resampling.BILINEAR))
        mixed = np.empty_like(picture.pixels)
        for band in rows(height, width):
            weight = weights[band][..., None].astype(np.uint32)
            photo, painted = picture.pixels[band], done.pixels[band]
            mixed[band] = (painted * weight + photo * (255 - weight) + 127) // 255
        return done.with_pixels(mixed), facts

    return within


def write_styles_table(job: Job, look: Look, transfer: Transfer, styles: Sequence[Source]) -> None:
    """One sheet: a row for each photo of the job, a column for each style.

    Raises Misuse without -o FILE, Failure for the first photo that cannot be read or stylised.
    """
    if job.output is None:
        raise Misuse("--grid styles writes one sheet: name it with -o FILE")
    target = Path(job.output)
    format_of(target, "")
    if target.exists() and not job.overwrite:
        raise Failure(f"{target} exists; --overwrite to replace")
    photos = _photos(job)
    size = look.size or CELL
    look = replace(look, size=size)
    processes = [_start(job, look, transfer, [style.pixels], [1.0], Meter()) for style in styles]
    lines: list[list[Bytes]] = []
    for path in photos:
        photo = reduced(Source.read(path).pixels, size)
        painted = [process(Picture(photo))[0] for process in processes]
        lines.append([photo, *(to_srgb(p.pixels, p.source) for p in painted)])
    top = [np.full((1, 1, 3), 255, np.uint8), *(style.pixels for style in styles)]
    done = sheet(
        [top, *lines],
        down=["", *(path.name for path in photos)],
        across=["", *(Path(name).name for name in look.style)],
    )
    save_picture(Picture(done), target, quality=job.quality, overwrite=job.overwrite)


def _photos(job: Job) -> list[Path]:
    """The files that a job names, and those in its folders."""
    found = []
    for path in map(Path, job.inputs or []):
        found += pictures(path) if path.is_dir() else [path]
    if not found:
        raise Misuse("--grid styles: name the photos")
    return found
