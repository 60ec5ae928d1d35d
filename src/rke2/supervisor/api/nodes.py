"""What nodes ask about the cluster's servers: whether this one is ready, and where the API servers are."""

from __future__ import annotations

import asyncio
import json
import logging

from aiohttp import web

from rke2.datastore.requests import KeyRequests
from rke2.errors import EtcdError
from rke2.kube.apiservers import KEY, decode
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.status import unavailable

log = logging.getLogger(__name__)

# RKE2's limit (supervisor reference §5.1), below the ten seconds for which agents wait.
_API_ADDRESSES_SECONDS = 5.0


class NodeHandlers:
    """Answers with what this server knows of the Kubernetes API.

    Args:
        core: empty until the Kubernetes API answers.
        etcd: None on a server without managed etcd.
    """

    def __init__(self, core: CoreSlot, etcd: KeyRequests | None) -> None:
        self._core, self._etcd = core, etcd

    async def readyz(self, call: Call) -> web.Response:
        if self._core.current is None:
            raise unavailable("runtime core not ready")
        return web.Response(text="ok")

    async def apiservers(self, call: Call) -> web.Response:
        """Every address of an API server that the Kubernetes API or etcd knows of; what fails adds nothing."""
        core = self._core.current
        known = core.apiservers() if core else []
        try:
            async with asyncio.timeout(_API_ADDRESSES_SECONDS):
                known += await stored_api_addresses(self._etcd)
        except (EtcdError, TimeoutError) as error:
            log.debug("%s cannot be read: %s", KEY, error)
        return json_response(json.dumps(sorted(set(known))))


async def stored_api_addresses(etcd: KeyRequests | None) -> list[str]:
    """What servers have left in etcd for those without an API server.

    Raises:
        EtcdError: etcd cannot be asked.
    """
    stored = await etcd.get(KEY) if etcd else None
    return decode(stored.value if stored else None)
