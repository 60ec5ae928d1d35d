"""What the first normal start after a cluster reset puts right in the cluster (day2 reference §4.4)."""

from __future__ import annotations

import logging

from rke2.config.model import NodeConfig
from rke2.controllers.datastore import REMOVE, REMOVED_NODE_NAME
from rke2.join.node_password import SECRET_NAMESPACE, secret_name
from rke2.kube.client import Client
from rke2.kube.nodes import ETCD_ROLE
from rke2.kube.objects import annotations_of, name_of
from rke2.kube.persistence import persist
from rke2.kube.resources import NODES, SECRETS

log = logging.getLogger(__name__)


async def after_reset(client: Client, config: NodeConfig) -> None:
    """Do it if the flag of a reset is there; the flag goes last, so that who is killed meanwhile does it again.

    The Secret of the own node password goes: the host may be another one of this name. Marks on Nodes by which members
    were taken out of the cluster of before go: in this one they were never members.
    """
    flag = config.paths.reset_flag
    if flag.exists():
        await persist("what a cluster reset left", lambda: _put_right(client, config.node.name))
        flag.unlink(missing_ok=True)


async def _put_right(client: Client, own: str) -> None:
    await client.delete(SECRETS, secret_name(own), SECRET_NAMESPACE)
    nodes = await client.list(NODES, label_selector=f"{ETCD_ROLE}=true", metadata_only=True)
    for node in nodes.items:
        if annotations_of(node).keys() & {REMOVE, REMOVED_NODE_NAME}:
            patch = {"metadata": {"annotations": {REMOVE: None, REMOVED_NODE_NAME: None}}}
            await client.patch(NODES, name_of(node), patch)
            log.info(
                "Cleared etcd member removal annotations from node %s after cluster reset", name_of(node)
            )
