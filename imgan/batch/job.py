"""What a picture operation is: its own settings, and the options that all operations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

PANEL = "Files and devices"  # so that a command's own options stand first in its help

if TYPE_CHECKING:
    from imgan.images import Picture

    Process = Callable[[Picture], tuple[Picture, Mapping[str, object]]]


NoProvenance = Annotated[
    bool,
    Option(
        "--no-provenance",
        help="Leave out the statement that a network changed the photo (in XMP, IPTC's "
        "DigitalSourceType), which --strip-metadata lets stand.",
    ),
]
"""The option of operations whose results say that a network made a part of them."""


@dataclass(frozen=True)
class Job:
    """The options of every picture operation; `imgan.options.unfold` makes them a command line."""

    inputs: Annotated[
        list[str] | None,
        Argument(
            metavar="INPUT",
            help="Pictures, folders, or - for standard input (which is also the input when none is "
            "named and something is piped in).",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="Where to write: a file, a folder (made if it ends in / or is to hold several "
            "pictures), or - for standard output. Default: beside the input, photo-NAME.jpg for "
            "photo.jpg and dir-NAME/ for dir/; standard output for standard input.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    recursive: Annotated[
        bool,
        Option(
            "--recursive",
            "-r",
            help="Take folders with all that is below, as a tree.",
            rich_help_panel=PANEL,
        ),
    ] = False
    overwrite: Annotated[
        bool,
        Option(
            "--overwrite",
            help="Replace files that exist. Without it, an output already finished from the same "
            "input with the same settings is passed over, and any other is left alone and listed.",
            rich_help_panel=PANEL,
        ),
    ] = False
    format: Annotated[
        str | None,
        Option(
            metavar="FORMAT",
            help="Format to write: png, jpg, webp, tiff, bmp, gif, heic or avif. Default: what the "
            "suffix of -o says, else the input's; on standard output PNG, so that pipes lose "
            "nothing.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    quality: Annotated[
        int | None,
        Option(
            min=1,
            max=100,
            help="Quality of JPEG, WebP, HEIC and AVIF files, 1 to 100.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    strip_metadata: Annotated[
        bool,
        Option(
            "--strip-metadata",
            help="Write no EXIF and no XMP: camera, place, date. That a network changed it stays "
            "stated (--no-provenance leaves that out).",
            rich_help_panel=PANEL,
        ),
    ] = False
    device: Annotated[
        str, Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.", rich_help_panel=PANEL)
    ] = "auto"
    json: Annotated[
        bool,
        Option(
            "--json",
            help="Print one JSON line a picture, on standard output, or on standard error when the "
            "picture goes to standard output.",
            rich_help_panel=PANEL,
        ),
    ] = False


@dataclass
class Meter:
    """How far a long operation is with its present picture.

    The operation calls it with a share, 0..1; the batch listens, so that its bar moves meanwhile.
    """

    listener: Callable[[float], None] | None = None

    def __call__(self, share: float) -> None:
        if self.listener is not None:
            self.listener(share)


@dataclass(frozen=True)
class Operation:
    """One operation with its settings, ready to start.

    `name` is the command's, `suffix` what its outputs are called by: photo-<suffix>.jpg.
    `settings` (JSON-able) and `models` (SHA-256 of the weights used) are all that changes the
    result for a given input: an output made with equal ones is not made again.
    `start` is called at most once, when there is a first picture to work on. It loads what is
    needed and returns the function that does one picture: Picture -> (Picture, JSON-able facts).
    It may add to its picture's `source.notes` what a person should know.
    `meter` is what that function tells how far it is, if a picture takes it long.
    `receipt` is where the facts are also written, as `imgan.batch.plan.with_receipts` reads it.
    """

    name: str
    suffix: str
    settings: Mapping[str, object]
    models: tuple[str, ...]
    start: Callable[[], Process]
    meter: Meter | None = None
    receipt: str | None = None
