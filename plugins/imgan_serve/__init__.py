"""`imgan serve`: every operation on a local page, and over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer import Option

from imgan.errors import Failure
from imgan.hookspecs import hookimpl

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Limits:
    """What a request may ask for; beyond that it is refused, and says why."""

    max_upload: Annotated[
        int, Option(min=1, metavar="MB", help="Megabytes of a request, at most.")
    ] = 64
    max_pixels: Annotated[
        int, Option(min=1, metavar="MP", help="Megapixels of a picture that is sent, at most.")
    ] = 50
    at_once: Annotated[
        int,
        Option(min=1, help="Requests at once, those that wait among them; others are told so."),
    ] = 16

    @property
    def bytes(self) -> int:
        return self.max_upload * 1_000_000

    @property
    def pixels(self) -> int:
        return self.max_pixels * 1_000_000


def serve(
    limits: Limits,
    show: Annotated[bool, Option("--open", help="Open the page in the browser.")] = False,
    host: Annotated[
        str,
        Option(
            metavar="ADDRESS",
            help="Where to listen. There is no password: whoever reaches another address than the "
            "default can use this machine for pictures.",
        ),
    ] = LOOPBACK[0],
    port: Annotated[int, Option(min=0, max=65535, help="0 takes any that is free.")] = 8181,
    device: Annotated[str, Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Serve a page on this machine that does all that operations do, and the same over HTTP.

    imgan serve --open

    It answers this machine alone until Ctrl-C. docs/serve.md describes the HTTP interface, and
    /openapi.json does so for programs.
    """
    try:
        from imgan_serve.server import run
    except ModuleNotFoundError as missing:
        raise Failure(f'{missing.name} is missing: pip install "imgan[page]"') from None
    run(limits, host=host, port=port, device=device, show=show)


@hookimpl
def register_commands(app: typer.Typer) -> None:
    from imgan.options import unfold

    app.command()(unfold(serve, limits=Limits))
