"""What goes wrong, as HTTP says it: a status, and JSON with a code and one line."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from imgan.errors import Failure, Misuse, reason

GONE = 499
"""nginx's word for a client that has closed the connection; nobody reads it."""


class Refused(Failure):
    """A request that this server does not take, whatever the picture."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, code=code)
        self.status = status


STATUSES: Mapping[str, int] = {"too-large": 413, "unsupported": 415}
"""Of a Failure, by its code."""


def status_of(failure: Failure) -> int:
    """400 for a request that means nothing, 422 for a picture that cannot be done."""
    if isinstance(failure, Refused):
        return failure.status
    return 400 if isinstance(failure, Misuse) else STATUSES.get(failure.code, 422)


def answer(status: int, code: str, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == 429 else {}
    return JSONResponse({"code": code, "message": message}, status, headers)


async def refuse(request: Request, error: Exception) -> Response:
    """For Starlette: the answer to what an endpoint raised."""
    if isinstance(error, Failure):
        return answer(status_of(error), error.code, str(error))
    if isinstance(error, HTTPException):
        code = "not-found" if error.status_code == 404 else "misuse"
        return answer(error.status_code, code, error.detail)
    traceback.print_exception(error)
    return answer(500, Failure.code, reason(error))
