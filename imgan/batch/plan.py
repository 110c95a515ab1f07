"""From the words of a command line to pairs of input and output, found good before any work."""

from __future__ import annotations

import os
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imgan.batch.job import Job
from imgan.errors import Failure, Misuse
from imgan.images import SUFFIXES, Format, format_of

STREAM = "-"
EACH = "each"
LISTED = 5  # clashes that are spelt out in one message


@dataclass(frozen=True)
class Task:
    """One picture to be made: None stands for standard input and standard output."""

    source: Path | None
    target: Path | None
    receipt: Path | None = None
    """Where the facts about the picture are written, as JSON."""

    @property
    def name(self) -> str:
        """The input, for people."""
        return "standard input" if self.source is None else str(self.source)

    @property
    def input(self) -> str:
        return STREAM if self.source is None else str(self.source)

    @property
    def output(self) -> str:
        return STREAM if self.target is None else str(self.target)


@dataclass(frozen=True)
class Plan:
    """All tasks, none of which writes over another's input or output."""

    tasks: tuple[Task, ...]
    passed_over: int
    """Files in folders that are not pictures by their suffix."""


def make_plan(job: Job, suffix: str) -> Plan:
    """Name the output of every input.

    - `photo.jpg` becomes `photo-<suffix>.jpg` beside it, `dir/` becomes `dir-<suffix>/` beside the
      folder with the same names inside.
    - `-o FILE` names the output of one picture. Under `-o DIR` files keep their names, and so does
      what lies in a folder; when there are several inputs, a folder also keeps its own name there.
    - Standard input goes to standard output, or to `-o FILE`.

    Reads folders and nothing else. Raises Misuse when the words contradict each other or two
    outputs meet, and Failure for a folder that cannot be listed or holds no picture.
    """
    form = format_of(None, job.format) if job.format else None
    inputs = job.inputs or _piped()
    if STREAM in inputs or job.output == STREAM:
        return Plan((_stream(inputs, job, form),), 0)
    tasks: list[Task] = []
    passed_over = 0
    into = _output_folder(inputs, job)
    for path in map(Path, inputs):
        if not os.path.isdir(path):
            tasks.append(Task(path, _beside(path, into, suffix, job, form)))
            continue
        named = path.resolve() if path.name in ("", "..") else path
        if into is not None:
            root = into / named.name if len(inputs) > 1 else into
        elif named.name:
            root = named.with_name(f"{named.name}-{suffix}")
        else:
            raise Misuse(f"{path} has no folder beside it: say where to write with -o DIR")
        for file in _files(path, job.recursive, root.resolve()):
            if file.suffix.lower() in SUFFIXES:
                target = root / file.relative_to(path)
                tasks.append(Task(file, _in_format(target, form)))
            else:
                passed_over += 1
    if not tasks:
        more = "" if job.recursive else " (--recursive looks into the folders below)"
        raise Failure(f"{', '.join(inputs)}: no picture in it{more}")
    return Plan(_without_clashes(tasks), passed_over)


def with_receipts(plan: Plan, receipt: str) -> Plan:
    """The plan with a receipt for every picture.

    `FILE.json` is the receipt of one picture; "each" puts photo.jpg.json beside every photo.jpg
    written. Raises Misuse for anything else.
    """
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
    if Path(receipt).suffix.lower() != ".json":
        raise Misuse(f"--receipt {receipt}: name a file that ends in .json, or say each")
    if len(plan.tasks) > 1:
        raise Misuse(
            f"--receipt {receipt} is one file, for {len(plan.tasks)} pictures: --receipt each "
            "writes one beside every output"
        )
    return replace(plan, tasks=(replace(plan.tasks[0], receipt=Path(receipt)),))


def _piped() -> list[str]:
    """Standard input, if something is piped or redirected into it."""
    if sys.stdin is not None and not sys.stdin.isatty():
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except OSError:  # a stand-in without a file
            return [STREAM]
        if not stat.S_ISCHR(mode):  # neither a terminal nor /dev/null
            return [STREAM]
    raise Misuse("no input: name pictures or folders, or pipe one picture in")


