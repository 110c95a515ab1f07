"""From the words of a command line to pairs of input and output, found good before any work."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imgan.batch.inputs import STREAM, inputs_of
from imgan.batch.job import Job
from imgan.batch.naming import Template
from imgan.errors import Failure, Misuse
from imgan.images import SUFFIXES, format_of
from imgan.operations import Operation, Takes
from imgan.remote import entries, is_folder, path_of, place
from imgan.terminal import looks_on

EACH = "each"
LISTED = 5  # clashes that are spelt out in one message


@dataclass(frozen=True)
class Task:
    """One result to be made: None stands for standard input and standard output."""

    sources: tuple[Path | None, ...]
    """One; all inputs, where one result comes from them all; or none."""
    target: Path | None
    receipt: Path | None = None
    """Where the facts about the result are written, as JSON."""
    number: int = 0
    """Of the result, where it comes from no input."""

    @property
    def name(self) -> str:
        """The input, for people; the output where there is none."""
        if not self.sources:
            return self.output
        first = "standard input" if self.sources[0] is None else str(self.sources[0])
        others = len(self.sources) - 1
        return f"{first} and {others} more" if others else first

    @property
    def input(self) -> str | list[str] | None:
        """For scripts: one path or "-", or all of them, or None."""
        paths = [STREAM if source is None else str(source) for source in self.sources]
        return paths[0] if len(paths) == 1 else paths or None

    @property
    def output(self) -> str:
        return STREAM if self.target is None else str(self.target)

    @property
    def piped(self) -> bool:
        """Whether it reads standard input or writes standard output."""
        return self.target is None or None in self.sources


@dataclass(frozen=True)
class Plan:
    """All tasks, none of which writes over another's input or output."""

    tasks: tuple[Task, ...]
    passed_over: int = 0
    """Files in folders that are not pictures by their suffix."""
    unlisted: tuple[str, ...] = ()
    """Folders that cannot be read, and why."""


@dataclass(frozen=True)
class Suffixes:
    """How outputs may be called."""

    known: Sequence[str]
    """What -o may end with."""
    wanted: Sequence[str]
    """What --format asks for, the usual one first; empty where it asks for nothing."""
    products: bool
    """Whether these are no pictures, so that an output never keeps its input's suffix."""

    @classmethod
    def of(cls, job: Job, operation: Operation) -> Suffixes:
        """Raises Misuse for a format that the operation does not write."""
        if not operation.formats:
            wanted = format_of(None, job.format).suffixes if job.format else ()
            return cls(tuple(SUFFIXES), wanted, products=False)
        known = tuple(operation.formats)
        chosen = "" if job.format is None else "." + job.format.lower().removeprefix(".")
        if chosen and chosen not in known:
            raise Misuse(f"--format {job.format}: {operation.name} writes {' '.join(known)}")
        return cls(known, (chosen,) if chosen else (), products=True)

    def named(self, target: Path) -> Path:
        """The same name with a suffix as wanted, if it has another one."""
        suffix = target.suffix.lower()
        if self.wanted:
            return target if suffix in self.wanted else target.with_suffix(self.wanted[0])
        if self.products and suffix not in self.known:
            return target.with_suffix(self.known[0])
        return target

    @property
    def made(self) -> str:
        """The suffix of a result without an input."""
        return self.wanted[0] if self.wanted else self.known[0] if self.products else ".png"

    def file(self, output: str) -> Path:
        """The file that -o names. Raises Misuse for another suffix than is known or wanted."""
        target = path_of(output)
        suffix = target.suffix.lower()
        if suffix not in self.known:
            known = " ".join(self.known)
            raise Misuse(
                f"-o {output}: end it with / for a folder, or for a file with one of {known}"
            )
        if self.wanted and suffix not in self.wanted:
            asked = self.wanted[0].removeprefix(".")
            raise Misuse(f"-o {output} and --format {asked} contradict each other")
        return target


