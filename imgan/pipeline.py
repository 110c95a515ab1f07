"""Several operations one after the other: in memory an operation itself, on disk a TOML file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from imgan.errors import Failure, Misuse, reason
from imgan.located import Located
from imgan.operations import (
    COMPOSITE,
    TRAINED,
    Operation,
    Process,
    Product,
    Result,
    Runtime,
    Takes,
)
from imgan.options import NO_DEFAULTS, field_words, fields_of
from imgan.references import Reference
from imgan.words import spelled

if TYPE_CHECKING:
    from imgan.batch.job import Job
    from imgan.images import Picture
    from imgan.models.cards import ModelCard
    from imgan.models.store import Models

WRITING = ("format", "quality", "strip_metadata", "no_provenance", "embed")
"""The options of a job that a pipeline file may state in its table [output]."""

EXAMPLE = """\
# A pipeline of imgan: every picture goes through these steps in memory, in this order.
#
#     imgan run pipeline.toml photo.jpg dir/ -o done/
#
# A step names an operation and its options, as `imgan OPERATION --help` has them, with _ for -.
# Files that an option names lie beside this file, or where an absolute path says.

[[step]]
op = "adjust"
brightness = 1.1
contrast = 1.05

[[step]]
op = "edit"
add = ["brown-hair"]
strength = 0.8

[[step]]
op = "upscale"
scale = 2

