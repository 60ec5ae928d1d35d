"""Paths that nothing answers: routes of RKE2 that are not served yet, and paths that are no route."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from rke2.supervisor.calls import Call
from rke2.supervisor.status import StatusError, unavailable


async def not_supported(call: Call) -> web.Response:
    """A route of RKE2 that this release does not serve yet."""
    raise StatusError(HTTPStatus.NOT_IMPLEMENTED, f"{call.path} is not supported yet")


def unmatched(path: str, *, runs_apiserver: bool, ready: bool) -> StatusError:
    """Answers a path that is not in the table: RKE2 hands it to the apiserver (supervisor reference §2.8).

    Args:
        runs_apiserver: whether this server has an API server.
        ready: whether the Kubernetes API answers.
    """
    if not runs_apiserver:
        return unavailable("apiserver disabled")
    if not ready:
        return unavailable("apiserver not ready")
    return StatusError(HTTPStatus.NOT_FOUND, f"{path} not found")
