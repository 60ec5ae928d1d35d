"""A server that was taken out of its cluster takes its control plane away (controllers reference §10, "self delete").

Upstream does so the moment the own Node is being deleted or carries ``remove=true``. Here the member's removal comes
first: etcd stopped before that counts as a failed voter, and of two servers the other one would have no quorum left to
remove it with, forever. So a removal that was refused leaves the control plane alone, and without a leader of
``rke2-etcd`` the server goes on to serve. After the removal its own etcd ends and cannot say so any more: then
`rke2.etcd.upkeep` asks the others and leaves a tombstone. Silence alone proves nothing.
"""

from __future__ import annotations

import asyncio
import logging

from rke2.config.paths import Paths
from rke2.controllers.datastore import REMOVED_NODE_NAME, being_deleted, removal_wanted
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError
from rke2.etcd.member_files import tombstone_file
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Object, annotations_of
from rke2.staticpods import writer

log = logging.getLogger(__name__)

CONTROL_PLANE = (
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "cloud-controller-manager",
    "etcd",
)
"""kube-proxy stays: pods of other workloads still run here."""
POLL_SECONDS = 1.0
_ANSWER_SECONDS = 5.0


class SelfDelete:
    """Takes the manifests away once, when the own Node asks for it.

    Args:
        own: informer of the own Node, run by somebody else.
        member: name of the own etcd member; empty on a server without etcd, which obeys at once.
    """

    def __init__(self, paths: Paths, own: Informer, etcd: MemberRequests, member: str) -> None:
        self._paths, self._own, self._etcd, self._member = paths, own, etcd, member
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Wait for the request and the removal, take the manifests away, and return."""
        self._own.listen(self._changed)
        for node in self._own.objects.values():
            self._note(node)
        while True:
            await self._asked.wait()
            if not self._member or await self._removed():
                break
        await asyncio.to_thread(take_away, self._paths)

    def _changed(self, change: Change) -> None:
        if change.new is None:
            self._asked.set()
        else:
            self._note(change.new)

    def _note(self, node: Object) -> None:
        if asks(node, self._member):
            self._asked.set()
        else:
            self._asked.clear()

    async def _removed(self) -> bool:
        """Whether the member is gone; False if the request was taken back first."""
        while self._asked.is_set():
            if tombstone_file(self._paths).exists() or not await self._may_be_member():
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _may_be_member(self) -> bool:
        """False only if etcd says so."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return any(member.name == self._member for member in await self._etcd.members())
        except (EtcdError, TimeoutError):
            return True


def asks(node: Object, member: str) -> bool:
    """Whether the Node is to leave the cluster.

    The annotations of an earlier removal, which the leader clears when the node is back, ask nothing of the member
    that has another name.
    """
    removed = annotations_of(node).get(REMOVED_NODE_NAME)
    return being_deleted(node) or (removal_wanted(node) and removed in (None, member))


def take_away(paths: Paths) -> None:
    """Remove the manifests of the control plane; the kubelet ends its pods."""
    log.warning("this node was removed from the cluster: taking its control plane away")
    for name in CONTROL_PLANE:
        try:
            writer.remove(paths, name)
        except OSError as error:
            log.error("static pod %s: its manifest cannot be removed: %s", name, error)
