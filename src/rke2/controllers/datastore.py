"""What the controllers ask of etcd, and where its members are noted on Nodes (controllers reference §6.1, §7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rke2.etcd.messages import KeyValue, Member
from rke2.kube.objects import Object, annotations_of, metadata

NODE_NAME = "etcd.rke2.cattle.io/node-name"
NODE_ADDRESS = "etcd.rke2.cattle.io/node-address"
REMOVE = "etcd.rke2.cattle.io/remove"
REMOVED_NODE_NAME = "etcd.rke2.cattle.io/removed-node-name"


class EtcdRequests(Protocol):
    """The requests the controllers make of an `EtcdClient`. All raise `EtcdError`; its `code` is gRPC's."""

    async def members(self) -> Sequence[Member]: ...
    async def remove(self, member_id: int, /) -> object: ...
    async def get(self, key: str, /) -> KeyValue | None: ...
    async def put(self, key: str, value: bytes, /) -> None: ...
    async def status(self, endpoint: str, /, *, timeout: float) -> object: ...


def removal_wanted(node: Object) -> bool:
    """Whether the operator asked for the member's removal."""
    return annotations_of(node).get(REMOVE, "").lower() == "true"


def being_deleted(node: Object) -> bool:
    return bool(metadata(node).get("deletionTimestamp"))
