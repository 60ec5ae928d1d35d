"""etcd members go when their Nodes go, or when the operator says so; work of the leader of ``rke2-etcd``.

Mirrors the controllers reference §7.2. Every Node carries `FINALIZER`, so that a deletion waits for the member's
removal.

Without a leader (``rke2`` stopped on all servers that run an API server) nothing is removed and the deletion of any
Node waits; the next leader finishes what it finds, and drops the finalizer of Nodes without a member at once. Two
deletions that hang with upstream do not here: that of the last member's Node goes through (the member stays, as there
would be no cluster without it), and so does that of a Node whose member is gone already.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from rke2.controllers import finalizers
from rke2.controllers.datastore import (
    NODE_ADDRESS,
    NODE_NAME,
    REMOVE,
    REMOVED_NODE_NAME,
    being_deleted,
    removal_wanted,
)
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError
from rke2.etcd.members import voters
from rke2.etcd.messages import Member
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Informer
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Key, Object, age_of, annotations_of, labels_of, name_of
from rke2.kube.resources import NODES
from rke2.kube.workqueue import WorkQueue

log = logging.getLogger(__name__)

COMPONENT = "managed-etcd-controller"
FINALIZER = f"wrangler.cattle.io/{COMPONENT}"
REMOVAL_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
"""How long "unhealthy cluster" is no answer: etcd gives it until its members are connected for five seconds."""
PAUSE_SECONDS = 1.0


class Step(enum.Enum):
    """What a Node needs next."""

    NOTHING = enum.auto()
    GUARD = enum.auto()
    FINISH = enum.auto()
    REMOVE = enum.auto()
    READMIT = enum.auto()


class Refused(Exception):
    """The cluster would lose its quorum, or its last voter."""


def next_step(node: Object) -> Step:
    """The next step for this Node; after each the Node changes and is looked at again."""
    guarded = FINALIZER in finalizers.finalizers_of(node)
    if being_deleted(node):
        return Step.FINISH if guarded else Step.NOTHING
    if not guarded:
        return Step.GUARD
    notes = annotations_of(node)
    name, removed = notes.get(NODE_NAME), notes.get(REMOVED_NODE_NAME)
    if removed:
        return Step.READMIT if name and name != removed else Step.NOTHING
    return Step.REMOVE if removal_wanted(node) and identity(node) else Step.NOTHING


def identity(node: Object) -> tuple[str, str] | None:
    """Name and address of the Node's etcd member; None if it has none."""
    notes = annotations_of(node)
    name, address = notes.get(NODE_NAME, ""), notes.get(NODE_ADDRESS, "")
    return (name, address) if ETCD_ROLE in labels_of(node) and name and address else None


def owner(member: tuple[str, str], nodes: Iterable[Object]) -> str:
    """Whose the member of this name and address is, among the Nodes that say so; empty if none does.

    Annotations are what a kubelet may write on its own Node: with another server's member there it would have that
    one removed. A member is called ``<node>-<8 hex>``; where none of them is the one it is called after (a server that
    has changed its name), it is the one that was created first.
    """
    named, _, _ = member[0].rpartition("-")
    claimants = [node for node in nodes if identity(node) == member]
    claimants.sort(key=lambda node: (name_of(node) != named, *age_of(node)))
    return name_of(claimants[0]) if claimants else ""


