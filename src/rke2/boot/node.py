"""Everything the phases of a boot work with, put together before the first of them runs.

All of it follows from configuration and host: no phase leaves a note for another one in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rke2.config.model import NodeConfig
from rke2.content.cri import CRI
from rke2.content.image_store import ImageStore
from rke2.content.preload import Preload
from rke2.content.references import image
from rke2.content.runtime_image import RuntimeContent
from rke2.host.facts import HostFacts
from rke2.kube.client import Client
from rke2.lifecycle.component import Component
from rke2.lifecycle.progress import Progress
from rke2.loadbalancer.gate import Gate


@dataclass(frozen=True)
class Node:
    """This node, while it boots and runs.

    Args:
        facts: what the host is.
        content: where the runtime image is, or will be, unpacked.
        cri: the container runtime.
        images: the import of image archives.
        gate: the kubelet's way to the API server.
        progress: shown to the operator.
        services: owner of everything that goes on after its phase.
        core_ready: set when the API server and our controllers are up.
    """

    config: NodeConfig
    facts: HostFacts
    content: RuntimeContent
    cri: CRI
    images: Preload
    gate: Gate
    progress: Progress
    services: asyncio.TaskGroup
    core_ready: asyncio.Event

    @classmethod
    def assemble(
        cls, config: NodeConfig, facts: HostFacts, progress: Progress, services: asyncio.TaskGroup
    ) -> Node:
        """The node `config` describes on this host."""
        paths, runtime = config.paths, image(config, "runtime")
        store = ImageStore(paths.bin / "ctr", paths.containerd_socket)
        registries = [*config.images.airgap_extra_registries, config.images.system_default_registry]
        return cls(
            config=config,
            facts=facts,
            content=RuntimeContent.of(paths, runtime),
            cri=CRI.of_node(paths),
            images=Preload(
                store,
                paths.images,
                skip=[runtime],
                extra_registries=[registry for registry in registries if registry],
                urgent=[image(config, "pause"), image(config, "etcd")],
            ),
            gate=Gate(gate_port(config)),
            progress=progress,
            services=services,
            core_ready=asyncio.Event(),
        )

    async def spawn(self, component: Component) -> None:
        """Start a component for the rest of the node's life and wait until others may rely on it."""
        self.services.create_task(component.run(), name=component.name)
        await component.ready.wait()

    def at_the_end(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Have `stop` called when the services of the node are ended."""
        self.services.create_task(_when_cancelled(stop), name=name)

    def supervisor(self) -> Client:
        """A client of the local API server with the supervisor's credentials."""
        return Client(self.config.paths.cred / "supervisor.kubeconfig", "rke2", self.config.node.name)

    def waiting(self, phase: str, reason: str) -> None:
        """Show what a running phase waits for."""
        self.progress.detail(phase, reason)


async def _when_cancelled(stop: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await stop()


def gate_port(config: NodeConfig) -> int:
    """The gate's port on loopback: two below the supervisor load balancer's.

    RKE2 reserves ``lb-server-port`` (6444) and the port below it on agents; on a server with an API server
    that one is the API server's own (6443).
    """
    return config.node.lb_server_port - 2
