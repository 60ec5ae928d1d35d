"""Raising etcd member by member, and the way back: each step looks at the cluster first, so that it can be begun again.

Which members are still to be exchanged follows from what they say of themselves. Nothing is kept by this program: who
ends it in the middle runs the same command again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from rke2.errors import EtcdError, JoinError
from rke2.etcd import messages
from rke2.etcd.minor import EtcdMinor
from rke2.snapshots.request import SAVE, SnapshotRequest, parse_answer
from rke2.upgrade.finish.state import ClusterState, EtcdServers, ServerState

MEMBER_SECONDS = 600.0
"""For one member to come up with the other program and vote; pods that are replaced may take minutes."""
SETTLED_SECONDS = 180.0
"""For the others to be well before the next one is exchanged."""
STORAGE_SECONDS = 60.0
"""For the data of all members to follow; etcd looks every five seconds."""
SNAPSHOT_SECONDS = 600.0
POLL = 1.0

SNAPSHOT_BASE = "before-etcd"


def remaining(state: ClusterState, wanted: EtcdMinor) -> list[ServerState]:
    """The servers whose etcd is not yet `wanted`; the leader last: each change of leaders costs a moment."""
    others = (server for server in state.servers if server.minor != wanted)
    return sorted(others, key=lambda server: (server.leads, server.node))


def target(state: ClusterState) -> EtcdMinor | None:
    """The minor version that all servers' releases bring; None while they differ or do not say."""
    minors = {EtcdMinor.of_image(server.choice.brought) for server in state.servers if server.choice}
    return minors.pop() if len(minors) == 1 else None


def lowest_former(state: ClusterState) -> EtcdMinor | None:
    """The minor version that every server can go back to; None if one of them has none."""
    formers = {
        server.minor if server.choice and server.choice.held else _former(server) for server in state.servers
    }
    return formers.pop() if len(formers) == 1 else None


def _former(server: ServerState) -> EtcdMinor | None:
    return EtcdMinor.parse(server.choice.former) if server.choice and server.choice.former else None


@dataclass
class Finish:
    """One run.

    Args:
        say: tells the operator of each step.
    """

    servers: EtcdServers
    say: Callable[[str], None]
    poll: float = POLL

    async def save(self, before: EtcdMinor) -> str:
        """Take a snapshot of what is, whatever others there are; returns its name.

        Raises:
            JoinError, EtcdError: there is none afterwards.
        """
        request = SnapshotRequest(SAVE, [f"{SNAPSHOT_BASE}-{before}"], retention=0)
        answer = parse_answer(await self.servers.snapshot(request.encode(), SNAPSHOT_SECONDS))
        if not answer.created:
            raise EtcdError("no snapshot was taken: " + ("; ".join(answer.errors) or "no reason given"))
        return answer.created[0]

    async def exchange(self, wanted: EtcdMinor) -> None:
        """Have every member run `wanted`, one by one, each only while all are well.

        Raises:
            EtcdError, JoinError: one does not; those that follow were not touched.
        """
        while left := remaining(await self._well(), wanted):
            server = left[0]
            self.say(f"{server.node}: etcd {server.status.version if server.status else '?'} → {wanted}")
            await self.servers.go_on_with(server, wanted)
            await self._until(
                partial(_not_yet, server.node, wanted),
                MEMBER_SECONDS,
                f"the member on {server.node} does not run etcd {wanted}",
            )
            self.say(f"{server.node}: done")

    async def follow_storage(self, wanted: EtcdMinor) -> None:
        """Wait until the data of every member are of `wanted`.

        Raises:
            EtcdError: they are not in time.
        """
        await self._until(
            lambda state: (
                f"{server.node} has data of etcd {server.storage}"
                for server in state.servers
                if server.storage != wanted
            ),
            STORAGE_SECONDS,
            f"the data are not of etcd {wanted} on every member",
        )

    async def lower_storage(self, former: EtcdMinor) -> None:
        """Have the running members write their data for `former`.

        Raises:
            EtcdError: etcd refuses, or a member does not follow; then its downgrade is called off again.
        """
        state = await self._well()
        # Asked twice it refuses; and it says success with a member missing, when nothing moves.
        if all(server.storage == former for server in state.servers):
            return
        async with self.servers.client() as client:
            await client.downgrade(messages.DOWNGRADE_ENABLE, str(former))
            try:
                await self.follow_storage(former)
            except EtcdError:
                await client.downgrade(messages.DOWNGRADE_CANCEL)
                raise

    async def _well(self) -> ClusterState:
        """The cluster, when nothing is in the way of the next step."""
        return await self._until(ClusterState.troubles, SETTLED_SECONDS, "the next member is not touched")

    async def _until(
        self, missing: Callable[[ClusterState], Iterable[str]], seconds: float, failed: str
    ) -> ClusterState:
        """The first look with nothing missing; a server that starts again answers nobody for a while."""
        words: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        state = await self.servers.look()
                        words = list(missing(state))
                    except (EtcdError, JoinError) as error:
                        words = [error.message]
                    else:
                        if not words:
                            return state
                    await asyncio.sleep(self.poll)
        except TimeoutError:
            raise EtcdError(
                f"{failed} after {seconds:.0f} s: {'; '.join(words) or 'etcd does not answer'}",
                "see to that, and run the same command again: it goes on where it was",
            ) from None


def _not_yet(node: str, wanted: EtcdMinor, state: ClusterState) -> list[str]:
    server = next((each for each in state.servers if each.node == node), None)
    if server is None:
        return [f"{node} has no member any more"]
    found = list(server.troubles())
    if not found and server.minor != wanted:
        found.append(f"{server.node} runs etcd {server.minor}")
    return found
