"""`imgan export`: from a run to one ONNX file with its card."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from imgan.errors import Failure, Misuse
from imgan.models.cards import NOT_STATED, Description, name_of, read_description
from imgan.plugins import exporter, registry
from imgan.recipes import Recipe, resolve

if TYPE_CHECKING:
    from imgan.training.run import Record


def export(
    run: Annotated[
        Path,
        Argument(
            exists=True,
            help="The --out of `imgan train`; or, for --int4, an .onnx file that was exported.",
        ),
    ],
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            dir_okay=False,
            metavar="FILE",
            help="The .onnx file to write; or a .safetensors file, for `imgan train --init-from`, "
            "with every network of the run.",
        ),
    ],
    fp16: Annotated[
        bool, Option("--fp16", help="Store the weights in half precision: half the size.")
    ] = False,
    int4: Annotated[
        bool,
        Option("--int4", help="Write an exported file anew, its large kernels in 4 bits."),
    ] = False,
    name: Annotated[
        str | None,
        Option(help="What `--model` will take. Default: FILE's name.", show_default=False),
    ] = None,
    network: Annotated[
        str | None,
        Option(
            help="Of a run that gives several, such as forward or backward of a cyclegan.",
            show_default=False,
        ),
    ] = None,
    blend: Annotated[
        str | None,
        Option(
            metavar="RUN|FILE=SHARE",
            help="Take this share of the weights, 0..1, from another run or file, such as the one "
            "that the run started from, and the rest from the run.",
            show_default=False,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        Option(
            exists=True,
            dir_okay=False,
            metavar="TOML",
            help="Facts for the card (licence, data set, figures): one table [[model]].",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a trained network as one ONNX file, checked against PyTorch.

    imgan export RUN -o model.onnx
    """
    kinds = [*(each.suffix for each in registry().exporters.values()), ".safetensors"]
    if output.suffix.lower() not in kinds:
        raise Misuse(f"-o {output}: an export is a file of the kind {' or '.join(kinds)}")
    if output.exists() and not overwrite:
        raise Failure(f"{output} exists; --overwrite replaces it")
    if int4 or run.is_file():
        if not (int4 and run.is_file()):
            raise Misuse("--int4 takes an exported .onnx file, and no other option does")
        if fp16 or name or network or blend or card:
            raise Misuse("--int4 writes a file anew as it is: leave the other options out")
        pack = exporter(output).pack
        if not pack:
            raise Misuse(f"--int4: {output.suffix} files have no kernels in 4 bits")
        difference = resolve(pack)(run, output, overwrite)
        size = output.stat().st_size
        print(f"{output}: {size:,} bytes; outputs differ by {difference:.2%} on noise")
        return
    record: Record = resolve("imgan.training.run:Record").read(run)
    recipe = registry().recipes.get(record.recipe)
    if recipe is None:
        raise Failure(f"{run}: no plugin here has the recipe {record.recipe}")
    source, share = _blend(blend) if blend else (None, 0.0)
    command = record.command
    if source:
        command += f"; imgan export RUN -o {output.name} --blend {source.name}={share:g}"
    description = describe(recipe, command, name or name_of(output), card)
    task = resolve("imgan.training.run:restore")(recipe, record, run)
    if output.suffix.lower() == ".safetensors":
        if network or source or card or name:
            raise Misuse(f"-o {output} has every network as it is: --fp16 alone goes with it")
        resolve("imgan.training.weights:write_networks")(task, output, fp16, overwrite)
        print(f"{output}: {output.stat().st_size:,} bytes, {', '.join(task.networks)}")
        return
    if source:
        resolve("imgan.training.weights:blend")(task, source, share, task.chosen(network))
    write = resolve("imgan.training.ports:export")
    parity = write(
        recipe, task, output, description, network=network, half=fp16, overwrite=overwrite
    )
    print(
        f"{output}: {output.stat().st_size:,} bytes, {description.name} ({description.operation})"
    )
    print(parity)


def _blend(words: str) -> tuple[Path, float]:
    """The source and the share of `--blend`. Raises Misuse."""
    source, _, number = words.rpartition("=")
    try:
        share = float(number)
    except ValueError:
        share = -1
    if not source or not 0 <= share <= 1:
        raise Misuse(f"--blend {words}: name a run or file and a share of 0 to 1, as a.onnx=0.4")
    return Path(source), share


def describe(recipe: Recipe, command: str, name: str, card: Path | None) -> Description:
    """The card of an export: what the recipe and the run know, and over it what `card` states.

    Raises Misuse when the card is for another operation, Failure when it cannot be read.
    """
    known = Description(
        name=name,
        operation=recipe.operation,
        paper=recipe.paper,
        input=recipe.input,
        command=command,
    )
    if card is None:
        return known
    given, _ = read_description(card)
    if given.operation != known.operation:
        raise Misuse(f"{card} is for {given.operation}, the run is for {known.operation}")
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    stated = {key: value for key, value in values.items() if value not in (NOT_STATED, None, {})}
    return replace(known, **{**stated, "name": name})
