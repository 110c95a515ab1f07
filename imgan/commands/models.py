"""`imgan models`: which weights there are, whether they are whole, and how to bring one's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from dataclasses import replace as replaced
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from imgan import plugins, tables
from imgan.errors import Failure, Misuse, UnsupportedFile
from imgan.models import store
from imgan.models.cards import Description, ModelCard, card_to_toml, read_description
from imgan.recipes import resolve

app = typer.Typer(help="List, show, check and add models.")


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a model.")] = False,
) -> None:
    """List the models. In a pipe: name, operation, bytes, licence and place, between tabs."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise Misuse(f"--json lists the models: leave {context.invoked_subcommand} out")
    elif as_json:
        for card in store.installed():
            print(json.dumps(_record(card)))
    else:
        tables.show(
            ["name", "operation", "bytes", "licence of the weights", "place"],
            (
                [card.name, card.operation, str(card.size), card.licence, _place(card)]
                for card in store.installed()
            ),
            bare=True,
        )


@app.command()
def show(name: Annotated[str, typer.Argument(help="A model's name.")]) -> None:
    """Show a model's card. In a pipe: TOML, as `imgan models add --card` reads it."""
    card = store.find(store.installed(), name)
    if not sys.stdout.isatty():
        print(card_to_toml(card), end="")
        return
    facts = {
        "name": card.name,
        "operation": card.operation,
        "licence of the weights": card.licence,
        "data set": card.dataset,
        "terms of the data set": card.dataset_terms,
        "paper": card.paper,
        "input": card.input,
        "traits": ", ".join(f"{key} {value}" for key, value in card.traits.items()) or "none",
        "trained by": card.command,
        **card.figures,
        "file": str(store.present(card) or card.file),
        "bytes": card.size,
        "SHA-256": card.sha256,
        "URL": card.url or "none",
        "place": _place(card),
    }
    tables.show(["", ""], ([key, str(value)] for key, value in facts.items()))


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="An ONNX file, or a checkpoint of PyTorch's.")],
    card: Annotated[
        Path | None,
        typer.Option(help="Its card: TOML with one table [[model]]. Default: the one in FILE."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What `--model` will take.")] = None,
    operation: Annotated[
        str | None, typer.Option(help="The command that the model serves, such as upscale.")
    ] = None,
    trait: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="What the command has to know of it, such as to=winter."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a model that you added before.")
    ] = False,
) -> None:
    """Add your own network, to be used by `--model NAME`.

    Checkpoints of the reference CycleGAN and pix2pix code, and of super-resolution networks, are
    made into ONNX. ONNX files of LaMa and MI-GAN are known by their ports.
    """
    traits = dict(map(_trait, trait or []))
    if name:  # before the export of a checkpoint, which takes its time
        store.require_free(name, replace=replace)
    with TemporaryDirectory() as folder:
        network = _as_onnx(file, Path(folder))
        description, sha256 = _describe(network, card, name, operation, traits)
        added = store.add(network, description, sha256=sha256, replace=replace)
    print(f"{added.name}: use it with `imgan {added.operation} --model {added.name}`")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A model that you added.")]) -> None:
    """Remove a model that you added."""
    store.remove(name)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models. Default: all.")] = None,
) -> None:
    """Check the SHA-256 of models. In a pipe: name, state and file, between tabs."""
    cards: Sequence[ModelCard] = store.installed()
    checks = store.verify([store.find(cards, name) for name in names] if names else cards)
    tables.show(
        ["name", "state", "file"],
        ([c.card.name, c.state, str(c.path or "")] for c in checks),
        bare=True,
    )
    bad = [check.card.name for check in checks if check.state in ("wrong", "missing")]
    if bad:
        raise Failure(
            f"{len(bad)} of {len(checks)} models cannot be used as they are: {', '.join(bad)}; "
            "reinstall the package that ships them, or add your own again"
        )


def _as_onnx(file: Path, folder: Path) -> Path:
    """The file itself, or what the first importer that knows it writes into the folder.

    Raises Failure when importers of its suffix are asked and none knows it; an ONNX file can be
    added as it is.
    """
    target, suffix = folder / f"{file.stem}.onnx", file.suffix.lower()
    asked = [i for i in plugins.registry().importers.values() if suffix in i.suffixes]
    if not asked:
        return file
    for importer in asked:
        try:
            print(resolve(importer.entry)(file, target))
            return target
        except UnsupportedFile as foreign:
            holds = str(foreign)
    if suffix == ".onnx":
        return file
    reads = "; ".join(importer.reads for importer in asked)
    raise Failure(f"{file} holds {holds}; what is read: {reads}")


def _trait(text: str) -> tuple[str, float | str]:
    key, _, value = text.partition("=")
    if not key or not value:
        raise Misuse(f"--trait {text}: it must be KEY=VALUE")
    for kind in (int, float):
        with suppress(ValueError):
            return key, kind(value)
    return key, value


def _describe(
    file: Path,
    card: Path | None,
    name: str | None,
    operation: str | None,
    traits: dict[str, float | str],
) -> tuple[Description, str | None]:
    """The description from the card file, else from the ONNX file, else from the options alone.

    The options win over what a card says, and a card file's traits over those in the ONNX file.
    With it goes the SHA-256 that a card file states.
    """
    sha256 = None
    embedded = store.embedded_description(file)
    if card:
        found, sha256 = read_description(card)
    elif embedded:
        found = embedded
    elif name and operation:
        found = Description(name=name, operation=operation)
    else:
        raise Misuse(f"{file} holds no card; give --name and --operation, or --card FILE.toml")
    known = embedded.traits if embedded else {}
    return replaced(
        found,
        name=name or found.name,
        operation=operation or found.operation,
        traits={**known, **found.traits, **traits},
    ), sha256


def _record(card: ModelCard) -> dict[str, object]:
    """A card for scripts, and where its file was found."""
    facts = {key: value for key, value in asdict(card).items() if key != "folder"}
    return {**facts, "place": _place(card), "path": str(store.present(card) or "") or None}


def _place(card: ModelCard) -> str:
    """Where a card's file was found, in a word. It is not verified."""
    file = store.present(card)
    if file is None:
        return "to be fetched" if card.url else "missing"
    if file.is_relative_to(store.cache_folder()):
        return "fetched"
    return "own" if file.is_relative_to(store.own_folder()) else "shipped"
