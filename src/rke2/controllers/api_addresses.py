"""Where the API servers are, for nodes that cannot ask them yet: etcd key ``rke2/apiaddresses``.

Mirrors the controllers reference §7.3; work of the leader of ``rke2-etcd``.
Without a leader the key keeps what it says; readers fall back on the servers they know.
"""

from __future__ import annotations

import asyncio

from rke2.datastore.requests import KeyRequests
from rke2.kube import apiservers
from rke2.kube.apiservers import KEY, SERVICE
from rke2.kube.client import Client
from rke2.kube.objects import Key
from rke2.kube.workqueue import WorkQueue


class APIAddresses:
    """One term of leadership."""

    def __init__(self, client: Client, etcd: KeyRequests) -> None:
        self._etcd = etcd
        self._slices = apiservers.endpoints(client)
        self._queue = WorkQueue("API addresses of", self._write, limit=10.0)

    async def run(self) -> None:
        """Work until cancelled; an API server or etcd that does not answer is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._slices.run(), name="watch API endpoints")
            await self._slices.synced()
            self._slices.listen(lambda _: self._queue.add(SERVICE))
            self._queue.add(SERVICE)
            await self._queue.run()

    async def _write(self, _: Key) -> None:
        addresses = apiservers.ready_addresses(self._slices.objects.values())
        if not addresses:
            return  # an empty list would leave servers without an API server of their own with no way to one
        value = apiservers.encode(addresses)
        present = await self._etcd.get(KEY)
        if present is None or present.value != value:
            await self._etcd.put(KEY, value)
