"""What a plugin registers: an operation is a class, its fields are the options.

From the class the core derives the command, `imgan.NAME(...)` in Python, the fingerprint for
resuming, the statement of provenance, `--dry-run` and the values for shell completion.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, Protocol, runtime_checkable

from imgan.errors import Misuse
from imgan.references import Reference

if TYPE_CHECKING:
    from imgan.images import Picture
    from imgan.models.cards import ModelCard
    from imgan.models.sessions import Session
    from imgan.models.store import Models

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for a photo of which a trained network has made a part."""

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for a picture that a trained network has made wholly."""


DEVICE = r"auto|cpu|cuda(?::(\d+))?"
"""What --device takes."""


class Takes(StrEnum):
    """How many pictures one result comes from."""

    EACH = "each"
    """One: a result a picture."""
    ALL = "all"
    """All of the inputs: one sheet, one table, one moving picture."""
    NONE = "none"
    """None: the operation says what is made (`Operation.results`)."""


@runtime_checkable
class Product(Protocol):
    """A result that is no picture: a moving picture, latents, a mesh."""

    def write(self, file: BinaryIO, suffix: str) -> None:
        """Write the whole file; `suffix`, such as ".npz", is one of `Operation.formats`."""


@dataclass(frozen=True)
class Result:
    """What an operation makes of a picture.

    `facts` are JSON-able, for --json and --receipt; `notes` are what a person should know, a line
    each; `extras` are the files that fields name beside the output (`Operation.side_files`).
    """

    made: Picture | Product
    facts: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    extras: Mapping[Path, Picture | Product] = field(default_factory=dict)

    @property
    def picture(self) -> Picture:
        """What was made, of an operation that makes pictures. Raises TypeError for others."""
        if isinstance(self.made, Product):
            raise TypeError(f"{type(self.made).__name__} is no picture")
        return self.made


Process = Callable[[Any], Result]
"""Does the work. It is called with the picture (`Takes.EACH`), with a sequence of all pictures,
each opened when it is asked for (`Takes.ALL`), or with the number of the result, from 0
(`Takes.NONE`)."""


@dataclass
class Meter:
    """How far a long operation is with its present picture.

    The operation calls it with a share, 0..1; the batch listens, so that its bar moves meanwhile.
    """

    listener: Callable[[float], None] | None = None

    def __call__(self, share: float) -> None:
        if self.listener is not None:
            self.listener(share)

    def part(self, start: float, end: float) -> Meter:
        """A meter for the work that leads from one share to another."""
        return Meter(lambda share: self(start + share * (end - start)))


@dataclass(frozen=True)
class Runtime:
    """What an operation gets to work with.

    `device` is what --device says; `measured` whether anybody reads the facts; networks that
    several operations of a pipeline use are loaded once.
    """

    device: str
    models: Models
    meter: Meter = field(default_factory=Meter)
    measured: bool = False
    sessions: dict[tuple[str, str], Session] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raises Misuse for a word that is no device, before any work, or where none is left."""
        if not re.fullmatch(DEVICE, self.device):
            raise Misuse(f"--device {self.device}: known are auto, cpu, cuda and cuda:N")

    def session(self, card: ModelCard, device: str | None = None) -> Session:
        """The network of a card, its file verified, on the runtime's device or another.

        Raises what `store.path` and `open_session` raise.
        """
        from imgan.models import store
        from imgan.models.sessions import open_session

        key = card.sha256, device or self.device
        if key not in self.sessions:
            self.sessions[key] = open_session(store.path(card), key[1])
        return self.sessions[key]


