"""Certificates of a running node: renewed when two thirds of their life are over, without a restart of anything.

::

    every minute, by the clock on the wall ──▶ first leaf due? ──▶ issued again, with its key, into its file
                                                                     │
      read again by themselves: kubelet, API server, etcd, controller-manager, scheduler, kube-proxy
      look at the files themselves: clients of this process, tunnels, the admin's kubeconfig (written here)

What each program reads again, and how soon, is in docs/certificates.md. The certificate of port 9345 renews itself
(`rke2.supervisor.growth`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rke2.boot import membership
from rke2.boot.node import Node
from rke2.config.model import NodeConfig
from rke2.errors import PKIError, RKE2Error
from rke2.join.credentials import ensure_node_password
from rke2.join.remote_signer import RemoteSigner
from rke2.kube.backoff import Backoff
from rke2.lifecycle.service import Up
from rke2.pki.agent import LocalSigner, Signer, renew_agent_leaves
from rke2.pki.inventory import agent_files, server_files
from rke2.pki.kubeconfigs import ensure_admin_kubeconfig
from rke2.pki.lifetime import leaf_lifetime, renew_before
from rke2.pki.pem import read_certificates
from rke2.pki.report import PKIReport
from rke2.pki.server_pki import renew_server_leaves

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""The clock may be set, and a machine may have slept: nobody waits for a moment that is months away."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
"""Seconds between attempts of a renewal that fails."""

NAME = "certificates"


class Renewal:
    """Keeps the leaves of this node young.

    Args:
        signer: of the agent's leaves.
        trouble: gets why a renewal fails, under the component `NAME`, and an empty text when it has succeeded.
    """

    name = NAME

    def __init__(
        self,
        config: NodeConfig,
        signer: Callable[[], Awaitable[Signer]],
        trouble: Callable[[str, str], None] = lambda component, reason: None,
    ) -> None:
        self._config, self._signer, self._trouble = config, signer, trouble
        self._lifetime = leaf_lifetime()

    async def run(self, up: Up) -> None:
        """Renew until cancelled; a renewal that fails is tried again, and told of."""
        up()
        pauses = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                await self.renew_if_due()
            except (RKE2Error, OSError) as error:
                # Told, not raised: a third of a life is left to get it right.
                self._trouble(NAME, f"they cannot be renewed: {error}")
                await pauses.sleep()
            else:
                self._trouble(NAME, "")
                pauses.reset()
                await asyncio.sleep(self._pause() * random.uniform(0.5, 1.0))

    def _pause(self) -> float:
        """Seconds; spread, for agents that joined together are due together."""
        return min(LOOK_SECONDS, self._lifetime.total_seconds() / 30)

    async def renew_if_due(self) -> None:
        """Renew all leaves of this node if one of them is due.

        Raises:
            RKE2Error, OSError: it cannot be done now.
        """
        before = renew_before(self._lifetime)
        if not await asyncio.to_thread(_due, self._config, before):
            return
        done = [await renew_agent_leaves(self._config, await self._signer(), before)]
        if self._config.server:
            done.append(await asyncio.to_thread(_server_side, self._config, before))
        renewed = [path for report in done for path in report.renewed]
        log.info("certificates: %d renewed while the node runs", len(renewed))
        # As long as those live that the signer makes: a server may give agents others than their own setting says.
        self._lifetime = min(map(_left, renewed), default=self._lifetime)


def _due(config: NodeConfig, before: timedelta) -> bool:
    return any(_left(file) < before for file in _leaves(config) if file.exists())


def _leaves(config: NodeConfig) -> Iterable[Path]:
    files = agent_files(config.paths)
    if config.server:
        files += server_files(config.paths, etcd=not config.component("etcd").disabled)
    return (file.path for file in files if not file.authority)


def _left(file: Path) -> timedelta:
    found = read_certificates(file)
    if found is None:
        raise PKIError(f"{file} is empty", "delete it, and start rke2 again")
    return found.first.not_valid_after_utc - datetime.now(UTC)


def _server_side(config: NodeConfig, before: timedelta) -> PKIReport:
    report = renew_server_leaves(config, before)
    ensure_admin_kubeconfig(config)
    return report


def of_node(node: Node) -> Renewal:
    """The renewal of a node: a server signs for itself, an agent asks a server."""
    return Renewal(node.config, lambda: _signer(node), node.progress.trouble)


async def _signer(node: Node) -> Signer:
    if node.config.server:
        return LocalSigner(node.config)
    password = await asyncio.to_thread(ensure_node_password, node.config.paths)
    return RemoteSigner(await membership.supervisor(node), node.config.node, password)