@dataclass(frozen=True)
class _Naming:
    """The names of outputs, without their folders."""

    operation: str
    suffixes: Suffixes
    template: Template | None = None

    @classmethod
    def of(cls, job: Job, operation: Operation, suffixes: Suffixes) -> _Naming:
        """Raises Misuse for a template that cannot be, or where -o gives the one name."""
        if job.name is None:
            return cls(operation.suffix, suffixes)
        if operation.takes is Takes.ALL:
            raise Misuse("--name is for several outputs, and this makes one: name it with -o FILE")
        if job.output is not None and not _names_folder(job.output):
            given = path_of(job.output)
            if job.output == STREAM or given.suffix.lower() in suffixes.known:
                raise Misuse(f"-o {job.output} and --name contradict each other: leave one out")
        return cls(operation.suffix, suffixes, Template.of(job.name))

    def kept(self, source: Path, number: int) -> str:
        """For an output in another folder than its input, which keeps its name there."""
        return self._named(source, "{stem}", source.suffix, number)

    def beside(self, source: Path, number: int) -> str:
        return self._named(source, "{stem}-{op}", source.suffix, number)

    def made(self, name: str, number: int) -> Path:
        return Path(
            self._named(Path(name + self.suffixes.made), "{stem}", self.suffixes.made, number)
        )

    def _named(self, source: Path, usual: str, suffix: str, number: int) -> str:
        template = self.template or Template(usual)
        name = template.fill(source, self.operation, number)
        own = Path(template.text).suffix.lower() in self.suffixes.known
        return self.suffixes.named(Path(name if own else name + suffix)).name


def make_plan(
    job: Job,
    operation: Operation,
    finished: Callable[[Task], bool] = lambda task: False,
    *,
    in_full: bool = False,
) -> Plan:
    """Name the output of every input.

    - `photo.jpg` becomes `photo-<suffix>.jpg` beside it, `dir/` becomes `dir-<suffix>/` beside the
      folder with the same names inside.
    - `-o FILE` names the output of one picture. Under `-o DIR` files keep their names, and so does
      what lies in a folder; when there are several inputs, a folder also keeps its own name there.
    - Standard input goes to standard output, or to `-o FILE`.
    - One result of all inputs has the name that -o gives it; results without an input have the
      names that the operation gives them, here or in the folder of -o.
    - `--name` gives other names, in the same folders.
    - Names tell what was done, and `in_full` also with which settings: photo-contrast-1.2.jpg.

    `finished` says of a task whether this very result is there already: then that file is no input.

    Reads folders and nothing else. Raises Misuse when the words contradict each other or two
    outputs meet, and Failure for a folder that cannot be listed or holds no picture.
    """
    suffixes = Suffixes.of(job, operation)
    naming = _Naming.of(job, operation, suffixes)
    if in_full:
        naming = replace(naming, operation=operation.suffix_in_full)
    if operation.takes is Takes.NONE:
        return with_receipts(Plan(_made(job, operation.results(), naming)), job.receipt)
    inputs = inputs_of(job)
    if STREAM in inputs or (job.output == STREAM and operation.takes is Takes.EACH):
        if job.name is not None:
            raise Misuse("--name is for files beside their inputs: a stream has none")
        plan = Plan((_stream(inputs, job, suffixes),))
    elif operation.takes is Takes.ALL:
        plan = _of_all(inputs, job, suffixes)
    else:
        plan = _of_each(inputs, job, naming)
        plan = replace(plan, tasks=_without_clashes(plan.tasks, finished))
    if operation.side_files() and len(plan.tasks) > 1:
        files = ", ".join(map(str, operation.side_files()))
        raise Misuse(f"{files}: that is one file, for {len(plan.tasks)} pictures: name one picture")
    return with_receipts(plan, job.receipt)