class Listing(NamedTuple):
    """What `--list` prints: a table, and for --json a record a row; `note` says to people what the
    figures in it are."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, object]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Operation(ABC):
    """One operation with its settings. A subclass is a frozen dataclass, too.

    Each field is an option: `strength: Annotated[float, Option(min=0, help="...")] = 1.0`. A
    picture that is named beside the inputs is an `imgan.references.Reference`. The docstring is
    the help of the command.
    """

    name: ClassVar[str]
    """The command."""
    source_type: ClassVar[str] = ""
    """IPTC's DigitalSourceType of the results: COMPOSITE, TRAINED, or "" for none."""
    values_need_models: ClassVar[bool] = False
    """Whether `values` looks at the models' traits."""
    inputs: ClassVar[bool] = True
    """Whether the command takes pictures."""

    @property
    def suffix(self) -> str:
        """What outputs are called by: photo-<suffix>.jpg."""
        return self.name

    @property
    def suffix_in_full(self) -> str:
        """What they are called by where that name is taken by a result of other settings: with
        those that are not the usual ones, as "inpainted-grow-3". A setting that the suffix names
        already has its value alone, or nothing: "contrast-1.2"."""
        told = [self.suffix]
        for each in fields(self):
            value = getattr(self, each.name)
            if value == each.default or isinstance(value, bool | list | Path):
                continue
            word = _word(value)
            if word not in self.suffix:
                name = each.name.replace("_", "-")
                told += [word] if name in self.suffix else [name, word]
        return "-".join(told)

    @property
    def states(self) -> str:
        """The DigitalSourceType with these settings; some may make a picture without a network."""
        return self.source_type

    @property
    def takes(self) -> Takes:
        """How many pictures one result comes from."""
        return Takes.EACH if self.inputs else Takes.NONE

    @property
    def formats(self) -> Sequence[str]:
        """The suffixes of results that are no pictures, the usual one first; empty for pictures."""
        return ()

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations that it is made of, in order: a pipeline has several."""
        return (self,)

    def result_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width, in pixels, of the result for a picture of this size.

        What the output's format cannot hold is refused by it before the work.
        """
        return height, width

    @property
    def tile(self) -> int | None:
        """The side in pixels of the tiles in which a picture goes through the network, with
        `imgan.images.tiles`' overlap; None where it goes whole. For `--dry-run`."""
        return None

    def stated(self, picture: Picture) -> Picture:
        """A result that says in its XMP how it was made, if that is to be said."""
        return replace(picture, source=replace(picture.source, made=self.states))

    def check(self) -> None:  # noqa: B027, most have nothing to say
        """Raise Misuse, in the words of the command line, for options that contradict each other.

        It is called before anything is read or loaded.
        """

    def cards(self, models: Models) -> Sequence[ModelCard]:
        """Every network that has a say in the result. Raises Misuse for one that is not there."""
        return ()

    def results(self) -> Sequence[str]:
        """For `Takes.NONE`: the names, without a suffix, of all that is made."""
        return [self.name]

    def side_files(self) -> Sequence[Path]:
        """Files that fields name to be written beside the output of one picture."""
        return ()

    @abstractmethod
    def open(self, runtime: Runtime) -> Process:
        """Load what is needed; called at most once, when there is a first picture to work on."""

    @classmethod
    def take_words(cls, words: list[str]) -> tuple[dict[str, Any], list[str]]:
        """Fields that stand among the inputs (`upscale x4 photo.jpg`), and the words that are left.

        Raises Misuse for a word that looks like one and is none.
        """
        return {}, words

    @classmethod
    def values(cls, field: str, traits: Sequence[Mapping[str, object]] = ()) -> Iterable[str]:
        """What a shell offers for a field at a Tab, or for "inputs", beside files.

        Values of enumerations, devices, formats and models are known. `traits` are those of the
        cards that serve the operation, if `values_need_models`. It has to be quick.
        """
        return ()

    def listing(self, models: Models) -> Listing:
        """What `--list` prints. An operation that does not define it has no such option."""
        raise NotImplementedError


def _word(value: object) -> str:
    """A setting's value as a part of a file's name."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Reference):
        value = Path(value.name).stem
    told = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.]+", "-", told).strip("-.")
