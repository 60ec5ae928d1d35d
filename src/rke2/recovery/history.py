"""The restores that led to a cluster, in its own etcd: whoever comes back with older data is told by any member."""

from __future__ import annotations

import logging

import msgspec

from rke2.etcd.client import EtcdClient
from rke2.recovery.wire import Restored

log = logging.getLogger(__name__)

KEY = "rke2/restores"
_KEPT = 50


async def read_history(client: EtcdClient) -> tuple[Restored, ...]:
    """The restores, the newest last.

    Raises:
        EtcdError: etcd does not answer.
    """
    found = await client.get(KEY, serializable=True)
    try:
        return msgspec.json.decode(found.value, type=tuple[Restored, ...]) if found and found.value else ()
    except msgspec.DecodeError as error:
        log.warning("etcd: %s is ignored: %s", KEY, error)
        return ()


async def note(client: EtcdClient, done: Restored) -> None:
    """Add a restore; one that is there already, because it was killed behind this, is not added again.

    Raises:
        EtcdError: etcd does not answer.
    """
    before = await read_history(client)
    if done.id not in {each.id for each in before}:
        await client.put(KEY, msgspec.json.encode((*before, done)[-_KEPT:]))
