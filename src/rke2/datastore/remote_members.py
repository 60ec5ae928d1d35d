"""A server without an etcd member reaches those of the others as if one were its own (supervisor reference §7.8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

import aiohttp

from rke2.config.addresses import loopback
from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError
from rke2.etcd.members import voters
from rke2.etcd.messages import Member
from rke2.loadbalancer.balancer import ServerHealth, ServerStatus
from rke2.loadbalancer.server import LoadBalancer
from rke2.metrics.counting import Histogram
from rke2.staticpods.etcd_config import CLIENT_PORT

log = logging.getLogger(__name__)

NAME = "rke2-etcd-server-load-balancer"
REFRESH = 30.0
CHECK = 5.0
"""Seconds between two looks at the member list, and at the supervisors beside the members."""
_PING_TIMEOUT = aiohttp.ClientTimeout(total=1.0)


class MemberBalancer:
    """127.0.0.1:2379, forwarded to the voting members; nothing listens before `start`.

    Attributes:
        name: of the load balancer.
    """

    name = NAME

    def __init__(self, config: NodeConfig) -> None:
        assert config.join is not None, "a server without etcd joins another one"
        self._config, self._url = config, config.join.server_url
        self._health: dict[str, ServerHealth] = {}
        self._balancer: LoadBalancer | None = None
        self._known: list[str] = []

    async def start(self, known: Iterable[Member]) -> None:
        """Listen.

        Args:
            known: the members as the server that was joined lists them.

        Raises:
            HostError: the port is taken.
        """
        self._known = client_addresses(known)
        joined = f"{urlsplit(self._url).hostname or ''}:{CLIENT_PORT}"
        self._balancer = LoadBalancer(
            self.name,
            CLIENT_PORT,
            self._url,
            self._config.paths.server_etc / f"{self.name}.json",
            default=self._known[0] if self._known else joined,
            health=lambda address: self._health.get(address, ServerHealth.UNKNOWN),
            host=loopback(self._config),
        )
        await self._balancer.start()
        self._use(self._known)

    async def answers(self) -> str:
        """As a load balancer answers."""
        return await self._balancer.answers() if self._balancer else "not started"

    async def reopen(self, why: str) -> None:
        if self._balancer:
            await self._balancer.reopen(why)

    async def close(self) -> None:
        if self._balancer:
            await self._balancer.close()

    def snapshot(self) -> tuple[ServerStatus, ...]:
        """The members as they are now; empty before `start`."""
        return self._balancer.snapshot() if self._balancer else ()

    @property
    def dials(self) -> Iterable[Histogram]:
        """How long it took to reach a member; see `LoadBalancer`."""
        return [self._balancer.dials] if self._balancer else []

    def _use(self, addresses: list[str]) -> None:
        if addresses and self._balancer:
            self._known = addresses
            self._balancer.set_servers(addresses)

    async def follow(self, etcd: MemberRequests) -> None:
        """Keep the list and what is known of each server, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._refresh(etcd))
            tasks.create_task(self._check())
            if self._balancer:
                tasks.create_task(self._balancer.watch_health())

    async def _refresh(self, etcd: MemberRequests) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            try:
                addresses = client_addresses(await etcd.members())
            except EtcdError as error:
                log.warning("etcd's member list: %s", error)
                continue
            self._use(addresses)

    async def _check(self) -> None:
        async with aiohttp.ClientSession(timeout=_PING_TIMEOUT) as http:
            while True:
                known = list(self._known)
                answers = await asyncio.gather(*(_ping(http, address) for address in known))
                self._health = dict(zip(known, answers, strict=True))
                await asyncio.sleep(CHECK)


def client_addresses(members: Iterable[Member]) -> list[str]:
    """``host:port`` at which the voters serve clients."""
    return [urlsplit(url).netloc for member in voters(members) for url in member.client_urls]


async def _ping(http: aiohttp.ClientSession, address: str) -> ServerHealth:
    """Whether the supervisor beside the member answers. It is not verified: only its being there is asked for."""
    host = address.rpartition(":")[0]
    try:
        async with http.get(f"https://{host}:{SUPERVISOR_PORT}/ping", ssl=False) as answer:
            return ServerHealth.OK if answer.status == 200 else ServerHealth.FAILED
    except (aiohttp.ClientError, OSError):
        return ServerHealth.FAILED
