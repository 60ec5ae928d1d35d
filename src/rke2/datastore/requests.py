"""The requests that a server makes of its datastore; who makes few of them asks for no more.

Every method raises `EtcdError`, whose `code` is gRPC's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rke2.etcd.messages import KeyValue, Member


class KeyRequests(Protocol):
    """Requests about keys: any datastore that speaks etcd's API answers them."""

    async def get(self, key: str, /) -> KeyValue | None: ...
    async def put(self, key: str, value: bytes, /) -> None: ...


class MemberRequests(Protocol):
    """Requests about etcd's members: of a datastore that is etcd, run by servers of the cluster.

    Args:
        timeout: seconds for one endpoint.
    """

    async def members(self, *, timeout: float = ...) -> Sequence[Member]: ...
    async def remove(self, member_id: int, /) -> object: ...
    async def status(self, endpoint: str, /, *, timeout: float) -> object: ...


class EtcdRequests(KeyRequests, MemberRequests, Protocol):
    """Both: what the controllers of a server are given."""
