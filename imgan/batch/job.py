"""The options that all operations share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Argument, Option

# A command's own options stand before these in its help.
FILES, FORMAT, REPORTS = "Files", "Format and metadata", "Device and reports"


@dataclass(frozen=True)
class Job:
    """The options of every operation; `imgan.options.unfold` makes them a command line."""

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
            rich_help_panel=FILES,
        ),
    ] = None
    from_file: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="A file with a name of a picture or folder a line, or - for standard input.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None
    null: Annotated[
        bool,
        Option(
            "--null",
            "-0",
            help="In --from-file names end with a zero byte, as `find -print0` writes them.",
            rich_help_panel=FILES,
        ),
    ] = False
    name: Annotated[
        str | None,
        Option(
            metavar="TEMPLATE",
            help='What outputs are called, such as "{stem}-{op}" or "{folder}-{number:03}.png"; '
            "fields: stem, op, number, folder. Without a suffix they have the usual one.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None
    recursive: Annotated[
        bool,
        Option(
            "--recursive",
            "-r",
            help="Take folders with all that is below, as a tree.",
            rich_help_panel=FILES,
        ),
    ] = False
    overwrite: Annotated[
        bool,
        Option(
            "--overwrite",
            help="Replace files that exist. Without it, an output already finished from the same "
            "input with the same settings is passed over, and any other is left alone and listed.",
            rich_help_panel=FILES,
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
            rich_help_panel=FORMAT,
        ),
    ] = None
    quality: Annotated[
        int | None,
        Option(
            min=1,
            max=100,
            help="Quality of JPEG, WebP, HEIC and AVIF files, 1 to 100.",
            show_default=False,
            rich_help_panel=FORMAT,
        ),
    ] = None
    strip_metadata: Annotated[
        bool,
        Option(
            "--strip-metadata",
            help="Write no EXIF and no XMP: camera, place, date.",
            rich_help_panel=FORMAT,
        ),
    ] = False
    embed: Annotated[
        bool,
        Option(
            "--embed",
            help="Put what was done into the result's XMP, so that `imgan replay` can do it to "
            "other pictures.",
            rich_help_panel=FORMAT,
        ),
    ] = False
    device: Annotated[
        str, Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.", rich_help_panel=REPORTS)
    ] = "auto"
    ray: Annotated[
        str | None,
        Option(
            metavar="local|auto|ADDRESS",
            help="Work on a Ray cluster: one that is started here for this, the one that this "
            "machine is part of, or that at an address.",
            show_default=False,
            rich_help_panel=REPORTS,
        ),
    ] = None
    workers: Annotated[
        int | None,
        Option(
            min=1,
            help="How many workers --ray has. Default: one a GPU or, without GPUs, one a CPU.",
            show_default=False,
            rich_help_panel=REPORTS,
        ),
    ] = None
    json: Annotated[
        bool,
        Option(
            "--json",
            help="Print one JSON line a picture, on standard output, or on standard error when the "
            "picture goes to standard output.",
            rich_help_panel=REPORTS,
        ),
    ] = False
    receipt: Annotated[
        str | None,
        Option(
            metavar="FILE.json|each",
            help="Write what --json prints to a file, for one picture, or with the word `each` to "
            "photo.jpg.json beside every photo.jpg written.",
            show_default=False,
            rich_help_panel=REPORTS,
        ),
    ] = None
    no_provenance: Annotated[
        bool,
        Option(
            "--no-provenance",
            help="Leave out the statement that a network changed the photo (in XMP, IPTC's "
            "DigitalSourceType), which --strip-metadata lets stand.",
            rich_help_panel=FORMAT,
        ),
    ] = False
    strict: Annotated[
        bool,
        Option(
            "--strict",
            help="Count pictures that are skipped, such as those without a face, as failures.",
            rich_help_panel=REPORTS,
        ),
    ] = False
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run",
            help="Say what would be read and written, and by a short measurement about how long it "
            "takes and how much memory; write nothing.",
            rich_help_panel=FILES,
        ),
    ] = False
    watch: Annotated[
        bool,
        Option(
            "--watch",
            help="Stay, and work on every picture that comes into the folders named, once it is "
            "whole. Ctrl-C ends it.",
            rich_help_panel=FILES,
        ),
    ] = False
    quiet: Annotated[
        bool,
        Option("--quiet", "-q", help="Say nothing but what went wrong.", rich_help_panel=REPORTS),
    ] = False
    verbose: Annotated[
        bool,
        Option(
            "--verbose",
            "-v",
            help="Say the seconds and the facts of every picture, too.",
            rich_help_panel=REPORTS,
        ),
    ] = False
