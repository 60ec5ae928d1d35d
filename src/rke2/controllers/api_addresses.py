"""Where the API servers are, for nodes that cannot ask them yet: etcd key ``rke2/apiaddresses``.

Mirrors the controllers reference §7.3 and the supervisor reference §5.1; work of the leader of ``rke2-etcd``.
Without a leader the key keeps what it says; readers fall back on the servers they know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from rke2.controllers.datastore import Etcd
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.objects import Key, Object
from rke2.kube.resources import ENDPOINT_SLICES
from rke2.kube.workqueue import WorkQueue

KEY = "rke2/apiaddresses"
_DEFAULT_PORT = 443
_SERVICE = Key("default", "kubernetes")


class APIAddresses:
    """One term of leadership."""

    def __init__(self, client: Client, etcd: Etcd) -> None:
        self._etcd = etcd
        self._slices = Informer(
            client,
            ENDPOINT_SLICES,
            namespace=_SERVICE.namespace,
            label_selector=f"kubernetes.io/service-name={_SERVICE.name}",
        )
        self._queue = WorkQueue("API addresses of", self._write, limit=10.0)

    async def run(self) -> None:
        """Work until cancelled; an API server or etcd that does not answer is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._slices.run(), name="watch API endpoints")
            await self._slices.synced()
            self._slices.listen(lambda _: self._queue.add(_SERVICE))
            self._queue.add(_SERVICE)
            await self._queue.run()

    async def _write(self, _: Key) -> None:
        addresses = ready_addresses(self._slices.objects.values())
        if not addresses:
            return  # an empty list would leave servers without an API server of their own with no way to one
        value = json.dumps(addresses, separators=(",", ":")).encode()
        present = await self._etcd.get(KEY)
        if present is None or present.value != value:
            await self._etcd.put(KEY, value)


def ready_addresses(slices: Iterable[Object]) -> list[str]:
    """``ip:port`` of every ready endpoint, sorted; IPv6 addresses in brackets."""
    return sorted(
        {
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for item in slices
            for port in [_port(item)]
            for endpoint in item.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint.get("addresses") or ()
        }
    )


def _port(item: Object) -> int:
    """The first port of a slice, else that of HTTPS."""
    ports = item.get("ports") or ()
    return int((ports[0].get("port") if ports else None) or _DEFAULT_PORT)
