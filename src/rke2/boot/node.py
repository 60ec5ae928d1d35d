"""Everything the phases of a boot work with, put together before the first of them runs.

All of it follows from configuration and host: no phase leaves a note for another one in here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from rke2.boot.connections import Connections, kubelet_address
from rke2.boot.process import Boot
from rke2.components.kubelet_config import has_credential_provider
from rke2.config.addresses import loopback
from rke2.config.model import NodeConfig
from rke2.content.images.cri import CRI
from rke2.content.images.preload import Preload
from rke2.content.images.pull import pull_into
from rke2.content.images.pull_queue import Pulls
from rke2.content.images.store import ImageStore
from rke2.content.runtime.image import RuntimeContent
from rke2.content.runtime.references import image
from rke2.datastore.remote_members import MemberBalancer
from rke2.etcd.client import EtcdClient
from rke2.host.facts import HostFacts
from rke2.kube.client import Client
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.services import Services
from rke2.loadbalancer.local_api import LocalApiProxy
from rke2.snapshots.drills import Drills
from rke2.snapshots.extra import read_extra
from rke2.snapshots.taking import Snapshots
from rke2.tunnel.claims import Protected
from rke2.tunnel.routing import Dialer, Routes
from rke2.tunnel.server import TunnelServer


@dataclass(frozen=True)
class ServerHalf:
    """What only a server has.

    Args:
        tunnel: the ends of the agents' tunnels.
        routes: which node an address belongs to.
        dialer: makes the connections that the API server asks for.
        etcd: this server's own member, or through a load balancer those of others.
        member: the same, None where this server has no member of its own.
        members_elsewhere: that load balancer, None where this server has a member of its own.
        snapshots: of that member.
        drills: of those snapshots.
    """

    tunnel: TunnelServer
    routes: Routes
    dialer: Dialer
    etcd: EtcdClient
    member: EtcdClient | None
    members_elsewhere: MemberBalancer | None
    snapshots: Snapshots | None
    drills: Drills | None

    @classmethod
    def of(cls, config: NodeConfig) -> ServerHalf:
        tunnel, routes, etcd = TunnelServer(), Routes(Protected.of(config)), EtcdClient.of(config)
        dialer = Dialer(
            routes,
            tunnel,
            config.node.name,
            bind_address=kubelet_address(config),
            loopback=loopback(config),
        )
        if config.component("etcd").disabled:
            return cls(tunnel, routes, dialer, etcd, None, MemberBalancer(config), None, None)
        snapshots = Snapshots(config, etcd, partial(read_extra, config))
        return cls(tunnel, routes, dialer, etcd, etcd, None, snapshots, Drills(snapshots))


@dataclass(frozen=True)
class Node:
    """This node, while it boots and runs.

    Args:
        facts: what the host is.
        content: where the runtime image is, or will be, unpacked.
        cri: the container runtime.
        images: the import of image archives.
        pulls: images that no archive holds.
        connections: the ways to the servers of the cluster.
        local_api: the kubelet's way to the API server of this node, where it has one.
        progress: shown to the operator.
        services: owner of everything that goes on after its phase.
        liveness: asks what is to answer as long as the node runs.
        server_half: None on an agent; see `server`.
        core_ready: set when an API server answers and, on a server, our controllers are up.
    """

    config: NodeConfig
    facts: HostFacts
    content: RuntimeContent
    cri: CRI
    images: Preload
    pulls: Pulls
    connections: Connections
    local_api: LocalApiProxy
    progress: Progress
    services: Services
    liveness: Liveness
    server_half: ServerHalf | None
    core_ready: asyncio.Event

    @classmethod
    def assemble(cls, boot: Boot, connections: Connections | None = None) -> Node:
        """The node that the configuration of `boot` describes on this host.

        Args:
            connections: those that an agent has already when it learns the rest of its configuration.
        """
        config = boot.config
        paths, runtime = config.paths, image(config, "runtime")
        store = ImageStore.of_node(config)
        cri = CRI.of_node(paths)
        registries = [*config.images.airgap_extra_registries, config.images.system_default_registry]
        return cls(
            config=config,
            facts=boot.facts,
            content=RuntimeContent.of(paths, runtime),
            cri=cri,
            images=Preload(
                store,
                paths.images,
                skip=[runtime],
                extra_registries=[registry for registry in registries if registry],
                room=paths.containerd_root,
                pull=cri.pull,
                importing=boot.progress.importing,
            ),
            pulls=Pulls(cri, partial(pull_into, store, config) if has_credential_provider(config) else None),
            connections=connections or Connections(config),
            local_api=LocalApiProxy(local_api_port(config)),
            progress=boot.progress,
            services=boot.services,
            liveness=boot.liveness,
            server_half=ServerHalf.of(config) if config.server else None,
            core_ready=asyncio.Event(),
        )

    @property
    def server(self) -> ServerHalf:
        """The server in this node; only phases of a server ask for it."""
        assert self.server_half is not None, "an agent"
        return self.server_half

    def supervisor(self) -> Client:
        """A client of the API server with the supervisor's credentials (servers only)."""
        return Client(self.config.paths.supervisor_kubeconfig, "rke2", self.config.node.name)

    def controller(self) -> Client:
        """A client of the API server with the credentials of a node's own controllers."""
        return Client(self.config.paths.agent / "rke2controller.kubeconfig", "rke2", self.config.node.name)

    def kubelet(self) -> Client:
        """A client of the API server with the kubelet's credentials."""
        return Client(self.config.paths.kubelet_kubeconfig, "rke2", self.config.node.name)

    def waiting(self, phase: str, reason: str) -> None:
        """Show what a running phase waits for."""
        self.progress.detail(phase, reason)


def local_api_port(config: NodeConfig) -> int:
    """The local API proxy's port on loopback: two below the supervisor load balancer's.

    RKE2 reserves ``lb-server-port`` (6444) and the port below it on agents; on a server with an API server
    that one is the API server's own (6443).
    """
    return config.node.lb_server_port - 2
