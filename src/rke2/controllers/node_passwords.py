"""Node-password Secrets live and die with their Nodes (controllers reference §5); work of the leader of ``rke2``.

A Secret belongs to its Node by an owner reference: the garbage collector removes it after the Node. Secrets of nodes
that asked for certificates and never registered are swept. Without a leader Secrets only stay longer; a node that
was deleted and comes back with another password is refused until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from rke2.controllers import finalizers
from rke2.errors import KubeError
from rke2.join.node_password import SECRET_NAMESPACE, SECRET_SUFFIX, SECRET_TYPE
from rke2.kube.client import Client
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Key, Object, metadata, name_of
from rke2.kube.persistence import Outage, persist
from rke2.kube.resources import NODES, SECRETS
from rke2.kube.workqueue import WorkQueue

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
GRACE = timedelta(minutes=10)
"""Time between a node's request for certificates and its registration, at most."""


class NodePasswordController:
    """One term of leadership.

    Args:
        client: may write Secrets and Nodes.
    """

    def __init__(self, client: Client) -> None:
        self._client = client.named("node-password")
        self._nodes = Informer(self._client, NODES, metadata_only=True)
        self._secrets = Informer(
            self._client,
            SECRETS,
            namespace=SECRET_NAMESPACE,
            field_selector=f"type={SECRET_TYPE}",
            metadata_only=True,
        )
        self._queue = WorkQueue("node password of", self._reconcile)

    async def run(self) -> None:
        """Work until cancelled; an outage of the API is waited for."""
        self._nodes.listen(lambda change: self._queue.add(change.key))
        self._secrets.listen(self._secret_changed)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run(), name="node password queue")
            tasks.create_task(migrate(self._client), name="node password migration")
            tasks.create_task(self._nodes.run(), name="watch nodes")
            tasks.create_task(self._secrets.run(), name="watch node passwords")
            await self._nodes.synced()
            await self._secrets.synced()
            await self._sweep_for_ever()

    def _secret_changed(self, change: Change) -> None:
        if change.key.name.endswith(SECRET_SUFFIX):
            self._queue.add(Key("", change.key.name.removesuffix(SECRET_SUFFIX)))

    async def _reconcile(self, key: Key) -> None:
        node = self._nodes.objects.get(key)
        if node is None:
            return
        if finalizers.ABANDONED.intersection(finalizers.finalizers_of(node)):
            await finalizers.drop(self._client, node, finalizers.ABANDONED)
        secret = self._secrets.objects.get(Key(SECRET_NAMESPACE, key.name + SECRET_SUFFIX))
        if secret and not owned_by(secret, node):
            await self._own(secret, node)

    async def _own(self, secret: Object, node: Object) -> None:
        """Append the owner; the Secret is immutable in its data only."""
        meta = metadata(secret)
        patch = {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "ownerReferences": [*(meta.get("ownerReferences") or ()), owner_reference(node)],
        }
        try:
            await self._client.patch(
                SECRETS, name_of(secret), {"metadata": patch}, namespace=SECRET_NAMESPACE
            )
        except KubeError as error:
            if error.status != 404:
                raise

    async def _sweep_for_ever(self) -> None:
        outage = Outage("removing unused node passwords")
        while True:
            try:
                await self.sweep(datetime.now(UTC))
                outage.over()
            except KubeError as error:
                outage.failed(error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self, now: datetime) -> None:
        """Delete Secrets that are older than `GRACE` and have no Node.

        The API is asked about the Node once more: the copy may be behind.

        Raises:
            KubeError: the API refused or does not answer.
        """
        nodes = {key.name for key in self._nodes.objects}
        for secret in unused(list(self._secrets.objects.values()), nodes, now):
            node = name_of(secret).removesuffix(SECRET_SUFFIX)
            if await self._client.find(NODES, node) is None:
                log.info("node password of %s: removed, no such node registered", node)
                await _delete(self._client, secret)


def owner_reference(node: Object) -> dict[str, str]:
    return {"apiVersion": "v1", "kind": "Node", "name": name_of(node), "uid": str(metadata(node)["uid"])}


def owned_by(secret: Object, node: Object) -> bool:
    """Whether an owner reference is to exactly this Node."""
    wanted = owner_reference(node)
    owners = metadata(secret).get("ownerReferences") or ()
    return any(all(owner.get(key) == value for key, value in wanted.items()) for owner in owners)


def unused(secrets: list[Object], nodes: set[str], now: datetime) -> list[Object]:
    """The Secrets of nodes not in `nodes` that had the time to register."""
    return [
        secret
        for secret in secrets
        if name_of(secret).endswith(SECRET_SUFFIX)
        and name_of(secret).removesuffix(SECRET_SUFFIX) not in nodes
        and now - datetime.fromisoformat(metadata(secret)["creationTimestamp"]) > GRACE
    ]


async def _delete(client: Client, secret: Object) -> None:
    """Delete this very Secret, not one that has its name by now."""
    try:
        await client.delete(SECRETS, name_of(secret), SECRET_NAMESPACE, uid=str(metadata(secret)["uid"]))
    except KubeError as error:
        if error.status != 409:
            raise


# --- Secrets of earlier releases -----------------------------------------------------------------------------


async def migrate(client: Client) -> None:
    """Give Secrets of earlier releases the type by which they are found, until all have it.

    A Secret's type cannot be changed: it is deleted and made again. Refusals (an admission webhook that is not up
    yet) are logged and outlived.
    """
    names = await persist("node passwords of earlier releases", lambda: _outdated(client))
    for name in names:
        await _retype(client, name)


async def _outdated(client: Client) -> list[str]:
    page = await client.list(
        SECRETS, SECRET_NAMESPACE, field_selector=f"type!={SECRET_TYPE}", metadata_only=True
    )
    return [name_of(item) for item in page.items if name_of(item).endswith(SECRET_SUFFIX)]


async def _retype(client: Client, name: str) -> None:
    what = f"migrating the Secret {name}"
    old = await persist(what, lambda: client.find(SECRETS, name, SECRET_NAMESPACE))
    if old is None or old.get("type") == SECRET_TYPE:
        return
    await persist(what, lambda: _delete(client, old))
    await persist(what, _creation(client, retyped(old)), limit=60.0)


def _creation(client: Client, secret: Object) -> Callable[[], Awaitable[None]]:
    async def create() -> None:
        try:
            await client.create(SECRETS, secret)
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise

    return create


def retyped(old: Object) -> Object:
    """The same Secret with today's type, as it is to be created."""
    kept = {
        key: value
        for key, value in metadata(old).items()
        if key in ("name", "namespace", "labels", "annotations", "ownerReferences")
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": kept,
        "type": SECRET_TYPE,
        "immutable": True,
        "data": old.get("data") or {},
    }
