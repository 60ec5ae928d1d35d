"""``POST /db/snapshot``: a server's own snapshots, on behalf of ``rke2 etcd-snapshot`` (day2 reference §3.2).

A failure is told in its own words: who may ask has the server token, and so everything there is to know.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

import msgspec
from aiohttp import web

from rke2.config.model import S3Settings
from rke2.errors import RKE2Error, S3Error
from rke2.snapshots import objects, record, s3_request
from rke2.snapshots.request import (
    DELETE,
    LIST,
    OPERATIONS,
    PRUNE,
    SnapshotAnswer,
    SnapshotRequest,
    SnapshotRequestError,
    parse_request,
)
from rke2.snapshots.taking import Snapshots
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.status import StatusError, bad_request, internal

log = logging.getLogger(__name__)

_COMPONENT = "etcd-snapshot"


class SnapshotHandlers:
    """Answers requests about this server's snapshots.

    Args:
        snapshots: of the managed etcd; None on a server that has none.
    """

    def __init__(self, snapshots: Snapshots | None) -> None:
        self._snapshots = snapshots

    async def snapshot(self, call: Call) -> web.Response:
        """Do what the body asks for."""
        if self._snapshots is None:
            raise bad_request("etcd datastore disabled")
        request = _request(await call.body())
        try:
            return await _do(self._snapshots, request)
        except SnapshotRequestError as error:
            raise bad_request(str(error)) from error
        except RKE2Error as error:
            log.warning("Error in etcd-snapshot handler: %s", error)
            raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error


def _request(body: bytes) -> SnapshotRequest:
    try:
        request = parse_request(body)
    except msgspec.DecodeError as error:
        raise internal(_COMPONENT, error) from error
    if request.operation not in OPERATIONS:
        raise bad_request(f"invalid snapshot operation {request.operation!r}")
    return request


async def _do(snapshots: Snapshots, request: SnapshotRequest) -> web.Response:
    s3 = _store(snapshots, request)
    if request.operation == LIST:
        return await _list(snapshots, request, s3)
    if request.operation == DELETE:
        return _answer(await snapshots.delete(request.name or [], request.dir, s3))
    wish = snapshots.wish(
        request.base, request.dir, request.compress, request.retention, s3, request.compression
    )
    return _answer(await (snapshots.prune(wish) if request.operation == PRUNE else snapshots.save(wish)))


def _store(snapshots: Snapshots, request: SnapshotRequest) -> S3Settings | None:
    """Where in S3 it is to be done, too: a request without settings is about the server's disk alone."""
    if request.s3 is None:
        return None
    settings = s3_request.parse(request.s3)
    try:
        snapshots.copies.store.check(settings)
    except S3Error as error:
        raise bad_request(f"failed to initialize S3 client: {error}") from error
    return settings


async def _list(snapshots: Snapshots, request: SnapshotRequest, s3: S3Settings | None) -> web.Response:
    found = await snapshots.inventory(request.dir)
    stored = await snapshots.copies.store.inventory(s3) if s3 else []
    token, _ = record.fingerprints(snapshots.paths)
    return json_response(json.dumps(objects.listed(found, snapshots.node, token, stored)))


def _answer(answer: SnapshotAnswer) -> web.Response:
    for error in answer.errors:
        log.warning("Error in etcd-snapshot handler: %s", error)
    return json_response(answer.encode())
