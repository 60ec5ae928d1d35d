"""``EtcdIsVoter`` on Nodes that do not write it themselves: work of the leader of ``rke2-etcd``.

A server of ours keeps the condition of its own Node (`etcd_metadata`) and never lets it get five minutes old. RKE2's
servers leave it to the leader, who writes all of them; where that is ours, theirs would stay as they last were. So the
leader writes what nobody has written for longer than that, and so never works against a server that does it itself. A
server that is down is told as what it is by this, too.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from rke2.controllers.datastore import NODE_NAME
from rke2.controllers.etcd_metadata import (
    CONDITION,
    HEARTBEAT,
    LOOK_SECONDS,
    Standing,
    condition_of,
    condition_patch,
    look,
)
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError, KubeError
from rke2.etcd.messages import Member
from rke2.kube.client import Client, PatchType
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import Object, annotations_of, name_of
from rke2.kube.persistence import Outage
from rke2.kube.resources import NODES

NEGLECTED = HEARTBEAT + timedelta(minutes=1)
"""Age from which a condition is taken for one that its own server does not write."""
_ANSWER_SECONDS = 5.0


class EtcdVoters:
    """One term of leadership."""

    def __init__(self, client: Client, etcd: MemberRequests) -> None:
        self._client, self._etcd = client, etcd
        self._outage = Outage(f"condition {CONDITION} of other servers")

    async def run(self) -> None:
        """Look at all members now and then, until cancelled."""
        while True:
            try:
                await self._look(datetime.now(UTC))
            except KubeError as error:
                self._outage.failed(error)
            else:
                self._outage.over()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, now: datetime) -> None:
        for node in (await self._client.list(NODES, label_selector=ETCD_ROLE)).items:
            if not neglected(node, now):
                continue
            standing = await standing_of(self._etcd, annotations_of(node).get(NODE_NAME, ""))
            if condition := condition_patch(node, standing, now):
                patch = {"status": {"conditions": [condition]}}
                await self._client.patch(
                    NODES, name_of(node), patch, PatchType.STRATEGIC, subresource="status"
                )


def neglected(node: Object, now: datetime) -> bool:
    """Whether the condition of `node` is missing or older than its own server would let it get.

    A Node that has just got its role is not: its server may be about to write the first one.
    """
    written = condition_of(node).get("lastHeartbeatTime") or node["metadata"].get("creationTimestamp")
    return not written or now - datetime.fromisoformat(written) >= NEGLECTED


async def standing_of(etcd: MemberRequests, name: str) -> Standing:
    """What the cluster says of the member `name`, and for a voter whether it answers."""
    standing = await look(etcd, name)
    if not standing.voter:
        return standing
    problem = await _silence(etcd, name)
    return Standing(False, "Unhealthy", problem) if problem else standing


async def _silence(etcd: MemberRequests, name: str) -> str:
    """Why the member does not answer; empty if it does."""
    try:
        member = next((each for each in await etcd.members() if each.name == name), Member())
        for url in member.client_urls:
            await etcd.status(url, timeout=_ANSWER_SECONDS)
    except (EtcdError, TimeoutError) as error:
        return str(error) or "etcd does not answer"
    return ""
