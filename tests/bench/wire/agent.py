"""One agent without host, containers and kubelet; what it says to its server is what `rke2 agent` says."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from rke2.boot.connections import client_context
from rke2.boot.membership import RETRY
from rke2.config.build import build_config
from rke2.config.commandline import parse
from rke2.config.model import NodeConfig
from rke2.errors import JoinError
from rke2.host.identity import HostIdentity
from rke2.join.client import Supervisor, connect
from rke2.join.cluster_config.adopt import with_cluster_settings
from rke2.join.passwd import NODE_USER
from rke2.join.remote_signer import RemoteSigner
from rke2.kube.backoff import Backoff
from rke2.pki.agent import ensure_agent_pki
from rke2.tunnel.authorizer import Authorizer
from rke2.tunnel.client import TunnelAgent


class SimulatedAgent:
    """An agent of the server at `url`.

    Args:
        name: of its node.
        address: of its node, as told to the server; nobody has to have it.
        directory: where it keeps its certificates.
        refusals: counts its failed attempts to join, by status.
    """

    def __init__(
        self, name: str, address: str, url: str, token: str, directory: Path, refusals: Counter[int]
    ) -> None:
        host = HostIdentity(name, {4: ip_address(address)})
        words = ["--config=", f"--server={url}", f"--token={token}", f"--data-dir={directory}"]
        self._config = build_config("agent", parse("agent", words), {}, host)
        self._password = secrets.token_hex(16)
        self._url, self._token = url, token
        self._refusals = refusals
        self._server = url.removeprefix("https://")
        self.joined = self.connected = False
        self.lost = 0
        """How often its tunnel was."""

    async def run(self) -> None:
        """Join, however often it takes, then hold the tunnel until cancelled."""
        pause = Backoff(0.5, RETRY)
        while not self.joined:
            try:
                await self._join()
            except JoinError as error:
                self._refusals[error.status] += 1
                await pause.sleep()
        authorizer = Authorizer(self._config.network.egress_selector_mode)
        tunnel = TunnelAgent(partial(client_context, self._config), authorizer, self._note)
        tunnel.set_servers([self._server])
        await tunnel.run()

    async def ask_config(self) -> float:
        """Seconds that a request for the cluster's settings takes, with a connection of its own as all have."""
        supervisor = await self._connect()
        started = time.perf_counter()
        await supervisor.config()
        return time.perf_counter() - started

    async def _join(self) -> None:
        """The requests of `rke2.boot.membership`, in their order."""
        supervisor = await self._connect()
        config = await self._settings(supervisor)
        await ensure_agent_pki(config, RemoteSigner(supervisor, config.node, self._password))
        self._config, self.joined = config, True

    async def _connect(self) -> Supervisor:
        return await connect(
            self._url, self._token, NODE_USER, identity=self._config.paths.agent / "client-kubelet"
        )

    async def _settings(self, supervisor: Supervisor) -> NodeConfig:
        answer = await supervisor.config()
        return await asyncio.to_thread(with_cluster_settings, self._config, answer)

    def _note(self, server: str, connected: bool) -> None:
        self.lost += self.connected and not connected
        self.connected = connected