def _stream(inputs: list[str], job: Job, form: Format | None) -> Task:
    if len(inputs) > 1:
        raise Misuse("- stands for one picture: it takes no other input, and no folder, beside it")
    source = None if inputs == [STREAM] else Path(inputs[0])
    if source is not None and os.path.isdir(source):
        raise Misuse(f"{source} is a folder: standard output takes one picture")
    if job.output not in (None, STREAM):
        if _names_folder(job.output):
            raise Misuse(
                f"-o {job.output}: standard input has no name to be kept there: name a file"
            )
        return Task(source, _output_file(job.output, form))
    if sys.stdout.isatty():
        raise Misuse(
            "a picture does not go to a terminal: redirect it, or name a file with -o FILE"
        )
    return Task(source, None)


def _output_folder(inputs: list[str], job: Job) -> Path | None:
    """The folder that `-o` names; None when it names a file or is not given."""
    if job.output is None:
        return None
    many = len(inputs) > 1 or os.path.isdir(inputs[0])
    if not many:
        return Path(job.output) if _names_folder(job.output) else None
    folder = Path(job.output)
    if not os.path.isdir(folder) and (os.path.exists(folder) or folder.suffix.lower() in SUFFIXES):
        raise Misuse(f"-o {folder} names a file, for more than one picture: name a folder")
    return folder


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or os.path.isdir(output)


def _output_file(output: str, form: Format | None) -> Path:
    target = Path(output)
    named = SUFFIXES.get(target.suffix.lower())
    if named is None:
        known = " ".join(SUFFIXES)
        raise Misuse(f"-o {output}: end it with / for a folder, or for a file with one of {known}")
    if form not in (None, named):
        raise Misuse(f"-o {output} and --format {form.name.lower()} contradict each other")
    return target


def _beside(path: Path, into: Path | None, suffix: str, job: Job, form: Format | None) -> Path:
    if into is not None:
        return _in_format(into / path.name, form)
    if job.output is not None:
        return _output_file(job.output, form)
    return _in_format(path.with_name(f"{path.stem}-{suffix}{path.suffix}"), form)


def _in_format(target: Path, form: Format | None) -> Path:
    """The same name with a suffix of the format, if it has another one."""
    if form is None or target.suffix.lower() in form.suffixes:
        return target
    return target.with_suffix(form.suffixes[0])


def _files(folder: Path, recursive: bool, output: Path) -> Iterator[Path]:
    """The files of a folder in order, without hidden ones and without those of its own output."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise Failure(f"{folder}: cannot be listed ({error.strerror})") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not os.path.isdir(entry):
            yield entry
        elif recursive and not entry.is_symlink() and entry.resolve() != output:
            yield from _files(entry, recursive, output)


def _without_clashes(tasks: list[Task]) -> tuple[Task, ...]:
    """The tasks, each once. Raises Misuse where an output would meet an input or another output."""
    inputs = {_place(task.source): task.source for task in tasks if task.source}
    makers: defaultdict[str, dict[str, Task]] = defaultdict(dict)
    for task in tasks:
        if task.source and task.target:
            makers[_place(task.target)].setdefault(_place(task.source), task)
    clashes = []
    for target, tasks_by_source in makers.items():
        first, *others = tasks_by_source.values()
        if target in inputs:
            clashes.append(f"{first.input} would be written over the input {inputs[target]}")
        elif others:
            names = " and ".join(task.input for task in (first, *others))
            clashes.append(f"{names} would all be written to {first.output}")
    if clashes:
        more = f"; and {len(clashes) - LISTED} more" if len(clashes) > LISTED else ""
        mend = "leave one out, or write elsewhere with -o"
        raise Misuse(f"nothing was done: {'; '.join(clashes[:LISTED])}{more}: {mend}")
    return tuple(task for by_source in makers.values() for task in by_source.values())


def _place(path: Path) -> str:
    """One name for one file, however it is spelt."""
    return os.path.normcase(path.resolve())
