"""An agent's boot, from an empty host to READY: `phases` is its table of contents.

An agent learns the cluster's half of its configuration from a server. What needs only the host's half begins at
once; the rest is done for the node as it is after joining.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from rke2.boot import cluster, content, control_plane, host, membership, runtime, servers
from rke2.boot.node import Node
from rke2.boot.process import Boot, run_node
from rke2.config.model import NodeConfig
from rke2.lifecycle.phases import Phase

Step = Callable[[Node], Awaitable[None]]


class Agent:
    """The two states of an agent: as its operator describes it, and as a member of a cluster."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._alone = Node.assemble(boot)
        self._joined: asyncio.Future[Node] = asyncio.get_running_loop().create_future()

    async def join(self) -> None:
        """Become a member."""
        config = await membership.join_as_agent(self._alone)
        boot = replace(self._boot, config=config)
        # The same connections: they listen already, and were used to join.
        self._joined.set_result(Node.assemble(boot, self._alone.connections))

    def before(self, step: Step) -> Callable[[], Awaitable[None]]:
        """`step`, which needs no cluster."""
        return lambda: step(self._alone)

    def as_member(self, step: Step) -> Callable[[], Awaitable[None]]:
        """`step`, which comes after `join`."""

        async def run() -> None:
            await step(await self._joined)

        return run


def phases(boot: Boot) -> list[Phase]:
    """Every phase of an agent's boot: name, what must be done first, what takes its time, how it is done."""
    agent = Agent(boot)
    before, member = agent.before, agent.as_member
    return [
        Phase("host", (), "free ports, kernel modules", before(host.prepare)),
        Phase("content", ("host",), "the runtime image to be unpacked", before(content.runtime_image)),
        Phase("cluster", ("host",), "a server that takes this node in", agent.join),
        Phase("servers", ("cluster",), "the list of servers", member(servers.follow)),
        Phase("containerd", ("content", "cluster"), "its CRI to answer", member(runtime.containerd)),
        Phase("images", ("containerd",), "image archives to be imported", member(content.images)),
        # The cluster gives a new node its pods at once; the kubelet would back off from images still to be imported.
        Phase("kubelet", ("images",), "the kubelet to be spawned", member(control_plane.agents_kubelet)),
        Phase("kube-proxy", ("kubelet",), "an API server", member(control_plane.agents_proxy)),
        Phase("node", ("kubelet",), "the node to register", member(cluster.agents_node)),
    ]


def run_agent(config: NodeConfig) -> int:
    """Run an agent until it is told to stop; see `run_node`."""
    return run_node("agent", config, phases)
