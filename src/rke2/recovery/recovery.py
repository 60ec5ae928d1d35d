"""A server's part in restores of its cluster, while it runs: what it answers, and the word to start again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import ConfigError, EtcdError
from rke2.etcd.client import EtcdClient, local_endpoint
from rke2.recovery import decide, state
from rke2.recovery.history import read_history
from rke2.recovery.state import Rejoin, Restore
from rke2.recovery.wire import Answer

log = logging.getLogger(__name__)

SECONDS = 3.0
"""In which the own member says what it is; without one, the answer has the rest."""


class RecoveryRefusedError(ConfigError):
    """This server does not do what it was asked for; the message says why."""


class Recovery:
    """What a running server does for a restore.

    Args:
        etcd: client of the own member.
        stop: ends the control plane's pods on this server, so that nothing here goes on with the data.

    Attributes:
        wanted: set with the reason when the process has to start again, in another part.
    """

    def __init__(self, config: NodeConfig, etcd: EtcdClient, stop: Callable[[], Awaitable[None]]) -> None:
        self._config, self._etcd, self._stop = config, etcd, stop
        self._changing = asyncio.Lock()
        self.wanted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def paths(self) -> Paths:
        return self._config.paths

    async def answer(self) -> Answer:
        """What this server knows of its cluster and of restores."""
        leads, rejoins = await asyncio.to_thread(self._files)
        try:
            async with asyncio.timeout(SECONDS):
                status = await self._etcd.status(local_endpoint(self._config), timeout=SECONDS)
                members = await self._etcd.members(linearizable=False)
                restores = await read_history(self._etcd)
        except (EtcdError, TimeoutError):
            return Answer(self._config.node.name, leads=leads, rejoins=rejoins)
        header = status.header
        return Answer(
            self._config.node.name,
            f"{header.cluster_id:x}" if header else "",
            f"{status.member_id:x}",
            header.revision if header else 0,
            tuple(f"{each.id:x}" for each in members),
            restores,
            leads,
            rejoins,
        )

    def _files(self) -> tuple[Restore | None, Rejoin | None]:
        return state.read_restore(self.paths), state.read_rejoin(self.paths)

    async def begin(self, restore: Restore) -> None:
        """Lead `restore`: the process starts again to do so.

        Raises:
            RecoveryRefusedError: this server leads one already, or has to join one.
            OSError: its state cannot be kept.
        """
        async with self._changing:
            leads, rejoins = await asyncio.to_thread(self._files)
            if leads and not leads.over:
                raise RecoveryRefusedError(f"a restore is going on: {leads.command}", "wait for its end")
            if rejoins:
                raise RecoveryRefusedError(
                    f"this server has to join the restored cluster at {rejoins.leader} first",
                    "run the restore there, or wait",
                )
            await asyncio.to_thread(state.write_restore, self.paths, restore)
        self._start_again(f"{restore.command} begins")

    async def leave(self, rejoin: Rejoin) -> None:
        """Stop for a restore that another server leads; returns when nothing here goes on with the old data.

        Raises:
            RecoveryRefusedError: this server is of another cluster, or leads a restore itself.
            OSError: the word cannot be kept; nothing was stopped.
        """
        async with self._changing:
            own, leads = (
                await asyncio.to_thread(state.read_identity, self.paths),
                state.read_restore(self.paths),
            )
            if reason := decide.refusal(own, rejoin, leads):
                raise RecoveryRefusedError(reason)
            # First the word, then the deed: who is killed in between stops at the next start.
            await asyncio.to_thread(state.write_rejoin, self.paths, rejoin)
            log.warning("The cluster is being restored by %s: the control plane here stops", rejoin.leader)
            await self._stop()
        self._start_again(f"the cluster is being restored by {rejoin.leader}")

    def _start_again(self, why: str) -> None:
        if not self.wanted.done():
            self.wanted.set_result(why)
