"""The controller of Plans: work of the leader of ``rke2``.

It looks at everything again whenever a Plan, a Secret or what matters of a Node has changed, and now and then. Nothing
is remembered but what `rke2.rollout.moves` has: what has been begun is in ``status.applying`` and on the Nodes, so
that the next leader goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rke2.datastore.requests import MemberRequests
from rke2.errors import KubeError, RKE2Error
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object, key_of, metadata, name_of
from rke2.kube.persistence import SURVIVED, Outage, persist
from rke2.kube.resources import DEPLOYMENTS, NAMESPACES, NODES, PLANS, SECRETS
from rke2.kube.timestamps import now_seconds
from rke2.rollout.channel import latest
from rke2.rollout.decide import Deed, NodeDeed, PlanDecision, decide
from rke2.rollout.deeds import patch_of
from rke2.rollout.facts import RolloutFacts, RolloutNode
from rke2.rollout.foreign import is_foreign
from rke2.rollout.health import trouble
from rke2.rollout.moves import Moves
from rke2.rollout.names import CONTROLLER, NAMESPACE, SNAPSHOT
from rke2.rollout.plan import ClusterPlan
from rke2.rollout.resolve import PlanEvent, Resolution, resolve
from rke2.rollout.standing import events_of, status_of

log = logging.getLogger(__name__)

AT_WORK, WAITING, IDLE = 5.0, 15.0, 60.0
"""Seconds between two looks: a node is at work, one waits for its turn, there is nothing to do."""
_SETTLE = 0.1
"""Seconds in which changes that belong together come together."""


TakesSnapshot = Callable[[], Awaitable[str]]
"""Takes a snapshot of the own etcd member and returns its name; raises RKE2Error."""


class PlanController:
    """One term of leadership.

    Args:
        client: with the supervisor's credentials.
        etcd: asked whether all members are well.
        snapshot: None on a server without a member.
        node: name of this node, for events.
    """

    def __init__(
        self,
        client: Client,
        etcd: MemberRequests,
        snapshot: TakesSnapshot | None = None,
        *,
        node: str = "",
    ) -> None:
        self._client, self._etcd, self._snapshot = client.named(CONTROLLER), etcd, snapshot
        self._events = EventRecorder(self._client, CONTROLLER, node)
        self._changed = asyncio.Event()
        self._moves = Moves(self._client, self._changed.set)
        self._no_snapshot = ""
        self._asked: dict[str, str] = {}
        self._foreign: bool | None = None

    async def run(self) -> None:
        """Work until cancelled; an outage of the API is waited for."""
        await persist(f"namespace {NAMESPACE}", self._ensure_namespace)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._events.run(), name="events of plans")
                for informer in self._watched():
                    tasks.create_task(informer.run(), name="watch for plans")
                    await informer.synced()
                await self._look_again_and_again()
        finally:
            await self._moves.end()

    def _watched(self) -> Iterable[Informer]:
        plans = Informer(self._client, PLANS, namespace=NAMESPACE)
        others = (
            Informer(self._client, resource, namespace=NAMESPACE, metadata_only=True)
            for resource in (SECRETS, DEPLOYMENTS)
        )
        nodes = Informer(self._client, NODES)
        nodes.listen(self._node_changed)
        for informer in (plans, *others):
            informer.listen(lambda change: self._changed.set())
            yield informer
        yield nodes

    def _node_changed(self, change: Change) -> None:
        """Kubelets write their Nodes all the time."""
        if not (change.old and change.new and RolloutNode.of(change.old) == RolloutNode.of(change.new)):
            self._changed.set()

    async def _ensure_namespace(self) -> None:
        if await self._client.find(NAMESPACES, NAMESPACE) is None:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            await self._client.create(NAMESPACES, namespace)

    async def _look_again_and_again(self) -> None:
        outage = Outage("plans")
        while True:
            self._changed.clear()
            pause = WAITING
            try:
                pause = await self.look()
                outage.over()
            except SURVIVED as error:
                outage.failed(error)
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_SETTLE)

    async def look(self) -> float:
        """Look at everything once, and do what is due.

        Returns:
            Seconds after which to look again.

        Raises:
            KubeError: the API server refuses or does not answer.
        """
        # Asked, not taken from the copies of the watches: what was decided on an old
        # one would be decided again, for another node.
        objects = {key_of(obj): obj for obj in (await self._client.list(PLANS, NAMESPACE)).items}
        # After the Plans: a Plan that came after upstream's controller is never taken for one of ours.
        if await self._is_foreign() or not objects:
            return IDLE
        nodes = (await self._client.list(NODES)).items
        secrets = {name_of(each): each for each in (await self._client.list(SECRETS, NAMESPACE)).items}
        resolved = {key: await self._resolve(obj, secrets) for key, obj in objects.items()}
        decisions = await self._decide([each.plan for each in resolved.values() if each.plan], nodes)
        for key, obj in objects.items():
            await self._carry_out(obj, resolved[key], decisions.get(key))
        return _pause(decisions.values())

    async def _is_foreign(self) -> bool:
        """Whether upstream's controller is here, which then does the work."""
        found = (await self._client.list(DEPLOYMENTS, NAMESPACE)).items
        foreign = any(map(is_foreign, found))
        if foreign is not self._foreign and (foreign or self._foreign):
            log.warning(
                "%s runs in namespace %s: plans are %s",
                CONTROLLER,
                NAMESPACE,
                "its, and nothing is done about them here" if foreign else "carried out here again",
            )
        self._foreign = foreign
        return foreign

    async def _resolve(self, obj: Object, secrets: dict[str, Object]) -> Resolution:
        uid, channel = str(metadata(obj).get("uid")), str((obj.get("spec") or {}).get("channel", ""))
        again = self._asked.get(uid, channel) != channel
        self._asked[uid] = channel
        return await resolve(obj, secrets, datetime.now(UTC), self._ask, again=again)

    async def _ask(self, channel: str, version: str) -> str:
        cluster = await self._client.find(NAMESPACES, "kube-system")
        headers = {
            "X-SUC-Cluster-ID": str(metadata(cluster or {}).get("uid", "")),
            "X-SUC-Latest-Version": version,
        }
        return await latest(channel, {name: value for name, value in headers.items() if value})

    # --- decisions ---------------------------------------------------------------------------------

    async def _decide(self, plans: Sequence[ClusterPlan], nodes: Sequence[Object]) -> dict[Key, PlanDecision]:
        known = [RolloutNode.of(node) for node in nodes]
        decisions = decide(plans, known, self._facts())
        # Asked only when a server would be taken down: every member and API server is asked.
        if any(decision.begins_a_server for decision in decisions):
            found = await trouble(self._client, self._etcd, nodes)
            if found:
                decisions = decide(plans, known, self._facts(found))
        return {decision.plan.key: decision for decision in decisions}

    def _facts(self, found: str = "") -> RolloutFacts:
        return RolloutFacts(
            now=datetime.now(UTC),
            drained=self._moves.drained,
            stuck=self._moves.stuck,
            trouble=found,
            snapshots=self._snapshot is not None,
            no_snapshot=self._no_snapshot,
        )

    # --- deeds -------------------------------------------------------------------------------------

    async def _carry_out(self, obj: Object, resolved: Resolution, decision: PlanDecision | None) -> None:
        before, status, told = obj.get("status") or {}, resolved.status, [*resolved.events]
        if decision:
            told += events_of(before, decision)
            status = status_of(status, decision, now_seconds())
        if status != before:
            await self._write_status(obj, status)
        for event in told:
            self._tell(obj, event)
        if decision:
            # After the status: a leader that comes to its end in between must be known to hold these nodes.
            for each in decision.deeds:
                await self._do(obj, decision.plan, each)
            if decision.snapshot:
                await self._take_snapshot(obj, decision.plan)

    async def _write_status(self, obj: Object, status: dict[str, Any]) -> None:
        # With the version: an earlier leader that still takes itself for one must not write over this one.
        patch = {"metadata": {"resourceVersion": metadata(obj)["resourceVersion"]}, "status": status}
        await self._client.patch(PLANS, name_of(obj), patch, namespace=NAMESPACE, subresource="status")

    async def _do(self, obj: Object, plan: ClusterPlan, each: NodeDeed) -> None:
        node = each.node
        if each.deed is Deed.MAKE_WAY:
            self._moves.begin(plan, node)
            return
        log.info("plan %s: node %s: %s", plan.name, node.name, each.deed.value)
        patch = patch_of(each.deed, plan, node, datetime.now(UTC).isoformat(timespec="seconds"))
        await self._client.patch(NODES, node.name, patch)
        delay = plan.spec.post_complete_delay
        if each.deed is Deed.LABEL:
            self._moves.forget(plan, node)
            self._tell(obj, PlanEvent("Normal", "JobComplete", f"Job completed on Node {node.name}"))
        elif each.deed is Deed.RELEASE and delay:
            waits = f"Job completed on Node {node.name}, waiting {delay} PostCompleteDelay"
            self._tell(obj, PlanEvent("Normal", "JobCompleteWaiting", waits))

    async def _take_snapshot(self, obj: Object, plan: ClusterPlan) -> None:
        assert self._snapshot
        try:
            name = await self._snapshot()
        except RKE2Error as error:
            if isinstance(error, KubeError):
                raise
            self._no_snapshot = error.message
            log.warning("plan %s: no snapshot before the first server: %s", plan.name, error)
            return
        self._no_snapshot = ""
        note = {"metadata": {"annotations": {SNAPSHOT: f"{plan.hash} {name}"}}}
        await self._client.patch(PLANS, name_of(obj), note, namespace=NAMESPACE)

    def _tell(self, obj: Object, event: PlanEvent) -> None:
        self._events.emit(obj, event.kind, event.reason, event.message)


def _pause(decisions: Iterable[PlanDecision]) -> float:
    if any(decision.applying for decision in decisions):
        return AT_WORK
    return IDLE if all(decision.standing.complete for decision in decisions) else WAITING
