"""Who may read the figures of a node: the API server decides, as for those of its own (day2 reference §12).

A client shows a certificate of the client CA, or a token of which the API server says whose it is (TokenReview). Then
it is asked whether that one may ``get`` the path (SubjectAccessReview): a ClusterRole with ``nonResourceURLs`` grants
it. Passwords of nodes and servers count for nothing here, as in RKE2.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from aiohttp.web import BaseRequest

from rke2.errors import KubeError
from rke2.kube.objects import Object
from rke2.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from rke2.supervisor.authentication import Identity, presented
from rke2.supervisor.status import StatusError, unavailable

MASTERS = "system:masters"
"""May do everything without a question, as in the API server: also while that does not answer."""


class Reviewer(Protocol):
    """The part of `rke2.kube.client.Client` that is needed."""

    async def create(self, resource: Resource, obj: Object) -> Object: ...


async def require(request: BaseRequest, path: str, reviewer: Reviewer | None) -> Identity:
    """Who asks for `path`, if the API server lets them.

    Args:
        reviewer: a client that may create the reviews; None while there is none.

    Raises:
        StatusError: 401 without valid credentials, 403 if it may not, 503 if the API server cannot be asked.
    """
    try:
        # The certificate first: it takes no question to the API
        # server, whose figures may be wanted because it is slow.
        identity = presented(request) or await _of_token(request, reviewer)
        if identity is None:
            raise StatusError(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        if MASTERS not in identity.groups and not await _may(identity, path, _available(reviewer)):
            message = f'forbidden: User "{identity.name}" cannot get path "{path}"'
            raise StatusError(HTTPStatus.FORBIDDEN, message)
    except KubeError as error:
        raise unavailable(f"the API server cannot be asked who may read this: {error.message}") from error
    return identity


def _available(reviewer: Reviewer | None) -> Reviewer:
    if reviewer is None:
        raise unavailable("apiserver not ready")
    return reviewer


async def _of_token(request: BaseRequest, reviewer: Reviewer | None) -> Identity | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token.strip()},
    }
    status = (await _available(reviewer).create(TOKEN_REVIEWS, asked)).get("status") or {}
    if not status.get("authenticated"):
        return None
    user = status.get("user") or {}
    return Identity.of(str(user.get("username", "")), user.get("groups") or ())


async def _may(identity: Identity, path: str, reviewer: Reviewer) -> bool:
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": identity.name,
            "groups": sorted(identity.groups),
            "nonResourceAttributes": {"path": path, "verb": "get"},
        },
    }
    answer = await reviewer.create(SUBJECT_ACCESS_REVIEWS, asked)
    return bool((answer.get("status") or {}).get("allowed"))
