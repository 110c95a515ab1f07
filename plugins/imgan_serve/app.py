"""The ASGI app: the page, what it asks for, and the HTTP interface."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files
from io import BytesIO
from typing import Annotated, Any

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from typer import Option

from imgan import __version__
from imgan.api import in_python
from imgan.batch.run import PIPE_FORMAT
from imgan.errors import Failure, Misuse
from imgan.images import Picture, format_of, open_picture, save_picture, to_srgb
from imgan.images.picture import SUFFIXES, eight_bits
from imgan.operations import Operation, Result
from imgan.options import fields_of
from imgan.plugins import registry
from imgan.references import Reference
from imgan_serve import Limits
from imgan_serve.errors import GONE, Refused, refuse
from imgan_serve.forms import controls, describe, read
from imgan_serve.guard import Guard
from imgan_serve.openapi import document
from imgan_serve.work import Job, Warm

AT_WORK = 2
"""Requests whose pictures are in memory: while one is worked on, another is decoded or encoded."""

READING = 120.0
"""Seconds that a request has to arrive."""

LOOK = 0.25
"""Seconds between looks whether the client is still there."""

JOB = "imgan-job"
"""The header by which a client names its request, to ask how far it is."""

PICTURE = "picture"
"""The part of multipart/form-data that is the picture, or one of several."""

PARTS = 256
"""Of one request, at most."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src blob: data:; media-src blob:; connect-src 'self'; frame-ancestors 'none'"
)
"""The page loads nothing from anywhere but this server."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a result is written: what every operation takes beside its own fields."""

    format: Annotated[
        str | None, Option(help="jpg, png, webp, tiff, heic, avif ... Default: the picture's own.")
    ] = None
    quality: Annotated[int | None, Option(min=1, max=100, help="Of JPEG, WebP, HEIC and AVIF.")] = (
        None
    )
    strip_metadata: Annotated[bool, Option(help="Write no EXIF and no XMP.")] = False
    measure: Annotated[bool, Option(help="Measure the result, for the facts: slower.")] = False


@dataclass
class Sent:
    """A request as it came: words and files, by the names of their fields."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict)


class Service:
    """The endpoints, and what they share."""

    def __init__(self, limits: Limits, device: str) -> None:
        self.limits = limits
        self.warm = Warm(device)
        self.turns = asyncio.Semaphore(AT_WORK)
        self.jobs: dict[str, Job] = {}
        self.inside = 0

    async def page(self, request: Request) -> Response:
        text = files("imgan_serve").joinpath("page.html").read_text()
        return HTMLResponse(text, headers={"Content-Security-Policy": POLICY})

    async def health(self, request: Request) -> Response:
        state = {"status": "ok", "version": __version__, "requests": self.inside}
        return JSONResponse(state | {"at_once": self.limits.at_once})

    async def operations(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._described))

    async def openapi(self, request: Request) -> Response:
        described = await run_in_threadpool(self._described)
        return JSONResponse(document(described, controls(Writing, {})))

    async def job(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["job"])
        if job is None:
            raise Refused(404, "not-found", "there is no such request")
        return JSONResponse({"share": job.share, "working": job.working})

    async def preview(self, request: Request) -> Response:
        """A picture as every browser shows it, for formats that it does not know."""
        with self._admitted():
            sent = await self._read(request)
            async with self.turns:
                return await run_in_threadpool(self._shown, sent)

    async def operate(self, request: Request) -> Response:
        kind = registry().operations.get(request.path_params["operation"])
        if kind is None:
            known = ", ".join(sorted(registry().operations))
            raise Refused(404, "not-found", f"there is no such operation; known are {known}")
        with self._admitted(), self._job(request) as job:
            sent = await self._read(request)
            work = asyncio.create_task(self._made(kind, sent, job))
            while not work.done():
                await asyncio.wait({work}, timeout=LOOK)
                if not work.done() and await request.is_disconnected():
                    work.cancel()
                    return Response(status_code=GONE)
            return work.result()

    async def close(self) -> None:
        """Give up what is being worked on."""
        for job in self.jobs.values():
            job.stopped = True
        self.warm.thread.shutdown(cancel_futures=True)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Raises Refused while too many others are here."""
        if self.inside >= self.limits.at_once:
            raise Refused(429, "busy", f"{self.inside} requests are here already: try again later")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    @contextmanager
    def _job(self, request: Request) -> Iterator[Job]:
        """The request under the name that the client gave it, for as long as it is here."""
        name, job = request.headers.get(JOB) or secrets.token_hex(), Job()
        if name in self.jobs:
            raise Misuse(f"{JOB}: that name is taken: choose a random one")
        self.jobs[name] = job
        try:
            yield job
        finally:
            job.stopped = True
            del self.jobs[name]

    async def _read(self, request: Request) -> Sent:
        """Raises Refused for what is too large or too slow."""
        sent = Sent()
        try:
            async with asyncio.timeout(READING):
                if request.headers.get("content-type", "").startswith("multipart/form-data"):
                    async with request.form(max_files=PARTS, max_fields=PARTS) as form:
                        for name, value in form.multi_items():
                            if isinstance(value, UploadFile):
                                sent.files.setdefault(name, []).append(await value.read())
                            else:
                                sent.texts.setdefault(name, []).append(value)
                elif body := await request.body():
                    sent.files[PICTURE] = [body]
        except TimeoutError:
            raise Refused(408, "timeout", f"the request took over {READING:g} s to come") from None
        for name, value in request.query_params.multi_items():
            sent.texts.setdefault(name, []).append(value)
        return sent

    async def _made(self, kind: type[Operation], sent: Sent, job: Job) -> Response:
        own = {field.name for field in fields_of(Writing)}
        words = {name: sent.texts.pop(name) for name in own & sent.texts.keys()}
        with in_python():
            writing = read(Writing, words, {})
            async with self.turns:
                opened = await run_in_threadpool(self._opened, sent.files)
                pictures = opened.pop(PICTURE, [])
                references = {name: [Reference(p) for p in some] for name, some in opened.items()}
                operation = read(kind, sent.texts, references)
                operation.check()
                suffix = suffix_of(operation, pictures, writing.format)
                work = partial(self.warm.work, operation, pictures, writing.measure, job)
                result = await asyncio.get_running_loop().run_in_executor(self.warm.thread, work)
                notes = [note for picture in pictures for note in picture.source.notes]
                return await run_in_threadpool(written, operation, result, writing, suffix, notes)

    def _opened(self, sent: dict[str, list[bytes]]) -> dict[str, list[Picture]]:
        """Raises Failure for what is no picture, is broken, or has too many pixels."""
        try:
            return {
                name: [open_picture(d, name, max_pixels=self.limits.pixels) for d in data]
                for name, data in sent.items()
            }
        except Failure as failure:
            code = "bad-picture" if failure.code == Failure.code else failure.code
            raise Failure(str(failure), code=code) from failure

    def _shown(self, sent: Sent) -> Response:
        pictures = self._opened(sent.files).get(PICTURE)
        if not pictures:
            raise Misuse("there is no picture")
        picture = pictures[0]
        source = replace(picture.source, format="PNG", icc=b"", depth=8, exif=b"", xmp=b"")
        alpha = None if picture.alpha is None else eight_bits(picture.alpha)
        file = BytesIO()
        save_picture(Picture(to_srgb(picture.pixels, picture.source), alpha, source), file)
        return Response(file.getvalue(), media_type="image/png")

    def _described(self) -> list[dict[str, Any]]:
        return [describe(kind, self.warm.models) for kind in registry().operations.values()]


