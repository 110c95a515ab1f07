"""What stands before the app: who may ask, and how much may be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from imgan_serve.errors import Refused, answer

PATIENCE = 10.0
"""Seconds for the rest of a body that is refused, so that its sender gets to read why."""

Message = MutableMapping[str, Any]


class Guard:
    """ASGI middleware. Bodies above `most` bytes are read past and refused; so are requests for a
    name that is not one of `hosts`, which is how pages of other sites reach a local server (DNS
    rebinding), and those that a browser sends from another site."""

    def __init__(self, app: ASGIApp, most: int, hosts: Collection[str]) -> None:
        self.app = app
        self.most = most
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.most)

        async def send_at_the_end(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.pass_over()
            await send(message)

        if trouble := self._trouble(scope):
            await answer(403, "forbidden", trouble)(scope, receive, send_at_the_end)
        else:
            await self.app(scope, body.receive, send_at_the_end)

    def _trouble(self, scope: Scope) -> str:
        headers = {
            name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        if self.hosts and name.strip("[]") not in self.hosts:
            return f"this server is not called {name}"
        if headers.get("sec-fetch-site") == "cross-site" and scope["method"] != "GET":
            return "pages of other sites cannot use this server"
        return ""


class _Body:
    """The body of one request, counted."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._taken = 0
        self._ended = False

    async def receive(self) -> Message:
        """Raises Refused for what is beyond the limit."""
        message = await self._next()
        if self._taken > self._most:
            await self.pass_over()
            raise Refused(
                413,
                "too-large",
                f"a request has at most {self._most // 1_000_000} MB (--max-upload)",
            )
        return message

    async def pass_over(self) -> None:
        """Read what is left and drop it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self._ended:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self._ended |= not message.get("more_body", False)
        return message
