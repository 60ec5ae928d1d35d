"""Forms of answers that several subjects share."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from rke2.supervisor.status import StatusError


def file(path: Path, content_type: str = "") -> web.StreamResponse:
    """`path` with Last-Modified and ranges.

    Raises:
        StatusError: 404, there is no such file.
    """
    if not path.is_file():
        raise not_found()
    return web.FileResponse(path, headers={"Content-Type": content_type} if content_type else None)


def not_found() -> StatusError:
    return StatusError(HTTPStatus.NOT_FOUND, "not found")


def json_response(body: str | bytes) -> web.Response:
    """`body`, which is JSON already."""
    content = body.encode() if isinstance(body, str) else body
    return web.Response(body=content, content_type="application/json")
