"""Paths that are no route."""

from __future__ import annotations

from http import HTTPStatus

from rke2.supervisor.status import StatusError, unavailable


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
