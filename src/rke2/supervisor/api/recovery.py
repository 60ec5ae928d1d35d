"""``/v1-rke2/restore`` (ours): what servers tell each other while their cluster is restored.

Who may ask has the server token, and with that all keys of the cluster.
"""

from __future__ import annotations

from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

import msgspec
from aiohttp import web

from rke2.errors import HostError, RKE2Error
from rke2.recovery.recovery import Recovery, RecoveryRefusedError
from rke2.recovery.state import Rejoin, Restore
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.status import StatusError, bad_request

T = TypeVar("T")

STOP_SECONDS = 90.0


class RecoveryHandlers:
    """Answers requests about restores of the whole cluster.

    Args:
        recovery: what this server does for them; None on a server without a member of etcd.
    """

    def __init__(self, recovery: Recovery | None) -> None:
        self._recovery = recovery

    async def status(self, call: Call) -> web.Response:
        """What this server knows of its cluster and of restores."""
        return json_response(msgspec.json.encode(await self._own().answer()))

    async def begin(self, call: Call) -> web.Response:
        """Lead a restore."""
        return await _done(self._own().begin(await _body(call, Restore)))

    async def stop(self, call: Call) -> web.Response:
        """End the control plane on this server; the answer is that it has ended."""
        return await _done(self._own().leave(await _body(call, Rejoin)))

    def _own(self) -> Recovery:
        if self._recovery is None:
            raise bad_request("etcd datastore disabled")
        return self._recovery


async def _body(call: Call, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await call.body(), type=kind)
    except msgspec.DecodeError as error:
        raise bad_request(str(error)) from error


async def _done(work: Awaitable[None]) -> web.Response:
    try:
        await work
    except RecoveryRefusedError as error:
        raise StatusError(HTTPStatus.CONFLICT, str(error)) from error
    except OSError as error:
        fault = HostError.of(error, "the state of the restore is not kept")
        raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, str(fault)) from error
    except RKE2Error as error:
        raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
    return json_response("{}")
