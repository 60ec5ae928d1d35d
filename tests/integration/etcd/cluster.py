"""Real etcd members with the certificates and configuration of servers, each on a loopback address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import yaml

from rke2.config.model import NodeConfig
from rke2.etcd import timing
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self, join
from rke2.etcd.messages import Member
from rke2.etcd.readiness import member_problem
from rke2.etcd.upkeep import Upkeep
from rke2.join.credentials import ensure_etcd_name
from rke2.pki.server_pki import ensure_server_pki
from rke2.staticpods import etcd_config
from rke2.staticpods.etcd_config import EtcdTiming, InitialOptions
from tests.binaries import binary
from tests.configs import paths_under, server_config

LIMIT = 90.0
"""Seconds for what should take a few; the machine may be busy."""


async def eventually(condition: Callable[[], object], interval: float = 0.1) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(interval)


@dataclass
class Server:
    """A host with an etcd that can be started, killed and wiped."""

    config: NodeConfig
    endpoint: str
    process: subprocess.Popen[bytes] | None = None
    said: list[str] = field(default_factory=list)
    program: Path | None = None
    """Another etcd than the one that is tested with."""

    @property
    def own(self) -> Self:
        return Self.of(self.config, ensure_etcd_name(self.config))

    def connect(self, endpoints: Sequence[str] = ()) -> EtcdClient:
        return EtcdClient.of(self.config, endpoints or (self.endpoint,))

    @property
    def log(self) -> Path:
        return self.config.paths.data_dir / "etcd.log"

    def timings(self) -> list[tuple[str, str]]:
        """Heartbeat interval and election timeout of each start of the process."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [
            (line["heartbeat-interval"], line["election-timeout"])
            for line in lines
            if line["msg"] == "starting an etcd server"
        ]

    def start(self, options: InitialOptions, with_timing: EtcdTiming | None = None) -> None:
        chosen = with_timing or timing.initial(self.config, options)
        content = etcd_config.document(self.config, self.own.name, options, timing=chosen)
        # Not on 127.0.0.1, where the members would share a port.
        content |= {
            "listen-client-urls": self.endpoint,
            "listen-peer-urls": self.own.peer_url,
            "listen-client-http-urls": self.endpoint.replace("2379", "2382"),
            "listen-metrics-urls": self.endpoint.replace("https", "http").replace("2379", "2381"),
            "unsafe-no-fsync": True,
        }
        etcd_config.write(self.config, content)
        self.restart()

    def restart(self) -> None:
        file = self.config.paths.etcd / "config"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", self.program or binary("etcd"), f"--config-file={file}"],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(20)

    def wipe(self) -> None:
        """Lose the disk."""
        shutil.rmtree(self.config.paths.etcd)

    async def join(self, via: Server) -> None:
        """Do what a joining server does, up to a healthy voter."""

        async def discover() -> Sequence[Member]:
            async with via.connect() as client:
                return await client.members()

        async with asyncio.timeout(LIMIT):
            options = await join(self.config, self.own, discover, say=self.said.append)
        self.start(options)
        await self.ready()

    async def ready(self) -> None:
        problem = "not asked"
        try:
            async with asyncio.timeout(LIMIT), self.connect() as client:
                while problem := await member_problem(client, self.endpoint, self.own, maintenance=True):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            tail = self.log.read_text().splitlines()[-5:]
            raise AssertionError(f"{self.own.name}: {problem}\n" + "\n".join(tail)) from None

    @contextlib.asynccontextmanager
    async def looked_after(self, client: EtcdClient | None = None) -> AsyncIterator[Upkeep]:
        """This server's upkeep, running."""
        async with client or self.connect() as own_client:
            upkeep = Upkeep(self.config, self.own, own_client, self.connect, self.endpoint)
            task = asyncio.create_task(upkeep.run(interval=0.2))
            try:
                yield upkeep
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


class Network:
    """Makes servers that trust each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []
        self.program: Path | None = None
        """etcd of servers that are made from now on; None for the one that is tested with."""

    def server(self, name: str, *, address: str = "") -> Server:
        number = len(self.servers) + 1
        address = address or f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}.{number}"
        root = self.folder / f"host-{number}"
        config = server_config(paths_under(root), node={"name": name, "ips": (ip_address(address),)})
        if self.servers:
            shutil.copytree(self.servers[0].config.paths.tls, config.paths.tls)
        ensure_server_pki(config)
        server = Server(config, f"https://{address}:2379", program=self.program)
        self.servers.append(server)
        return server

    async def alone(self, name: str = "first") -> Server:
        """A cluster of one."""
        server = self.server(name)
        server.start(etcd_config.single_member(server.config, server.own.name))
        await server.ready()
        return server

    async def three(self) -> tuple[Server, Server, Server]:
        """A cluster of three voters, started together."""
        first, second, third = servers = [self.server(name) for name in ("first", "second", "third")]
        cluster = ",".join(f"{each.own.name}={each.own.peer_url}" for each in servers)
        for each in servers:
            each.start(InitialOptions(each.own.peer_url, cluster), etcd_config.ALONE)
        for each in servers:
            await each.ready()
        return first, second, third

    def close(self) -> None:
        for server in self.servers:
            server.kill()


def settings(server: Server) -> dict[str, object]:
    """The member's configuration file."""
    content = yaml.safe_load((server.config.paths.etcd / "config").read_text())
    assert isinstance(content, dict)
    return content
