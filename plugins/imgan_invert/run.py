"""Photos to latents: alignment, the encoder, the search, and what is kept of it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from imgan import __version__, faces, files
from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.files import whole_file
from imgan.images import Picture, open_picture, to_srgb
from imgan.images.tensors import Bytes, Floats, encode
from imgan.making import free, progress, save_made, write
from imgan.metrics.perceptual import open_features
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan.models.sessions import Session, open_session
from imgan.operations import Runtime
from imgan.recipes import resolve
from imgan_generate.style import StyleGenerator, is_style_based
from imgan_invert import GENERATOR, Init, Inversion, Space, encoder_of
from imgan_invert.latent import SUFFIX, Latent, render

Report = Callable[[int, float], None]

STUDIED = (("l1", 1, 0, 0), ("l2", 0, 1, 0), ("perceptual", 0, 0, 1), ("l2 + perceptual", 0, 1, 1))
"""The losses of `--study`: what they are called, and the weights of l1, l2 and perceptual."""


@dataclass(frozen=True)
class Studio:
    """A generator, and its encoder where one is installed."""

    card: ModelCard
    session: Session
    encoder: ModelCard | None
    device: str

    @property
    def side(self) -> int:
        """Pixels a side of what is generated."""
        if is_style_based(self.session):
            return StyleGenerator(self.session).side
        return int(self.session.run(np.zeros((1, 100), np.float32)).shape[-1])


def open_studio(model: str | None, device: str) -> Studio:
    """Load a generator. Raises what `store.find`, `store.path` and `open_session` raise."""
    return studio_of(Runtime(device, store.Models.installed()), model)


def studio_of(runtime: Runtime, model: str | None) -> Studio:
    """The same for an operation."""
    card = runtime.models.find(model or GENERATOR, "generate")
    encoder = encoder_of(runtime.models, card)
    return Studio(card, runtime.session(card), encoder, runtime.device)


def invert_photo(
    photo: Path,
    output: Path,
    settings: Inversion,
    model: str | None,
    box: str | None,
    picture: Path | None,
    overwrite: bool,
    device: str,
) -> None:
    """Write the latent of a photo and, where it is wanted, photo and result side by side.

    Raises Misuse and Failure.
    """
    if output.suffix != SUFFIX:
        raise Misuse(f"-o {output}: a latent is a {SUFFIX} file; --picture writes what it shows")
    free([output, *([picture] if picture else [])], overwrite)
    studio = open_studio(model, device)
    target = aligned(open_picture(photo), studio, box)
    latent = find(studio, target, settings)
    write(latent.write, output, overwrite)
    if picture:
        pair = np.concatenate([target, render(studio.session, latent)], axis=1)
        save_made(pair, picture, overwrite)


def aligned(photo: Picture, studio: Studio, box: str | None) -> Bytes:
    """The square of a photo that the generator knows, [S, S, 3]. Raises what `place` raises."""
    return faces.align(photo, place(photo, studio, box), studio.side)


def place(photo: Picture, studio: Studio, box: str | None) -> Face:
    """Where in a photo that square lies: a box, the face, or the middle.

    Raises Misuse for a box that is none, Failure when there is no face.
    """
    height, width = photo.pixels.shape[:2]
    if studio.card.traits.get("faces") == "aligned" and not box:
        found = faces.find(to_srgb(photo.pixels, photo.source))
        if not found:
            name = photo.source.name or "the picture"
            raise Failure(f"{name}: no face found; name it by --box X,Y,SIZE")
        return found[0]
    if not box:
        return faces.whole(width, height)
    try:
        x, y, square = map(int, box.split(","))
    except ValueError:
        raise Misuse(f"--box {box}: three numbers are wanted, X,Y,SIZE") from None
    if min(x, y) < 0 or square < 1 or x + square > width or y + square > height:
        raise Misuse(f"--box {box} leaves the photo, which has {width}x{height} px")
    # What `faces.align` cuts out, if these were the points of a face.
    return Face((x, y, square, square), (x, y) + faces.TEMPLATE * square)


def find(
    studio: Studio, target: Bytes, settings: Inversion, report: Report | None = None
) -> Latent:
    """The latent of an aligned picture [S, S, 3]; from the cache, if it was found before.

    `report` is called with steps and loss; without it there is a bar on a terminal.

    Raises Misuse for a space that the generator has not, or an encoder that is not installed.
    """
    encoder = _encoder(studio, settings)
    facts = {
        "imgan": __version__,
        "model": studio.card.name,
        "sha256": studio.card.sha256,
        "encoder": encoder.sha256 if encoder else None,
        "picture": files.digest(target.tobytes()),
        "settings": asdict(settings),
    }
    cached = store.cache_folder() / "latents" / f"{files.digest(repr(facts).encode())}{SUFFIX}"
    if cached.exists():
        with suppress(Failure):
            return Latent.read(cached)
    start = _encoded(studio, encoder, target) if encoder else None
    if settings.steps == 0 and start is not None and not settings.tune:
        noise = np.zeros(StyleGenerator(studio.session).noise, np.float32)
        latent = Latent(start, noise, {**facts, "losses": {}})
    else:
        latent = _searched(studio, target, settings, start, facts, report)
        if latent.facts.get("stopped"):
            return latent
    with suppress(OSError, Failure):  # a cache that cannot be written is none
        cached.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(cached, overwrite=True) as file:
            latent.write(file)
    return latent


def _encoder(studio: Studio, settings: Inversion) -> ModelCard | None:
    """The encoder that a search begins with, if one does. Raises Misuse."""
    spaces = list(Space) if is_style_based(studio.session) else [Space.z]
    if settings.space not in spaces:
        raise Misuse(f"--space {settings.space}: {studio.card.name} has z alone")
    if settings.init == Init.encoder and studio.encoder is None:
        raise Misuse(f"--init encoder: none is installed for {studio.card.name}")
    if settings.init in (None, Init.encoder) and settings.space != Space.z:
        return studio.encoder
    return None


def _encoded(studio: Studio, card: ModelCard, target: Bytes) -> Floats:
    """What the encoder says, w+ [L, W]."""
    session = open_session(store.path(card), studio.device)
    return np.asarray(session.run(encode(target[None]))[0])


def _searched(
    studio: Studio,
    target: Bytes,
    settings: Inversion,
    start: Floats | None,
    facts: dict[str, Any],
    report: Report | None,
) -> Latent:
    search = resolve("imgan_invert.search:search")
    steps = settings.steps * settings.restarts + settings.tune
    with nullcontext(report) if report else progress(steps) as told:
        latent: Latent = search(studio.card, target, settings, start, facts, told)
    return latent


def study(
    photo: Path,
    output: Path,
    settings: Inversion,
    model: str | None,
    box: str | None,
    overwrite: bool,
    device: str,
) -> None:
    """Write a table of spaces and losses as a picture, and its figures as CSV beside it; of several
    models, with commas between, one below the other."""
    table = output.with_suffix(".csv")
    free([output, table], overwrite)
    studios = [open_studio(name, device) for name in (model or GENERATOR).split(",")]
    opened, features = open_picture(photo), open_features(device)
    rows: list[tuple[object, ...]] = [("model", "space", "losses", "L2", "perceptual", "seconds")]
    names, cells = [], []
    for studio in studios:
        target = aligned(opened, studio, box)
        for space in Space if is_style_based(studio.session) else [Space.z]:
            line = [target]
            for name, l1, l2, deep in STUDIED:
                began = time.perf_counter()
                wanted = replace(settings, space=space, l1=l1, l2=l2, perceptual=deep)
                made = render(studio.session, find(studio, target, wanted))
                seconds = time.perf_counter() - began
                line.append(made)
                squared = float(np.square((made / 255.0) - (target / 255.0)).mean())
                distance = features.distance(target, made)
                figures = (f"{squared:.4f}", f"{distance:.4f}", f"{seconds:.1f}")
                rows.append((studio.card.name, str(space), name, *figures))
            names.append(str(space) if len(studios) == 1 else f"{studio.card.name} {space}")
            cells.append(line)
    save_made(labelled(cells, ["photo", *(s[0] for s in STUDIED)], names), output, overwrite)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    write(lambda file: file.write(text.getvalue().encode()), table, overwrite)


def labelled(
    cells: Sequence[Sequence[Bytes]], columns: Sequence[str], rows: Sequence[str], least: int = 96
) -> Bytes:
    """Pictures as a table with words above and at the left; small ones are enlarged to be seen."""
    side = max(least, *(len(line[0]) for line in cells))
    left, top = max(40, 10 + 6 * max(len(str(row)) for row in rows)), 18
    shape = (left + side * len(columns), top + side * len(rows))
    sheet = Image.new("RGB", shape, "white")
    pen = ImageDraw.Draw(sheet)
    for x, word in enumerate(columns):
        pen.text((left + x * side + 3, 3), word, fill="black")
    for y, (word, line) in enumerate(zip(rows, cells, strict=True)):
        pen.text((3, top + y * side + side // 2), str(word), fill="black")
        for x, cell in enumerate(line):
            image = Image.fromarray(cell).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(image, (left + x * side, top + y * side))
    return np.asarray(sheet)
