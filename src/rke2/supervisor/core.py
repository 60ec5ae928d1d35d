"""What the supervisor knows from the Kubernetes API: nodes, node passwords, apiservers, bootstrap tokens.

Until there is an API, or on a server that never has one, the slot for it is empty.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from rke2.config.model import NodeConfig
from rke2.join.bootstrap_tokens import identity_of
from rke2.join.node_password import SECRET_TYPE
from rke2.kube import apiservers
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change, Informer
from rke2.kube.nodes import is_server
from rke2.kube.objects import Key, Object
from rke2.kube.resources import NODES, SECRETS
from rke2.supervisor.authentication import Identity
from rke2.supervisor.node_addresses import NodeAddresses, addresses_of

NAMESPACE = "kube-system"
_TOKEN_LOOKUPS = 4


class Core:
    """Caches over the Kubernetes API; `synced` once they are complete.

    Args:
        client: may read nodes, endpoint slices and the Secrets of kube-system, and write Secrets and Events.

    Attributes:
        nodes: all Nodes; others may listen, too.
        passwords: the Secrets of node passwords; likewise.
        addresses: which of the Nodes has which address.
    """

    def __init__(self, client: Client, config: NodeConfig) -> None:
        self.client = client
        self.events = EventRecorder(client, "rke2-supervisor", config.node.name)
        self.reencryption = EventRecorder(client, "secrets-reencrypt", config.node.name)
        self.nodes = Informer(client, NODES)
        self.passwords = Informer(client, SECRETS, namespace=NAMESPACE, field_selector=f"type={SECRET_TYPE}")
        self._endpoints = apiservers.endpoints(client)
        self.addresses = NodeAddresses(self.nodes)
        self._server_addresses: set[str] = set()
        # Anybody may have tokens looked up: whoever guesses must not keep the API server busy.
        self._token_lookups = asyncio.Semaphore(_TOKEN_LOOKUPS)
        self.nodes.listen(self._remember_server)

    async def run(self) -> None:
        """Keep the caches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in (self.nodes, self.passwords, self._endpoints):
                tasks.create_task(informer.run())
            tasks.create_task(self.events.run())
            tasks.create_task(self.reencryption.run())

    async def synced(self) -> None:
        """Wait until all caches are complete."""
        for informer in (self.nodes, self.passwords, self._endpoints):
            await informer.synced()

    def node(self, name: str) -> Object | None:
        return self.nodes.objects.get(Key("", name))

    def node_reference(self, name: str) -> Object:
        """What an event about the Node `name` refers to, also while there is none."""
        return self.node(name) or {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "uid": name},
        }

    def node_password(self, secret: str) -> Object | None:
        """The cached Secret named `secret`."""
        return self.passwords.objects.get(Key(NAMESPACE, secret))

    def is_server_address(self, name: str) -> bool:
        """Whether a Node with a server's role has had this address since the process started."""
        return name in self._server_addresses

    def apiservers(self) -> list[str]:
        """``ip:port`` of every ready API server."""
        return apiservers.ready_addresses(self._endpoints.objects.values())

    async def bootstrap_identity(self, token_id: str, secret: str) -> Identity | None:
        """Whom a bootstrap token authenticates, None if there is no such token.

        Raises:
            KubeError: the API cannot be asked.
        """
        async with self._token_lookups:
            # Asked for each time, no cache: a token that was deleted lets nobody in from then on.
            found = await self.client.find(SECRETS, f"bootstrap-token-{token_id}", NAMESPACE)
        known = identity_of(found, f"{token_id}.{secret}", datetime.now(UTC)) if found else None
        return Identity.of(*known) if known else None

    def _remember_server(self, change: Change) -> None:
        # Of a Node that is gone, too: as in RKE2 no address is taken
        # away before a restart (controllers reference §6.6).
        node = change.latest
        if is_server(node):
            self._server_addresses |= addresses_of(node)


class CoreSlot:
    """Where the core is put once it is ready."""

    def __init__(self) -> None:
        self._core: Core | None = None
        self._published = asyncio.Event()

    @property
    def current(self) -> Core | None:
        """The core, None until it is published."""
        return self._core

    def publish(self, core: Core) -> None:
        """From now on requests are answered with `core`, whose caches are complete."""
        self._core = core
        self._published.set()

    def withdraw(self) -> None:
        """From now on there is no core, until another one is published."""
        self._core = None
        self._published.clear()

    async def wait(self) -> Core:
        """The core, once it is there."""
        await self._published.wait()
        assert self._core is not None
        return self._core
