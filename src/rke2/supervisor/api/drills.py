"""``POST /v1-rke2/snapshot/verify`` (ours): has a server prove one of its snapshots, for ``rke2 etcd-snapshot verify``.

A snapshot that does not restore is an answer, not a failure of the request.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from aiohttp import web

from rke2.errors import RKE2Error
from rke2.snapshots.drills import Drills
from rke2.snapshots.request import SnapshotRequestError, VerifyRequest
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.status import StatusError, bad_request

log = logging.getLogger(__name__)


class DrillHandlers:
    """Answers requests to prove snapshots.

    Args:
        drills: of the managed etcd's snapshots; None on a server that has none.
    """

    def __init__(self, drills: Drills | None) -> None:
        self._drills = drills

    async def verify(self, call: Call) -> web.Response:
        """Restore a snapshot for a trial; the answer is the verdict."""
        if self._drills is None:
            raise bad_request("etcd datastore disabled")
        try:
            request = msgspec.json.decode(await call.body(), type=VerifyRequest)
            verdict = await self._drills.verify(request.name, request.dir)
        except (SnapshotRequestError, msgspec.DecodeError) as error:
            raise bad_request(str(error)) from error
        except RKE2Error as error:
            log.warning("Snapshots cannot be verified: %s", error)
            raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
        return json_response(msgspec.json.encode(verdict))
