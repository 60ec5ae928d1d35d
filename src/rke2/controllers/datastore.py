"""Where etcd's members are noted on Nodes (controllers reference §6.1, §7.2)."""

from __future__ import annotations

from rke2.kube.objects import Object, annotations_of, metadata

NODE_NAME = "etcd.rke2.cattle.io/node-name"
NODE_ADDRESS = "etcd.rke2.cattle.io/node-address"
REMOVE = "etcd.rke2.cattle.io/remove"
REMOVED_NODE_NAME = "etcd.rke2.cattle.io/removed-node-name"


def removal_wanted(node: Object) -> bool:
    """Whether the operator asked for the member's removal."""
    return annotations_of(node).get(REMOVE, "").lower() == "true"


def being_deleted(node: Object) -> bool:
    return bool(metadata(node).get("deletionTimestamp"))
