"""`--dry-run`: what a run would do, and about how long it would take. Nothing is written."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import ceil
from typing import TypeVar

from imgan.batch.plan import Task
from imgan.batch.run import AHEAD, DEPTH, TO_DO, TO_REPLACE, Batch
from imgan.errors import Failure
from imgan.images import Picture, open_picture, save_picture, size_of, tiles
from imgan.models import store
from imgan.operations import Operation, Process, Product, Takes

T = TypeVar("T")

Size = tuple[int, int]
"""Width and height in pixels."""

WORK = (TO_DO, TO_REPLACE)

SMALLEST = 2**16
"""Pixels of the first copy that is measured, each next one of four times as many."""

PATIENCE = 4.0
"""Seconds that a measurement may be expected to take."""


@dataclass(frozen=True)
class Measured:
    """What a few passes over small copies of one picture have shown."""

    start: float
    """Seconds until everything is loaded."""
    times: Sequence[tuple[int, float]]
    """Pixels to be worked on in a copy, and seconds of it, from the smallest copy on."""
    peaks: Sequence[tuple[int, int]]
    """Pixels of each that are worked on at once, and bytes that the process has taken after it."""
    reading: float
    writing: float
    """Seconds a pixel of the input, and of the result."""
    scales: tuple[float, float]
    """How many times as wide and as high results are."""
    tile: int | None

    def seconds(self, size: Size) -> float:
        """Of the work on a picture: on the line through the last two."""
        pixels = worked_on(size, self.tile)
        (few, short), (many, long) = _last_two(self.times)
        if few == many:
            return long * (pixels / many if self.tile or pixels < many else 1.0)
        slope = max(0.0, (long - short) / (many - few))
        return max(min(short, long), long + slope * (pixels - many))

    def files(self, pixels: int) -> float:
        """Seconds of reading one and writing its result, which go on beside the work."""
        return pixels * self.reading + self.made(pixels) * self.writing

    def made(self, pixels: int) -> float:
        """Pixels of a result."""
        return pixels * self.scales[0] * self.scales[1]

    def memory(self, size: Size, count: int) -> int:
        """Bytes at most, with what is decoded ahead and what waits for being written."""
        (few, low), (many, high) = _last_two(self.peaks)
        slope = (high - low) / (many - few) if many > few else 0.0
        own = high + max(0.0, slope) * max(0, at_once(size, self.tile) - many)
        taken, given = 3 * _area(size), 3 * self.made(_area(size))
        queues = sum(max(one, min(AHEAD, min(count, DEPTH) * one)) for one in (taken, given))
        return int(own + queues)


def worked_on(size: Size, tile: int | None) -> int:
    """Pixels that go through a network: of tiles more than the picture has, since they overlap."""
    return _area(size) if tile is None else tiles.work(size[1], size[0], tile)


def at_once(size: Size, tile: int | None) -> int:
    """Pixels that go through a network at a time."""
    return _area(size) if tile is None else tiles.largest(size[1], size[0], tile)


def _last_two(measured: Sequence[T]) -> tuple[T, T]:
    """The last twice where there is but one."""
    return measured[-2 if len(measured) > 1 else -1], measured[-1]


@dataclass(frozen=True)
class Forecast:
    """What is known of one result before it is made."""

    task: Task
    status: str
    size: Size | None = None
    """Of the input."""
    made: Size | None = None
    """Of the result, where a measurement has shown it."""
    tiles: int | None = None
    """Pieces in which it goes through the network; None where it goes whole."""
    seconds: float | None = None
    trouble: str = ""

    @property
    def row(self) -> list[str]:
        """For people."""
        sizes = " -> ".join(f"{size[0]}x{size[1]}" for size in (self.size, self.made) if size)
        tiles = "" if self.tiles is None else f"{self.tiles} tile{'s' * (self.tiles != 1)}"
        seconds = "" if self.seconds is None else f"{self.seconds:.1f} s"
        return [
            self.task.name,
            self.task.output,
            self.trouble or self.status,
            sizes,
            tiles,
            seconds,
        ]

    @property
    def line(self) -> dict[str, object]:
        """For scripts."""
        return {
            "input": self.task.input,
            "output": self.task.output,
            "status": self.status,
            **({"error": self.trouble} if self.trouble else {}),
            "size": self.size,
            "made": self.made,
            "tiles": self.tiles,
            "seconds": None if self.seconds is None else round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Summary:
    """What is known of a run before it is begun."""

    forecasts: Sequence[Forecast]
    models: Sequence[str]
    device: str
    """"cpu" or "cuda:N"; "" where no network is used."""
    seconds: float | None = None
    memory: int | None = None
    """Bytes."""
    unmeasured: str = ""
    """Why time and memory are not known."""

    @property
    def text(self) -> str:
        counts = Counter(one.status for one in self.forecasts)
        parts = [", ".join(f"{count} {status}" for status, count in counts.items())]
        if self.models:
            parts.append(f"{', '.join(self.models)} on {self.device}")
        if self.seconds is not None and self.memory is not None:
            parts.append(
                f"about {_duration(self.seconds)}, {self.memory / 2**20:,.0f} MiB of memory"
            )
        elif self.unmeasured:
            parts.append(f"time and memory are not known: {self.unmeasured}")
        return "; ".join(part for part in parts if part)

    @property
    def facts(self) -> dict[str, object]:
        """For scripts; the same in every line."""
        return {
            "models": self.models,
            "device": self.device or None,
            "total_seconds": None if self.seconds is None else round(self.seconds, 1),
            "memory_bytes": self.memory,
        }


def forecast(batch: Batch) -> Summary:
    """What a batch would do. Networks are loaded if they are at hand, and nothing is written."""
    forecasts = [_looked_at(batch, task) for task in batch.plan.tasks]
    cards = batch.operation.cards(batch.runtime.models)
    missing = [card.name for card in cards if store.present(card) is None]
    models = [f"{c.name} (to be fetched)" if c.name in missing else c.name for c in cards]
    device = ""
    if cards:
        from imgan.models.sessions import choose

        device = choose(batch.job.device)
    summary = Summary(forecasts, models, device)
    waiting = [one for one in forecasts if one.status in WORK and one.size is not None]
    if missing or not waiting:
        return replace(summary, unmeasured="a network is to be fetched" if missing else "")
    if batch.operation.takes is not Takes.EACH:
        return replace(summary, unmeasured="one result comes from all inputs")
    try:
        measured = _measured(batch, waiting)
    except Failure as failure:
        return replace(summary, unmeasured=str(failure))
    forecasts = [_reckoned(one, measured, batch.operation) for one in forecasts]
    return replace(
        summary,
        forecasts=forecasts,
        seconds=measured.start + sum(one.seconds or 0 for one in forecasts),
        memory=max(measured.memory(one.size, len(waiting)) for one in waiting if one.size),
    )


def _looked_at(batch: Batch, task: Task) -> Forecast:
    status = batch.status(task)
    if batch.operation.takes is not Takes.EACH or task.sources[0] is None:
        return Forecast(task, status)
    try:
        return Forecast(task, status, size_of(task.sources[0]))
    except Failure as failure:
        trouble = str(failure).removeprefix(f"{task.name}: ")
        return Forecast(task, "would fail" if status in WORK else status, trouble=trouble)


def _reckoned(one: Forecast, measured: Measured, operation: Operation) -> Forecast:
    if one.status not in WORK or one.size is None:
        return one
    pixels = _area(one.size)
    # Files are read and written by other threads, on as many cores as there are.
    seconds = measured.seconds(one.size) + measured.files(pixels) / (os.cpu_count() or 1)
    width, height = (round(s * side) for s, side in zip(measured.scales, one.size, strict=True))
    tile = measured.tile
    count = None if tile is None else tiles.tile_count(one.size[1], one.size[0], tile)
    made = None if operation.formats else (width, height)
    return replace(one, made=made, tiles=count, seconds=seconds)


def _measured(batch: Batch, waiting: Sequence[Forecast]) -> Measured:
    """Raises Failure where no picture can be worked on."""
    process = batch.operation.open(batch.runtime)
    start = time.process_time()  # of the imports, too
    failure = Failure("no picture can be opened")
    for one in waiting:
        source = one.task.sources[0]
        assert source is not None
        try:
            began = time.perf_counter()
            picture = open_picture(source)
            reading = (time.perf_counter() - began) / _area(_size(picture))
            tile = batch.operation.tile
            times, peaks, copy, result = _passes(process, picture, tile)
            began = time.perf_counter()
            _encode(batch, result)
            encoding = time.perf_counter() - began
        except Failure as trouble:
            failure = trouble
            continue
        made = _size(result) if isinstance(result, Picture) else copy
        return Measured(
            start=start,
            times=times,
            peaks=peaks,
            reading=reading,
            writing=encoding / _area(made),
            scales=(made[0] / copy[0], made[1] / copy[1]),
            tile=tile,
        )
    raise failure


def _passes(
    process: Process, picture: Picture, tile: int | None
) -> tuple[list[tuple[int, float]], list[tuple[int, int]], Size, Picture | Product]:
    """Work on ever larger copies, as long as that does not take long: `Measured.times` and `peaks`,
    the size of the last copy, and its result.

    Raises Failure for a picture that cannot be worked on at its own size either.
    """
    times: list[tuple[int, float]] = []
    peaks: list[tuple[int, int]] = []
    last: tuple[Size, Picture | Product] | None = None
    stride = ceil((_area(_size(picture)) / SMALLEST) ** 0.5)
    while True:
        copy = _copy(picture, stride)
        try:
            seconds, made = _timed(process, copy)
            if not times and seconds < PATIENCE:  # again, without what is loaded at first use
                seconds, made = _timed(process, copy)
            size = _size(copy)
            last = size, made
            times.append((worked_on(size, tile), seconds))
            peaks.append((at_once(size, tile), _peak()))
        except Failure:  # a face may be too small in a copy
            if stride == 1:
                raise
        if stride == 1 or (len(times) > 1 and 4 * times[-1][1] > PATIENCE):
            assert last is not None
            return times, peaks, *last
        stride = ceil(stride / 2)


def _timed(process: Process, picture: Picture) -> tuple[float, Picture | Product]:
    began = time.perf_counter()
    made = process(picture).made
    return time.perf_counter() - began, made


def _copy(picture: Picture, stride: int) -> Picture:
    """A smaller one: every so many pixels."""
    alpha = None if picture.alpha is None else picture.alpha[::stride, ::stride].copy()
    return picture.with_pixels(picture.pixels[::stride, ::stride].copy(), alpha)


def _encode(batch: Batch, result: Picture | Product) -> None:
    if isinstance(result, Picture):
        save_picture(result, BytesIO(), quality=batch.job.quality, format=batch.job.format)
    else:
        result.write(BytesIO(), batch.operation.formats[0])


def _peak() -> int:
    """Bytes that this process has taken at most; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _size(picture: Picture) -> Size:
    height, width = picture.pixels.shape[:2]
    return width, height


def _area(size: Size) -> int:
    return size[0] * size[1]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{max(1, rest)} s"
