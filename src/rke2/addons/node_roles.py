"""Role labels a server writes onto its own Node, once per start.

The deprecated ``node-role.kubernetes.io/master`` is not among them: RKE2 stopped writing it with 1.34.
"""

from __future__ import annotations

from rke2.config.model import NodeConfig
from rke2.kube.client import Client
from rke2.kube.resources import NODES

PREFIX = "node-role.kubernetes.io/"
_ROLE_OF_COMPONENT = {"kube-apiserver": "control-plane", "etcd": "etcd"}


def role_labels(config: NodeConfig) -> dict[str, str]:
    """Labels for the components this server runs."""
    return {
        f"{PREFIX}{role}": "true"
        for component, role in _ROLE_OF_COMPONENT.items()
        if not config.component(component).disabled
    }


async def label_node(client: Client, config: NodeConfig) -> None:
    """Put the labels on the Node.

    Raises:
        KubeError: the Node is not registered yet (404), or the API does not answer.
    """
    await client.patch(NODES, config.node.name, {"metadata": {"labels": role_labels(config)}})
