"""Which Secrets belong to which Node, and which to none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rke2.controllers.node_passwords import owned_by, owner_reference, retyped, unused
from rke2.kube.objects import Object

NODE: Object = {"metadata": {"name": "node1", "uid": "u1"}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def secret(name: str, age: timedelta = timedelta(0), **meta: Any) -> Object:
    created = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": name, "creationTimestamp": created, **meta}}


def test_an_owner_is_exactly_this_node() -> None:
    reference = owner_reference(NODE)
    assert reference == {"apiVersion": "v1", "kind": "Node", "name": "node1", "uid": "u1"}
    assert owned_by(secret("s", ownerReferences=[{"name": "x"}, {**reference, "controller": True}]), NODE)
    assert not owned_by(secret("s"), NODE)
    for field in reference:
        assert not owned_by(secret("s", ownerReferences=[{**reference, field: "other"}]), NODE)


def test_only_old_secrets_without_a_node_are_unused() -> None:
    old, young = timedelta(minutes=10, seconds=1), timedelta(minutes=9, seconds=59)
    secrets = [
        secret("gone.node-password.rke2", old),
        secret("coming.node-password.rke2", young),
        secret("node1.node-password.rke2", old),
        secret("something-else", old),
    ]
    assert [item["metadata"]["name"] for item in unused(secrets, {"node1"}, NOW)] == [
        "gone.node-password.rke2"
    ]


def test_a_migrated_secret_keeps_what_counts() -> None:
    old = secret(
        "node1.node-password.rke2",
        namespace="kube-system",
        uid="u",
        resourceVersion="7",
        managedFields=[],
        ownerReferences=[owner_reference(NODE)],
    )
    assert retyped({**old, "type": "Opaque", "data": {"hash": "eA=="}}) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "node1.node-password.rke2",
            "namespace": "kube-system",
            "ownerReferences": [owner_reference(NODE)],
        },
        "type": "rke2.cattle.io/node-password",
        "immutable": True,
        "data": {"hash": "eA=="},
    }