def _of_each(inputs: Sequence[str], job: Job, naming: _Naming) -> Plan:
    found = _Found()
    tasks: list[Task] = []
    into = _output_folder(inputs, job)
    for path in map(path_of, inputs):
        if not is_folder(path):
            tasks.append(Task((path,), _beside(path, into, job, naming, len(tasks) + 1)))
            continue
        named = path.resolve() if path.name in ("", "..") else path
        if into is not None:
            root = into / named.name if len(inputs) > 1 else into
        elif named.name:
            root = named.with_name(f"{named.name}-{naming.operation}")
        else:
            raise Misuse(f"{path} has no folder beside it: say where to write with -o DIR")
        for file in found.pictures(path, job.recursive, place(root)):
            kept = root / file.relative_to(path)
            tasks.append(Task((file,), kept.with_name(naming.kept(file, len(tasks) + 1))))
    if not tasks:
        raise found.nothing(inputs, job)
    return Plan(tuple(tasks), found.passed_over, tuple(found.unlisted))


def _of_all(inputs: Sequence[str], job: Job, suffixes: Suffixes) -> Plan:
    if job.output is None:
        raise Misuse("this makes one file of all inputs: name it with -o FILE")
    target = None if job.output == STREAM else suffixes.file(job.output)
    if target is None:
        _to_no_terminal()
    found = _Found()
    sources: dict[str, Path] = {}
    for path in map(path_of, inputs):
        listed = found.pictures(path, job.recursive, "") if is_folder(path) else [path]
        sources |= {place(file): file for file in listed}
    if not sources:
        raise found.nothing(inputs, job)
    if target is not None and place(target) in sources:
        raise Misuse(f"nothing was done: -o {target} is one of the inputs: write elsewhere")
    task = Task(tuple(sources.values()), target)
    return Plan((task,), found.passed_over, tuple(found.unlisted))


def _made(job: Job, names: Sequence[str], naming: _Naming) -> tuple[Task, ...]:
    """A task for each result without an input."""
    files = [naming.made(name, number) for number, name in enumerate(names, 1)]
    if len(set(files)) < len(files):
        raise Misuse(f"--name {job.name}: several would be {files[0]}: add {{number}} to it")
    several = len(names) > 1
    if job.output == STREAM:
        if several:
            raise Misuse("standard output takes one picture: ask for one")
        _to_no_terminal()
        return (Task((), None),)
    if job.output is not None:
        folder = path_of(job.output)
        if _names_folder(job.output) or (several and not folder.suffix):
            files = [folder / file for file in files]
        elif several:
            raise Misuse(f"-o {job.output} names a file, for {len(names)}: name a folder")
        else:
            files = [naming.suffixes.file(job.output)]
    return tuple(Task((), file, number=number) for number, file in enumerate(files))


def with_receipts(plan: Plan, receipt: str | None) -> Plan:
    """The plan with a receipt for every picture, if one is asked for.

    `FILE.json` is the receipt of one picture; "each" puts photo.jpg.json beside every photo.jpg
    written. Raises Misuse for anything else.
    """
    if receipt is None:
        return plan
    if receipt == EACH:
        if any(task.target is None for task in plan.tasks):
            raise Misuse(
                "--receipt each goes beside the outputs, and standard output has no place: name a "
                "FILE.json"
            )
        tasks = tuple(
            replace(task, receipt=task.target.with_name(f"{task.target.name}.json"))
            for task in plan.tasks
            if task.target is not None
        )
        return replace(plan, tasks=tasks)
    if path_of(receipt).suffix.lower() != ".json":
        raise Misuse(f"--receipt {receipt}: name a file that ends in .json, or say each")
    if len(plan.tasks) > 1:
        raise Misuse(
            f"--receipt {receipt} is one file, for {len(plan.tasks)} pictures: --receipt each "
            "writes one beside every output"
        )
    return replace(plan, tasks=(replace(plan.tasks[0], receipt=path_of(receipt)),))


def _stream(inputs: Sequence[str], job: Job, suffixes: Suffixes) -> Task:
    if len(inputs) > 1:
        raise Misuse("- stands for one picture: it takes no other input, and no folder, beside it")
    source = None if inputs == [STREAM] else path_of(inputs[0])
    if source is not None and is_folder(source):
        raise Misuse(f"{source} is a folder: standard output takes one picture")
    if source is None and sys.stdin is None:
        raise Misuse("standard input is closed: name a picture")
    if job.output not in (None, STREAM):
        if _names_folder(job.output):
            raise Misuse(
                f"-o {job.output}: standard input has no name to be kept there: name a file"
            )
        return Task((source,), suffixes.file(job.output))
    _to_no_terminal()
    return Task((source,), None)


