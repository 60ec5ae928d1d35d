"""What the own Node says of its etcd member: role label, two annotations, condition ``EtcdIsVoter``.

Mirrors the controllers reference §7.1 and the supervisor reference §7.5. Runs on every server, for its own Node
alone: so no leader is needed. For servers that do not do so, RKE2's and those that are down, see `etcd_voters`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rke2.controllers.datastore import NODE_ADDRESS, NODE_NAME, REMOVED_NODE_NAME
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError
from rke2.kube.client import Client, PatchType
from rke2.kube.informer import Informer
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Key, Object, annotations_of, labels_of
from rke2.kube.resources import NODES
from rke2.kube.timestamps import now_seconds
from rke2.kube.workqueue import WorkQueue

CONDITION = "EtcdIsVoter"
LOOK_SECONDS = 15.0
HEARTBEAT = timedelta(minutes=4)
"""Age at which the condition is written again; with `LOOK_SECONDS` it never gets five minutes old."""
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class OwnMember:
    """This server's member: its name, and the address it has towards the others."""

    name: str
    address: str


@dataclass(frozen=True)
class Standing:
    """A value of the condition; `reason` is one of upstream's four."""

    voter: bool
    reason: str
    message: str


_LEARNER = Standing(False, "MemberIsLearner", "Node has not been promoted to voting member")
_LEARNERS_REFUSAL = "not supported for learner"
"""What a learner says when it is asked for the members."""


class EtcdMetadata:
    """Keeps the own Node's etcd metadata for as long as `run` runs.

    Args:
        own: informer of the own Node, run by somebody else.
        node: its name.
        member: None on a server without etcd: what an earlier member left on the Node is taken away.
    """

    def __init__(
        self, client: Client, own: Informer, node: str, etcd: MemberRequests, member: OwnMember | None
    ) -> None:
        self._client, self._own, self._etcd, self._member = client, own, etcd, member
        self._key = Key("", node)
        self._queue = WorkQueue("etcd metadata of node", self._reconcile, limit=15.0)

    async def run(self) -> None:
        """Work until cancelled."""
        self._own.listen(lambda change: self._queue.add(change.key))
        self._queue.add(self._key)
        await self._queue.run()

    async def _reconcile(self, key: Key) -> float | None:
        node = self._own.objects.get(key)
        if node is None:
            return None
        if patch := metadata_patch(node, self._member):
            await self._client.patch(NODES, key.name, {"metadata": patch})
        if self._member is None:
            await self._without_condition(node)
            return None
        standing = await look(self._etcd, self._member.name)
        if condition := condition_patch(node, standing, datetime.now(UTC)):
            await self._patch_condition(condition)
        return LOOK_SECONDS

    async def _without_condition(self, node: Object) -> None:
        if condition_of(node):
            await self._patch_condition({"type": CONDITION, "$patch": "delete"})

    async def _patch_condition(self, condition: dict[str, Any]) -> None:
        patch = {"status": {"conditions": [condition]}}
        await self._client.patch(NODES, self._key.name, patch, PatchType.STRATEGIC, subresource="status")


def metadata_patch(node: Object, member: OwnMember | None) -> dict[str, Any]:
    """What has to change in labels and annotations; empty if nothing has to."""
    labels, notes = labels_of(node), annotations_of(node)
    if member and notes.get(REMOVED_NODE_NAME) == member.name:
        return {}  # taken out of the cluster: the leader removed these annotations, and they stay away
    wanted_notes: dict[str, str | None] = {
        NODE_NAME: member.name if member else None,
        NODE_ADDRESS: member.address if member else None,
    }
    changes = {
        "labels": _differing(labels, {ETCD_ROLE: "true" if member else None}),
        "annotations": _differing(notes, wanted_notes),
    }
    return {field: change for field, change in changes.items() if change}


def _differing(present: dict[str, str], wanted: dict[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}


async def look(etcd: MemberRequests, name: str) -> Standing:
    """What the cluster says of the member `name`; an etcd that does not answer is unhealthy."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            members = await etcd.members()
    except (EtcdError, TimeoutError) as error:
        if _LEARNERS_REFUSAL in str(error):
            return _LEARNER
        return Standing(False, "Unhealthy", str(error) or "etcd does not answer")
    found = next((member for member in members if member.name == name), None)
    if found is None:
        return Standing(False, "NotAMember", "Node is not a member of the etcd cluster")
    if found.is_learner:
        return _LEARNER
    return Standing(True, "MemberNotLearner", "Node is a voting member of the etcd cluster")


def condition_patch(node: Object, standing: Standing, now: datetime) -> dict[str, Any] | None:
    """The condition as it is to be written now; None if what the Node has will do."""
    old, status = condition_of(node), str(standing.voter)
    same = (old.get("status"), old.get("reason")) == (status, standing.reason)
    if same and not _aged(old, now):
        return None
    stamp = now_seconds()
    changed = stamp if old.get("status") != status else old.get("lastTransitionTime") or stamp
    return {
        "type": CONDITION,
        "status": status,
        "reason": standing.reason,
        "message": standing.message,
        "lastHeartbeatTime": stamp,
        "lastTransitionTime": changed,
    }


def _aged(condition: dict[str, Any], now: datetime) -> bool:
    written = condition.get("lastHeartbeatTime")
    return not written or now - datetime.fromisoformat(written) >= HEARTBEAT


def condition_of(node: Object) -> dict[str, Any]:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == CONDITION), {})