class MemberRemoval:
    """One term of leadership.

    Args:
        client: may change Nodes.
        node: of this server, for events.
    """

    def __init__(self, client: Client, etcd: MemberRequests, node: str) -> None:
        self._client, self._etcd = client.named(COMPONENT), etcd
        self._events = EventRecorder(self._client, COMPONENT, node)
        self._nodes = Informer(self._client, NODES, metadata_only=True)
        # One at a time: whether a member may go depends on the others.
        self._queue = WorkQueue("etcd member of node", self._reconcile, workers=1, limit=15.0)

    async def run(self) -> None:
        """Work until cancelled; an API server or etcd that does not answer is waited for."""
        self._nodes.listen(lambda change: self._queue.add(change.key))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="etcd member events")
            tasks.create_task(self._nodes.run(), name="watch nodes")
            tasks.create_task(self._queue.run(), name="etcd member queue")

    async def _reconcile(self, key: Key) -> None:
        node = self._nodes.objects.get(key)
        step = next_step(node) if node else Step.NOTHING
        if node is None or step is Step.NOTHING:
            return
        match step:
            case Step.GUARD:
                await finalizers.add(self._client, node, FINALIZER)
            case Step.FINISH:
                await self._finish(node)
            case Step.REMOVE:
                await self._remove(node)
            case Step.READMIT:
                await self._annotate(node, {REMOVE: None, REMOVED_NODE_NAME: None})

    async def _finish(self, node: Object) -> None:
        """The Node is being deleted: its member first. A refusal is tried again unless it is for good."""
        member = self._own_member(node)
        try:
            if member:
                await remove_member(self._etcd, *member)
                self._events.emit(node, "Normal", "EtcdMemberRemoved", f"etcd member {member[0]} removed")
        except Refused as refusal:
            if len(await self._etcd.members()) > 1:
                raise EtcdError(str(refusal), code="FAILED_PRECONDITION") from refusal
            self._refuse(node, refusal)
        await finalizers.drop(self._client, node, {FINALIZER})

    async def _remove(self, node: Object) -> None:
        """The operator asked for it: a refusal is the answer, and nothing is tried again."""
        member = self._own_member(node)
        if member is None:
            await self._annotate(node, {REMOVE: None})
            return
        try:
            await remove_member(self._etcd, *member)
        except Refused as refusal:
            self._refuse(node, refusal)
            await self._annotate(node, {REMOVE: None})
            return
        await self._annotate(node, {REMOVED_NODE_NAME: member[0], NODE_NAME: None, NODE_ADDRESS: None})
        self._events.emit(node, "Normal", "EtcdMemberRemoved", f"etcd member {member[0]} removed")

    def _own_member(self, node: Object) -> tuple[str, str] | None:
        """The Node's member, None also if it is another Node's."""
        member = identity(node)
        if member and (rightful := owner(member, self._nodes.objects.values())) != name_of(node):
            refusal = Refused(f"etcd member {member[0]} is that of node {rightful}; it is not removed")
            self._refuse(node, refusal)
            return None
        return member

    def _refuse(self, node: Object, refusal: Refused) -> None:
        self._events.emit(node, "Warning", "EtcdMemberRemovalRefused", str(refusal))

    async def _annotate(self, node: Object, annotations: dict[str, str | None]) -> None:
        await self._client.patch(NODES, name_of(node), {"metadata": {"annotations": annotations}})


async def remove_member(etcd: MemberRequests, name: str, address: str) -> None:
    """Take the member of that name and peer address out of the cluster; one that is not there is success.

    Raises:
        Refused: it is the last voter, or the others could not go on without it.
        EtcdError: etcd failed or did not answer within `REMOVAL_SECONDS`.
    """
    try:
        async with asyncio.timeout(REMOVAL_SECONDS):
            await _remove_member(etcd, name, address)
    except TimeoutError as error:
        raise EtcdError(f"etcd member {name} was not removed in time", code="DEADLINE_EXCEEDED") from error


async def _remove_member(etcd: MemberRequests, name: str, address: str) -> None:
    members = await etcd.members()
    found = next((m for m in members if m.name == name and address in peer_addresses(m)), None)
    if found is None:
        return
    if voters(members) == (found,):
        raise Refused(f"etcd member {name} is the last voter and cannot be removed")
    begin = time.monotonic()
    while refusal := await _refusal(etcd, found.id):
        if refusal.code == "FAILED_PRECONDITION" or time.monotonic() - begin >= PATIENCE_SECONDS:
            raise Refused(f"etcd member {name} cannot be removed: {refusal.message}") from refusal
        await asyncio.sleep(PAUSE_SECONDS)
    log.info("etcd member %s (%s) removed", name, address)


async def _refusal(etcd: MemberRequests, member_id: int) -> EtcdError | None:
    """Remove the member; what etcd's check whether the others could go on has against it, None if it is gone.

    One of that check's two answers has the code of an outage, UNAVAILABLE.
    """
    try:
        await etcd.remove(member_id)
    except EtcdError as error:
        if error.code == "NOT_FOUND":
            return None
        if error.code == "FAILED_PRECONDITION" or "unhealthy cluster" in error.message:
            return error
        raise
    return None


def peer_addresses(member: Member) -> set[str]:
    """The hosts of the member's peer URLs."""
    return {urlsplit(url).hostname or "" for url in member.peer_urls}
