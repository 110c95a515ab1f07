"""The server: a socket of its own, and uvicorn behind it."""

from __future__ import annotations

import socket
import webbrowser

import uvicorn

from imgan.errors import Failure
from imgan.models.sessions import choose
from imgan.terminal import say
from imgan_serve import LOOPBACK, Limits
from imgan_serve.app import build_app

GRACE = 3
"""Seconds that requests have to end after Ctrl-C."""


def listen(host: str, port: int) -> socket.socket:
    """Raises Failure for an address or a port that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise Failure(
            f"cannot listen on {host} port {port}: {reason}; --port 0 takes any"
        ) from error


def server_of(limits: Limits, host: str, device: str) -> uvicorn.Server:
    """On the loopback it answers to its own names alone."""
    hosts = LOOPBACK if host in LOOPBACK else ()
    return uvicorn.Server(
        uvicorn.Config(
            build_app(limits, device, hosts),
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
    )


def run(limits: Limits, *, host: str, port: int, device: str, show: bool) -> None:
    """Serve until a signal comes. Raises Misuse for a word that is no device, and Failure."""
    choose(device)
    with listen(host, port) as listening:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}/"
        say(f"{address} (Ctrl-C ends it)")
        if show:
            webbrowser.open(address)
        server_of(limits, host, device).run(sockets=[listening])
