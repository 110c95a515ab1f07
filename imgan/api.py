"""`import imgan`: every operation of every plugin from Python, with the same words and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from imgan.errors import Failure, Misuse
from imgan.operations import Operation, Runtime, Takes
from imgan.options import build, field_words
from imgan.plugins import registry

if TYPE_CHECKING:
    from PIL.Image import Image

    from imgan.batch.run import Outcome
    from imgan.images import Picture


Named = str | Path | Sequence[Mapping[str, Any]]
"""An operation by its name, or a pipeline: its file as a Path, or its steps, such as
[{"op": "edit", "add": ["brown-hair"]}, {"op": "upscale"}]."""


class Opened:
    """An operation with its networks loaded, as a context: call it with one picture after another.

    `facts` is what is known of the latest result, as `--json` prints it.
    """

    def __init__(self, operation: Operation, device: str) -> None:
        from imgan.models.store import Models

        operation.check()
        self.operation = operation
        self.facts: dict[str, object] = {}
        self._process = operation.open(Runtime(device, Models.installed(), measured=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        del self._process

    def __call__(self, image: object = None) -> Image:
        """The result for a picture: a path, bytes, a Pillow image or a uint8 array [H, W, 3|4]; for
        a list of them, of an operation that makes one result of many.

        Raises Failure for what cannot be done, its subclass Skip for a picture that has not what
        the operation works on, such as a face, and Misuse for what is no picture.
        """
        from imgan.images.memory import image_of

        with in_python():
            result = self._process(self._taken(image))
        self.facts = dict(result.facts)
        return image_of(self.operation.stated(result.picture))

    def _taken(self, image: object) -> Any:
        takes = self.operation.takes
        if takes is Takes.NONE:
            return 0
        if takes is Takes.EACH:
            return _picture(image)
        images: Sequence[object] = image if isinstance(image, list | tuple) else [image]
        return [_picture(one) for one in images]


def call(name: str, image: object = None, /, *, device: str = "auto", **options: Any) -> Image:
    """One picture through an operation, as `Opened` does it."""
    with open_operation(name, device=device, **options) as operation:
        return operation(image)


def open_operation(name: Named, /, *, device: str = "auto", **options: Any) -> Opened:
    """An operation that stays warm over many pictures: `with imgan.open("upscale") as upscale:`.

    Raises Misuse for options that are not there or contradict each other.
    """
    with in_python():
        return Opened(operation_of(name, options), device)


def run(
    name: Named,
    inputs: str | Path | Iterable[str | Path] = (),
    /,
    *,
    output: str | Path | None = None,
    progress: Callable[[Outcome], None] | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    format: str | None = None,
    quality: int | None = None,
    strip_metadata: bool = False,
    no_provenance: bool = False,
    embed: bool = False,
    receipt: str | None = None,
    device: str = "auto",
    ray: str | None = None,
    workers: int | None = None,
    **options: Any,
) -> list[Outcome]:
    """A batch: files and folders in, files out; it is resumed as on the command line.

    `progress` is called with each outcome as it comes to its end. Returns what became of each
    picture; one that failed does not raise. Raises Misuse for what makes no sense as a whole.
    """
    from imgan.batch.job import Job
    from imgan.batch.run import Batch, Listener

    listener = Listener()
    if progress is not None:
        listener.add = progress  # type: ignore[assignment, method-assign]
    named = [inputs] if isinstance(inputs, str | Path) else inputs
    job = Job(
        inputs=[str(path) for path in named],
        output=None if output is None else str(output),
        recursive=recursive,
        overwrite=overwrite,
        format=format,
        quality=quality,
        strip_metadata=strip_metadata,
        no_provenance=no_provenance,
        embed=embed,
        receipt=receipt,
        device=device,
        ray=ray,
        workers=workers,
    )
    with in_python():
        if isinstance(name, Path):
            from imgan.pipeline import load, with_output

            job = with_output(job, load(name)[1])
        return Batch(job, operation_of(name, options), listener).run()


def operation_of(name: Named, options: dict[str, Any]) -> Operation:
    """An operation with its options, or a pipeline, which has none. Raises Misuse, with the nearest
    name, for unknown ones."""
    if not isinstance(name, str):
        from imgan.pipeline import load, of_steps

        if options:
            raise Misuse(f"a pipeline has its options in its steps, not {next(iter(options))}=")
        return load(name)[0] if isinstance(name, Path) else of_steps(name)
    known = registry().operations
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        raise Misuse(f"there is no operation {name}; {hint}")
    return build(known[name], options)


@contextmanager
def in_python() -> Iterator[None]:
    """Messages of the command line in the words of Python: `add=`, not `--add`."""
    try:
        yield
    except Failure as failure:
        told = field_words(str(failure), "=")
        raise type(failure)(told, code=failure.code) from failure.__cause__


def _picture(value: object) -> Picture:
    from imgan.images import open_picture
    from imgan.images.memory import picture_of
    from imgan.remote import path_of

    if value is None:
        raise Misuse("name the picture: a path, bytes, a Pillow image or an array")
    return open_picture(path_of(value)) if isinstance(value, str | Path) else picture_of(value)
