"""What a server with a member does for its cluster all the time: one look at the member list each second.

Learners are promoted, the list is remembered for a bad day, etcd's timing follows the size of the cluster, and a member
that was removed elsewhere is marked to join again. Nothing that etcd answers or does not answer ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rke2.config.model import NodeConfig
from rke2.errors import EtcdError
from rke2.etcd import member_files, timing
from rke2.etcd.client import EtcdClient
from rke2.etcd.learners import promote_learners
from rke2.etcd.membership import Self
from rke2.etcd.messages import Member
from rke2.etcd.removal import mark_if_removed

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks. RKE2 looks every 15; whoever joins waits for it, and so do those behind in the queue."""

FAILURES = 10
"""After so many looks without an answer the other members are asked whether we are out, and again after as many."""


@dataclass
class Upkeep:
    """The loop; `client` asks the member at `local` first, which must be this server's own.

    Args:
        connect: makes a client of other members.
    """

    config: NodeConfig
    own: Self
    client: EtcdClient
    connect: Callable[[Sequence[str]], EtcdClient]
    local: str
    _seen: tuple[Member, ...] = ()
    _failures: int = 0
    _said: str = ""

    async def run(self, interval: float = INTERVAL) -> None:
        """Look until cancelled, or until the member is found to be removed."""
        while True:
            try:
                await self.look()
                self._failures, self._said = 0, ""
            except (EtcdError, OSError) as error:
                self._say(error)
                self._failures += 1
            if self._failures and self._failures % FAILURES == 0 and await self._removed():
                return
            await asyncio.sleep(interval)

    async def look(self) -> None:
        """Look once.

        Raises:
            EtcdError: etcd does not answer.
            OSError: a file cannot be written.
        """
        # As the member itself knows them: agreed by a majority, each
        # server's question would cost all members a round each second.
        members = await self.client.members(linearizable=False)
        if members != self._seen and any(each.name == self.own.name for each in members):
            await asyncio.to_thread(self._note, members)
        await promote_learners(self.client, self.local, members)

    def _note(self, members: tuple[Member, ...]) -> None:
        member_files.remember_members(self.config.paths, members)
        timing.settle(self.config, members)
        # Last: what could not be written is tried again at the next look.
        self._seen = members

    async def _removed(self) -> bool:
        try:
            removed = await mark_if_removed(self.config.paths, self.own, self.connect)
        except OSError as error:
            # Not the end of the loop: without the tombstone the next
            # start would not join again, so it is tried once more later.
            self._say(error)
            return False
        if removed:
            log.error("etcd: this server was removed from the cluster; restart rke2 to join it again")
        return removed

    def _say(self, error: EtcdError | OSError) -> None:
        if str(error) != self._said:
            log.warning("etcd: members cannot be looked after: %s", error)
        self._said = str(error)
