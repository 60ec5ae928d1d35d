"""What a joining server needs: the keys of the cluster."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from rke2.errors import EtcdError, JoinError, RKE2Error
from rke2.join.bootstrap import BootstrapData
from rke2.join.passwd import SERVER_USER
from rke2.join.store import BootstrapStore, KeyStore
from rke2.join.tokens import PasswordToken
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.authentication import parse_basic
from rke2.supervisor.calls import Call
from rke2.supervisor.status import bad_request, internal

log = logging.getLogger(__name__)


class BootstrapHandlers:
    """Answers servers that join.

    Args:
        server: folder of this server's own copy, ``<dd>/server``.
        etcd: None on a server without managed etcd.
    """

    def __init__(self, server: Path, etcd: KeyStore | None) -> None:
        self._server, self._etcd = server, etcd

    async def bootstrap(self, call: Call) -> web.Response:
        """The copy in etcd, else the files on this server's disk."""
        if self._etcd is None:
            raise bad_request("etcd disabled")
        credentials = parse_basic(call.request.headers.get("Authorization", ""))
        # As in RKE2 (supervisor reference §6.3) by the password that
        # is shown: it let the client in, and opens the data.
        data = await _stored(self._etcd, credentials[1] if credentials else "")
        if data is None:
            try:
                data = await asyncio.to_thread(BootstrapData.read, self._server)
            except (OSError, RKE2Error) as error:
                raise internal("bootstrap", error) from error
        return json_response(data.to_json())


async def _stored(etcd: KeyStore, password: str) -> BootstrapData | None:
    token = str(PasswordToken(password, SERVER_USER))
    try:
        return await BootstrapStore(etcd, token).load()
    except (EtcdError, JoinError) as error:
        log.warning("The bootstrap data in etcd cannot be used, that on disk is: %s", error)
        return None