def suffix_of(operation: Operation, pictures: Sequence[Picture], wanted: str | None) -> str:
    """What the result is written as, such as ".jpg". Raises Misuse for what cannot be written."""
    if not operation.formats:
        usual = pictures[0].source.format if pictures else PIPE_FORMAT
        return format_of(None, wanted or usual).suffixes[0]
    suffix = "." + wanted.lower().removeprefix(".") if wanted else operation.formats[0]
    if suffix not in operation.formats:
        known = " ".join(operation.formats)
        raise Misuse(f"--format {wanted}: {operation.name} writes {known}")
    return suffix


def written(
    operation: Operation, result: Result, writing: Writing, suffix: str, notes: Sequence[str]
) -> Response:
    """The answer: the file, and in headers what is known of it, as JSON."""
    file, made = BytesIO(), result.made
    if isinstance(made, Picture):
        picture = operation.stated(made)
        notes = [*notes, *made.source.notes, *result.notes]
        notes += save_picture(
            picture,
            file,
            quality=writing.quality,
            strip_metadata=writing.strip_metadata,
            format=suffix,
        )
    else:
        notes = [*notes, *result.notes]
        made.write(file, suffix)
    name = re.sub(r"[^\w.-]+", "-", operation.suffix or operation.name)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}{suffix}"',
        "Imgan-Facts": json.dumps(dict(result.facts)),
        "Imgan-Notes": json.dumps(list(dict.fromkeys(notes))),
    }
    return Response(file.getvalue(), media_type=media_type(suffix), headers=headers)


def media_type(suffix: str) -> str:
    if suffix in SUFFIXES:
        return Image.MIME[SUFFIXES[suffix].name]
    return mimetypes.guess_type("x" + suffix)[0] or "application/octet-stream"


def build_app(limits: Limits, device: str, hosts: Collection[str]) -> Starlette:
    """The whole app. It answers requests for `hosts` alone, or for any name when that is empty."""
    service = Service(limits, device)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    return Starlette(
        routes=[
            Route("/", service.page),
            Route("/healthz", service.health),
            Route("/openapi.json", service.openapi),
            Route("/v1/operations", service.operations),
            Route("/v1/jobs/{job}", service.job),
            Route("/preview", service.preview, methods=["POST"]),
            Route("/v1/{operation}", service.operate, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, most=limits.bytes, hosts=hosts)],
        exception_handlers={Failure: refuse, HTTPException: refuse, Exception: refuse},
        lifespan=lifespan,
    )
