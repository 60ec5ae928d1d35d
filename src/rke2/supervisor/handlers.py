"""What answers the routes of port 9345.

The rest of the join API is known to the route table and answers "not supported yet" (501) until it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from rke2.supervisor.status import StatusError, unavailable


@dataclass(frozen=True)
class Context:
    """What handlers answer from.

    Args:
        ca_bundle: PEM of the server CA, read once: it does not change while the process runs.
        ready: whether the core is up, that is, whether the Kubernetes API answers.
        apiserver_disabled: this server runs without an apiserver.
    """

    ca_bundle: bytes
    ready: Callable[[], bool]
    apiserver_disabled: bool


async def ping(context: Context, request: web.BaseRequest) -> web.Response:
    return web.Response(text="pong")


async def ca_certificates(context: Context, request: web.BaseRequest) -> web.Response:
    return web.Response(body=context.ca_bundle, content_type="text/plain")


async def readyz(context: Context, request: web.BaseRequest) -> web.Response:
    if not context.ready():
        raise unavailable("runtime core not ready")
    return web.Response(text="ok")


async def not_supported(context: Context, request: web.BaseRequest) -> web.Response:
    """A route of RKE2 that this release does not serve yet."""
    if not context.ready():
        raise unavailable("starting")
    raise StatusError(HTTPStatus.NOT_IMPLEMENTED, f"{request.path} is not supported yet")


def unmatched(context: Context, request: web.BaseRequest) -> StatusError:
    """The answer to a path that is not in the table: RKE2 would hand it to the apiserver (reference §2.8)."""
    if context.apiserver_disabled:
        return unavailable("apiserver disabled")
    if not context.ready():
        return unavailable("apiserver not ready")
    return StatusError(HTTPStatus.NOT_FOUND, f"{request.path} not found")
