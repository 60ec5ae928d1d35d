"""What a Node object says of the machine, where nobody but the API server or a server can have written it."""

from __future__ import annotations

from rke2.kube.objects import Object, labels_of, name_of

CONTROL_PLANE_ROLE = "node-role.kubernetes.io/control-plane"
ETCD_ROLE = "node-role.kubernetes.io/etcd"

ENCRYPTION_HASH = "rke2.io/encryption-config-hash"
"""Annotation of servers with an API server: ``<stage>-<hash>`` of their encryption configuration (`pki.encryption`)."""


def is_server(node: Object) -> bool:
    """Whether a Node has the role of a server; NodeRestriction lets no kubelet give itself such a label."""
    return not labels_of(node).keys().isdisjoint((CONTROL_PLANE_ROLE, ETCD_ROLE))


def internal_address(node: Object) -> str:
    """Where a Node is reached by others of the cluster: its first InternalIP, or its name if it has none."""
    addresses = (node.get("status") or {}).get("addresses") or []
    return next(
        (str(each["address"]) for each in addresses if each.get("type") == "InternalIP"), name_of(node)
    )