# How the results are written; what is typed after `imgan run` goes before this.
[output]
quality = 95
"""


@dataclass(frozen=True, kw_only=True)
class Pipeline(Operation):
    """Operations one after the other, through which a picture passes in memory.

    It is an operation like any other: outputs are called by its last step, resuming goes by all.
    """

    name = "run"
    source_type = COMPOSITE

    steps: tuple[Operation, ...]

    @property
    def operations(self) -> Sequence[Operation]:
        return self.steps

    @property
    def suffix(self) -> str:
        return self.steps[-1].suffix

    @property
    def suffix_in_full(self) -> str:
        return self.steps[-1].suffix_in_full

    @property
    def formats(self) -> Sequence[str]:
        return self.steps[-1].formats

    @property
    def states(self) -> str:
        """As if the steps had run one by one: what was wholly made by a network stays that."""
        stated = {step.states for step in self.steps}
        return next((kind for kind in (TRAINED, COMPOSITE) if kind in stated), "")

    @property
    def tile(self) -> int | None:
        return next((step.tile for step in self.steps if step.tile is not None), None)

    @property
    def takes(self) -> Takes:
        if self.steps[0].takes is Takes.NONE:
            return Takes.NONE
        return Takes.EACH if self._gathering is None else Takes.ALL

    @property
    def _gathering(self) -> int | None:
        """The step that makes one result of all pictures, if there is one."""
        found = [index for index, step in enumerate(self.steps) if step.takes is Takes.ALL]
        return found[0] if found else None

    def results(self) -> Sequence[str]:
        return self.steps[0].results()

    def result_size(self, height: int, width: int) -> tuple[int, int]:
        for step in self.steps:
            height, width = step.result_size(height, width)
        return height, width

    def side_files(self) -> Sequence[Path]:
        return [file for step in self.steps for file in step.side_files()]

    def check(self) -> None:
        for index, step in enumerate(self.steps):
            with named(index, step):
                step.check()
        for index, trouble in misplaced(self.steps):
            raise Misuse(f"step {index + 1} ({self.steps[index].name}): {trouble}")

    def cards(self, models: Models) -> Sequence[ModelCard]:
        found: dict[str, ModelCard] = {}
        for index, step in enumerate(self.steps):
            with named(index, step):
                found |= {card.sha256: card for card in step.cards(models)}
        return list(found.values())

    def open(self, runtime: Runtime) -> Process:
        count = len(self.steps)
        opened = []
        for index, step in enumerate(self.steps):
            # Networks that several steps use are loaded once: `sessions` stays the same object.
            own = replace(runtime, meter=runtime.meter.part(index / count, (index + 1) / count))
            with named(index, step):
                opened.append(_Step(index, step, step.open(own)))
        gathering = self._gathering
        if gathering is None:
            return Chain(opened)
        before, after = Chain(opened[:gathering]), Chain(opened[gathering:])
        return lambda pictures: after(Passed(pictures, before))


def misplaced(steps: Sequence[Operation]) -> Iterator[tuple[int, str]]:
    """The steps that cannot stand where they do, by index, and why."""
    gathered = ""
    for index, step in enumerate(steps):
        if index and step.takes is Takes.NONE:
            yield index, "it takes no picture: it can only be the first step"
        if step.takes is Takes.ALL:
            if gathered:
                yield index, f"{gathered} has made one result of all pictures already"
            elif steps[0].takes is Takes.NONE:
                yield index, f"it takes all inputs, and after {steps[0].name} there are none"
            for earlier, other in enumerate(steps[:index]):
                if other.side_files():
                    yield earlier, f"its side file would be one for all pictures of {step.name}"
            gathered = step.name
        if index < len(steps) - 1 and step.formats:
            made = " or ".join(step.formats)
            yield index, f"it makes {made}, no picture: it can only be the last step"


@dataclass(frozen=True)
class _Step:
    index: int
    operation: Operation
    process: Process

    def __call__(self, given: Any) -> Result:
        with named(self.index, self.operation):
            return self.process(given)


@dataclass(frozen=True)
class Chain:
    """Processes in a row: what one has made is given to the next."""

    steps: Sequence[_Step]

    def __call__(self, given: Any) -> Result:
        facts: list[Mapping[str, object]] = []
        notes: list[str] = []
        extras: dict[Path, Picture | Product] = {}
        for step in self.steps:
            started = time.perf_counter()
            result = step(given)
            seconds = round(time.perf_counter() - started, 3)
            facts.append({"op": step.operation.name, "seconds": seconds, **result.facts})
            notes += result.notes
            extras |= result.extras
            given = result.made
        return Result(given, {"steps": facts}, tuple(notes), extras)


@dataclass(frozen=True)
class Passed(Sequence["Picture"]):
    """Pictures, each of which goes through a chain when it is asked for, and is not kept."""

    pictures: Sequence[Picture]
    chain: Chain

    def __len__(self) -> int:
        return len(self.pictures)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return Passed(self.pictures[index], self.chain)
        return self.chain(self.pictures[index]).picture


@contextmanager
def named(index: int, step: Operation) -> Iterator[None]:
    """What goes wrong in a step, with its number and name."""
    place = f"step {index + 1} ({step.name})"
    try:
        yield
    except Failure as failure:
        raise type(failure)(f"{place}: {failure}", code=failure.code) from failure
    except Exception as error:
        raise Failure(f"{place}: {reason(error)}") from error


Refuse = Callable[[str, str | None], Misuse]
"""Makes the error for a key of a step, or for the step: it knows the place."""


def load(path: Path) -> tuple[Pipeline, dict[str, Any]]:
    """A pipeline file: its steps, and what its table [output] says, by `WRITING`.

    Raises Failure for a file that cannot be read and Misuse, with file and line, for anything in it
    that cannot be: no TOML, unknown keys and operations, values of another kind or out of range,
    options that contradict each other, models and pictures that are not there, impossible orders.
    """
    file = Located.read(path)
    for key in file.content:
        if key not in ("step", "output"):
            raise file.misuse(f"{key}: only tables [[step]] and [output] may stand here", key)
    tables = file.content.get("step", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise file.misuse("write a step as a table [[step]]", "step")
    if not tables:
        raise Misuse(f"{path}:1: no step: write a table [[step]]; `imgan run --example` shows some")

    def refuse(index: int) -> Refuse:
        def made(message: str, key: str | None) -> Misuse:
            return file.misuse(message, "step", index, *([] if key is None else [key]))

        return made

    steps = [step_of(table, path.parent, refuse(index)) for index, table in enumerate(tables)]
    for index, trouble in misplaced(steps):
        raise file.misuse(f"{steps[index].name}: {trouble}", "step", index, "op")
    output = file.content.get("output", {})
    if not isinstance(output, dict):
        raise file.misuse("output is a table: [output]", "output")
    return Pipeline(steps=tuple(steps)), output_of(
        output, lambda message, key: file.misuse(message, "output", *([] if key is None else [key]))
    )


def of_steps(tables: Sequence[Mapping[str, Any]], folder: Path | None = None) -> Pipeline:
    """A pipeline of steps as Python has them: [{"op": "edit", "add": ["brown-hair"]}, ...].

    Paths are relative to `folder`. Raises Misuse, with the number of the step.
    """
    steps = []
    for number, table in enumerate(tables, 1):

        def refuse(message: str, key: str | None, number: int = number) -> Misuse:
            return Misuse(f"step {number}: {message}")

        steps.append(step_of(table, folder or Path(), refuse))
    if not steps:
        raise Misuse("a pipeline has one step at least")
    pipeline = Pipeline(steps=tuple(steps))
    pipeline.check()
    return pipeline


def step_of(table: Mapping[str, Any], folder: Path, refuse: Refuse) -> Operation:
    """The operation of a step with its options, checked as far as it can be without a picture."""
    from imgan.models.store import Models
    from imgan.plugins import registry

    known = registry().operations
    name = table.get("op")
    if not isinstance(name, str):
        raise refuse('the operation is missing: op = "edit"', "op")
    if name not in known:
        raise refuse(f"there is no operation {name}{_nearest(name, known)}", "op")
    kind = known[name]
    options = {field.name: field for field in fields_of(kind)}
    values = {}
    for typed, value in table.items():
        key = spelled(typed, options)
        if key == "op":
            continue
        if key not in options:
            raise refuse(f"{name} has no option {key}{_nearest(key, options)}", key)
        field = options[key]
        with refused(refuse, key):
            values[key] = field.read(_beside(value, folder, field.kind))
            for one in values[key] if field.many else [values[key]]:
                if isinstance(one, Reference):
                    _ = one.sha256  # raises Failure when it is not there
    for field in options.values():
        if field.default is MISSING and field.name not in values:
            raise refuse(f"{name} needs {field.name}", None)
    with refused(refuse):
        operation = kind(**values)
        operation.check()
        operation.cards(Models.installed())
    return operation


def output_of(table: Mapping[str, Any], refuse: Refuse) -> dict[str, Any]:
    """How results are to be written: options of a job, by `WRITING`."""
    from imgan.batch.job import Job

    options = {field.name: field for field in fields_of(Job) if field.name in WRITING}
    values = {}
    for key, value in table.items():
        if key not in options:
            raise refuse(f"output has no option {key}{_nearest(key, options)}", key)
        with refused(refuse, key):
            values[key] = options[key].read(value)
    return values


def with_output(
    job: Job, output: Mapping[str, Any], defaults: Mapping[str, Any] = NO_DEFAULTS
) -> Job:
    """A job that writes as a pipeline says, where nothing but the defaults was asked for."""
    from imgan.batch.job import Job

    usual = {field.name: field.default for field in fields_of(Job)} | dict(defaults)
    unasked = {k: value for k, value in output.items() if getattr(job, k) == usual[k]}
    return replace(job, **unasked)


@contextmanager
def refused(refuse: Refuse, key: str | None = None) -> Iterator[None]:
    """Failures in the words of a file, with their place in it."""
    try:
        yield
    except Failure as failure:
        raise refuse(field_words(str(failure)), key) from failure


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


def _beside(value: Any, folder: Path, kind: type) -> Any:
    """A value with its paths as seen from a folder."""
    if kind not in (Path, Reference):
        return value
    if isinstance(value, list | tuple):
        return [_beside(one, folder, kind) for one in value]
    return folder / value if isinstance(value, str | Path) else value


def table_of(operation: Operation, spell: Callable[[Path], str]) -> dict[str, Any]:
    """A step as `step_of` reads it: what differs from the defaults, with paths as `spell` has them.

    Raises Misuse for a picture that is in no file.
    """
    table: dict[str, Any] = {"op": operation.name}
    for field in fields_of(type(operation)):
        value = getattr(operation, field.name)
        if value != field.default:
            table[field.name] = _plain(value, spell)
    return table


def _plain(value: Any, spell: Callable[[Path], str]) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one, spell) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Reference):
        if not isinstance(value.source, Path):
            raise Misuse("a picture in memory cannot be named in a pipeline: save it first")
        value = value.source
    return spell(value) if isinstance(value, Path) else value


def to_toml(operations: Sequence[Operation], output: Mapping[str, Any], folder: Path) -> str:
    """The file that `load` reads; it is to lie in `folder`."""
    folder = folder.absolute()

    def seen(path: Path) -> str:
        path = path.absolute()
        return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()

    tables: list[tuple[str, Mapping[str, Any]]]
    tables = [("[[step]]", table_of(operation, seen)) for operation in operations]
    tables += [("[output]", output)] if output else []
    written = [
        "\n".join([head, *(f"{key} = {_literal(value)}" for key, value in table.items())])
        for head, table in tables
    ]
    return "\n\n".join(written) + "\n"


def _literal(value: Any) -> str:
    # JSON's texts, numbers and lists of them are TOML's too, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
