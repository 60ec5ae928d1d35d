"""Errors of the supervisor's API as Kubernetes Status objects (supervisor reference §2.9)."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from rke2.errors import RKE2Error

log = logging.getLogger(__name__)

_REASONS = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}
_INTERNAL = "Internal error occurred: "


class StatusError(Exception):
    """Ends a request with an error answer.

    Args:
        code: HTTP status code.
        message: for the client; never a secret or an internal detail.
        headers: what goes with the answer, such as ``Retry-After``.
    """

    def __init__(self, code: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = (_INTERNAL if code == HTTPStatus.INTERNAL_SERVER_ERROR else "") + message
        self.headers = headers

    def response(self) -> web.Response:
        body = json.dumps(self.body()).encode()
        return web.Response(
            status=self.code, body=body, content_type="application/json", headers=self.headers
        )

    def body(self) -> dict[str, object]:
        """The Status object."""
        status: dict[str, object] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": _REASONS.get(self.code, ""),
            "code": int(self.code),
        }
        return {key: value for key, value in status.items() if value != ""}


def not_authorized() -> StatusError:
    """Credentials were given and are wrong."""
    return StatusError(HTTPStatus.UNAUTHORIZED, "not authorized")


def forbidden() -> StatusError:
    """No credentials were given, or the right ones for something else."""
    return StatusError(HTTPStatus.FORBIDDEN, "forbidden")


def bad_request(message: str) -> StatusError:
    return StatusError(HTTPStatus.BAD_REQUEST, message)


def unavailable(message: str) -> StatusError:
    """Something is not there yet; asking again later helps."""
    return StatusError(HTTPStatus.SERVICE_UNAVAILABLE, message)


def internal(component: str, error: BaseException) -> StatusError:
    """500 with a number by which the operator finds `error` in the log; the client learns nothing else of it."""
    number = _logged(component, error)
    return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, f"{component} error ID {number}")


def told(component: str, error: BaseException, code: HTTPStatus) -> StatusError:
    """As `internal`, for clients that may know everything: number and reason."""
    number = _logged(component, error)
    return StatusError(code, f"{component} error ID {number}: {error}")


def _logged(component: str, error: BaseException) -> str:
    number = f"{secrets.randbelow(100_000):05d}"
    foreseen = isinstance(error, RKE2Error)  # a program error needs its traceback
    log.error("%s error ID %s: %s", component, number, error, exc_info=None if foreseen else error)
    return number
