"""`--embed` and `imgan replay`: a picture that says how it was made, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imgan
from imgan.batch.job import Job
from imgan.errors import Failure, Misuse
from imgan.files import digest
from imgan.images import open_picture
from imgan.images.xmp import pipeline_in
from imgan.models.store import Models
from imgan.operations import Operation
from imgan.options import fields_of
from imgan.pipeline import WRITING, Pipeline, of_steps, output_of, table_of
from imgan.plugins import registry
from imgan.references import Reference


def statement(job: Job, operation: Operation, models: Models) -> str:
    """What is put into the XMP of results, as JSON: the steps, how the result is written, and by
    SHA-256 the networks and pictures that had a say. Folders of this machine are not named.

    Raises Misuse for results that are no pictures, and for a picture that is in no file.
    """
    if operation.formats:
        raise Misuse(f"--embed is for pictures, and {operation.name} makes {operation.formats[0]}")
    defaults = {field.name: field.default for field in fields_of(Job)}
    steps = operation.operations
    return json.dumps(
        {
            "imgan": imgan.__version__,
            "steps": [table_of(step, lambda path: path.name) for step in steps],
            "output": {k: getattr(job, k) for k in WRITING if getattr(job, k) != defaults[k]},
            "packages": {step.name: registry().version_of(type(step))[:2] for step in steps},
            "models": {card.name: card.sha256 for card in operation.cards(models)},
            "pictures": {
                picture.name: picture.sha256 for step in steps for picture in _pictures(step)
            },
        },
        ensure_ascii=False,
    )


def read_statement(result: Path) -> tuple[Pipeline, dict[str, Any], tuple[str, ...]]:
    """The pipeline that a picture holds, how it was written, and notes on what is not as it was.

    Raises Failure where there is none, and where it cannot be repeated: an operation whose plugin
    is missing, a network or a picture that is missing or another one.
    """
    text = pipeline_in(open_picture(result).source.xmp)
    if text is None:
        raise Failure(f"{result}: it holds no pipeline; --embed puts one into a result")
    try:
        stated = json.loads(text)
        steps: Sequence[Mapping[str, Any]] = stated["steps"]
        packages: Mapping[str, Sequence[str]] = stated["packages"]
        hashes: Mapping[str, str] = stated["models"]
        names = [str(step["op"]) for step in steps]
        files = {Path(name).name: str(sha256) for name, sha256 in stated["pictures"].items()}
        output = dict(stated["output"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"{result}: its pipeline cannot be read: {error!r}") from error
    notes = []
    for number, name in enumerate(names, 1):
        then = " ".join(packages.get(name, ["an unknown package"]))
        kind = registry().operations.get(name)
        if kind is None:
            raise Failure(f"{result}: step {number} is {name}, of {then}, which is not installed")
        here = " ".join(registry().version_of(kind)[:2])
        if here != then:
            notes.append(f"{name} is of {here} here, and then it was of {then}")
    found = {name: _found(result, name, sha256) for name, sha256 in files.items()}
    try:
        pipeline = of_steps([_beside(step, found) for step in steps])
        written = output_of(output, lambda message, key: Misuse(f"output: {message}"))
        _require_same(pipeline, hashes)
    except Failure as failure:
        raise Failure(f"{result}: {failure}") from failure
    return pipeline, written, tuple(dict.fromkeys(notes))


def _pictures(step: Operation) -> list[Reference]:
    """The pictures that a step's fields name."""
    values = [getattr(step, field.name) for field in fields_of(type(step))]
    several = [value if isinstance(value, list | tuple) else [value] for value in values]
    return [one for some in several for one in some if isinstance(one, Reference)]


def _found(result: Path, name: str, sha256: str) -> Path:
    """A picture by its name, beside the result or here. Raises Failure."""
    places = [result.parent / name, Path(name)]
    there = [place for place in places if place.is_file()]
    for place in there:
        if digest(place) == sha256:
            return place
    if there:
        raise Failure(f"{result}: {there[0]} is not the picture of that name that was used then")
    raise Failure(f"{result}: it was made with {name}: put that picture beside it, or here")


def _beside(step: Mapping[str, Any], found: Mapping[str, Path]) -> Mapping[str, Any]:
    """A step with the pictures that it names as found, and with other files without folders."""
    kinds = {field.name: field.kind for field in fields_of(registry().operations[str(step["op"])])}

    def placed(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [placed(key, one) for one in value]
        if kinds.get(key) not in (Path, Reference) or not isinstance(value, str):
            return value
        name = Path(value).name
        if kinds[key] is Path:
            return name
        if name not in found:
            raise Failure(f"{key} names {name}, of which no SHA-256 is stated")
        return found[name]

    return {key: placed(key, value) for key, value in step.items()}


def _require_same(pipeline: Pipeline, hashes: Mapping[str, str]) -> None:
    """Raises Failure where another network than then would have a say."""
    for card in pipeline.cards(Models.installed()):
        then = hashes.get(card.name)
        if then is None:
            raise Failure(f"the model {card.name} had no say then, and has one here")
        if then != card.sha256:
            raise Failure(
                f"the model {card.name} is another one than then: SHA-256 {card.sha256[:12]}..., "
                f"not {then[:12]}..."
            )
