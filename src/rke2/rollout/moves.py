"""Nodes whose pods are being moved away: one task each, known to this process alone.

The next leader begins again, and finds less to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from rke2.errors import KubeError
from rke2.host.tasks import Tasks
from rke2.kube.client import Client
from rke2.kube.resources import NODES
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.rollout.decide import Deed
from rke2.rollout.deeds import patch_of
from rke2.rollout.drain import DrainError, drain
from rke2.rollout.facts import RolloutNode, Turn, turn_of
from rke2.rollout.plan import DEADLINE, ClusterPlan

log = logging.getLogger(__name__)

REMEMBERED = 900.0
"""Seconds after which a node that could not be drained is tried again (upstream removes its job, and makes another)."""


class Moves:
    """Cordons and drains.

    Args:
        changed: called when one has ended; must not block.
    """

    def __init__(self, client: Client, changed: Callable[[], None], clock: Clock = CLOCK) -> None:
        self._client, self._changed, self._clock = client, changed, clock
        self._tasks = Tasks("cordon and drain")
        self._moving: set[Turn] = set()
        self._drained: set[Turn] = set()
        self._stuck: dict[Turn, tuple[float, str]] = {}

    @property
    def drained(self) -> frozenset[Turn]:
        """Nodes without pods that would have to go."""
        return frozenset(self._drained)

    @property
    def stuck(self) -> Mapping[Turn, str]:
        """Nodes whose pods would not go, and why."""
        now = self._clock.now()
        self._stuck = {turn: each for turn, each in self._stuck.items() if each[0] > now}
        return {turn: why for turn, (_, why) in self._stuck.items()}

    def begin(self, plan: ClusterPlan, node: RolloutNode) -> None:
        """Have `node` cordoned, and drained if `plan` says so; nothing if that goes on already."""
        turn = turn_of(plan, node)
        if turn not in self._moving:
            log.info("plan %s: node %s: %s", plan.name, node.name, Deed.MAKE_WAY.value)
            self._moving.add(turn)
            self._tasks.begin(self._move(turn, plan, node))

    def forget(self, plan: ClusterPlan, node: RolloutNode) -> None:
        """`node` is done: the next time its pods are others."""
        self._drained.discard(turn_of(plan, node))

    async def end(self) -> None:
        """Stop all of it."""
        await self._tasks.end()

    async def _move(self, turn: Turn, plan: ClusterPlan, node: RolloutNode) -> None:
        limit = plan.spec.deadline or DEADLINE
        try:
            await self._client.patch(NODES, node.name, patch_of(Deed.MAKE_WAY, plan, node, ""))
            if plan.spec.drain:
                await drain(
                    self._client, node.name, plan.spec.drain, limit.total_seconds(), clock=self._clock
                )
            self._drained.add(turn)
        except DrainError as error:
            self._stuck[turn] = self._clock.now() + REMEMBERED, error.message
        except KubeError as error:
            # An API server that is away is no reason to stop the Plan: the next look begins again.
            if error.status:
                self._stuck[turn] = self._clock.now() + REMEMBERED, error.message
        finally:
            self._moving.discard(turn)
            self._changed()