def _to_no_terminal() -> None:
    if sys.stdout is None or sys.stdout.closed:
        raise Misuse("standard output is closed: name a file with -o FILE")
    if looks_on(sys.stdout):
        raise Misuse(
            "a picture does not go to a terminal: redirect it, or name a file with -o FILE"
        )


def _output_folder(inputs: Sequence[str], job: Job) -> Path | None:
    """The folder that `-o` names; None when it names a file or is not given."""
    if job.output is None:
        return None
    many = len(inputs) > 1 or is_folder(path_of(inputs[0]))
    if not many:
        return path_of(job.output) if _names_folder(job.output) else None
    folder = path_of(job.output)
    if not is_folder(folder) and (folder.exists() or folder.suffix.lower() in SUFFIXES):
        raise Misuse(f"-o {folder} names a file, for more than one picture: name a folder")
    return folder


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or is_folder(path_of(output))


def _beside(path: Path, into: Path | None, job: Job, naming: _Naming, number: int) -> Path:
    if into is not None:
        return into / naming.kept(path, number)
    if job.output is not None:
        return naming.suffixes.file(job.output)
    if path.exists() and not path.is_file():
        raise Misuse(f"{path} is no file that lies somewhere: say where to write with -o FILE")
    return path.with_name(naming.beside(path, number))


@dataclass
class _Found:
    """What was met in folders."""

    passed_over: int = 0
    unlisted: list[str] = field(default_factory=list)

    def pictures(self, folder: Path, recursive: bool, output: str) -> Iterator[Path]:
        """The pictures of a folder, by their suffix, in order, without hidden ones and without
        those of its own output."""
        try:
            found = entries(folder)
        except OSError as error:
            self.unlisted.append(f"{folder}: cannot be listed ({error.strerror})")
            return
        for entry, holds in found:
            if entry.name.startswith("."):
                continue
            if not holds:
                if entry.suffix.lower() in SUFFIXES:
                    yield entry
                else:
                    self.passed_over += 1
            elif recursive and not entry.is_symlink() and place(entry) != output:
                yield from self.pictures(entry, recursive, output)

    def nothing(self, inputs: Sequence[str], job: Job) -> Failure:
        """Why there is nothing to do."""
        if self.unlisted:
            return Failure("; ".join(self.unlisted), code="unreadable")
        more = "" if job.recursive else " (--recursive looks into the folders below)"
        return Failure(f"{', '.join(inputs)}: no picture in it{more}", code="no-picture")


def _without_clashes(tasks: Sequence[Task], finished: Callable[[Task], bool]) -> tuple[Task, ...]:
    """The tasks, each once. Raises Misuse where an output would meet an input or another output.

    An input that is another task's finished output is none: `imgan adjust *.jpg` given again.
    """
    inputs = {place(source): source for task in tasks for source in task.sources if source}
    makers: defaultdict[str, dict[str, Task]] = defaultdict(dict)
    for task in tasks:
        (source,) = task.sources
        if source and task.target:
            makers[place(task.target)].setdefault(place(source), task)
    clashes, made = [], set()
    for target, tasks_by_source in makers.items():
        first, *others = tasks_by_source.values()
        if target in inputs:
            if finished(first):
                made.add(target)
            else:
                clashes.append(f"{first.input} would be written over the input {inputs[target]}")
        elif others:
            names = " and ".join(str(task.input) for task in (first, *others))
            clashes.append(f"{names} would all be written to {first.output}")
    if clashes:
        more = f"; and {len(clashes) - LISTED} more" if len(clashes) > LISTED else ""
        mend = "leave one out, or write elsewhere with -o"
        raise Misuse(f"nothing was done: {'; '.join(clashes[:LISTED])}{more}: {mend}")
    return tuple(
        task
        for by_source in makers.values()
        for source, task in by_source.items()
        if source not in made
    )
