"""What the agent writes onto its own Node object once the kubelet has registered it (controllers reference §6.2)."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from rke2.config.model import NodeConfig
from rke2.errors import KubeError
from rke2.host.kernel import boot_id
from rke2.kube.client import Client
from rke2.kube.persistence import persist
from rke2.kube.resources import NODES
from rke2.kube.watch import watch
from rke2.tunnel.targets import EGRESS_LABEL, POD_MODES


async def register(
    client: Client,
    config: NodeConfig,
    roles: Mapping[str, str],
    notes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Wait for the kubelet to report the own Node, then bring its labels and annotations up to date.

    Args:
        client: a client that may label any node: kubelets may not give themselves roles.
        roles: labels for the roles of this node.
        notes: annotations that come with these roles.
    """
    await wait_for_node(client, config.node.name, boot_id())
    patch = {
        "metadata": {
            "labels": {**node_labels(config), **roles},
            "annotations": {**node_annotations(config), **notes},
        }
    }
    await persist(f"annotating node {config.node.name}", lambda: client.patch(NODES, config.node.name, patch))


async def wait_for_node(client: Client, name: str, boot: str) -> None:
    """Until a kubelet has registered the Node `name`, or reported it again, since the machine booted; told by a watch.

    After a reboot the Node is still there and seems Ready: nobody has told the API server otherwise.

    Args:
        boot: the kernel's boot id, which the kubelet reports.
    """

    async def appeared() -> None:
        async with watch(client, NODES, field_selector=f"metadata.name={name}") as events:
            async for kind, node in events:
                if kind in ("ADDED", "MODIFIED") and node["status"]["nodeInfo"]["bootID"] == boot:
                    return
        raise KubeError(f"the watch for node {name} ended")

    await persist(f"waiting for node {name}", appeared)


def node_labels(config: NodeConfig) -> dict[str, str | None]:
    """``node-label`` values, merged at every start and never removed; and whether pods are reached by the tunnel.

    None removes a label.
    """
    pairs = (label.partition("=") for label in config.node.labels)
    reached = "true" if config.network.egress_selector_mode in POD_MODES else None
    return {EGRESS_LABEL: reached, **{key: value for key, _, value in pairs}}


def node_annotations(config: NodeConfig) -> dict[str, str | None]:
    """Addresses for a cloud controller, and what the node was started with (its secrets are masked in `config`).

    None removes an annotation. The address annotations are only there for a cloud controller manager.
    """
    args, env = json.dumps(config.argv), json.dumps(dict(config.environ), sort_keys=True)
    node = config.node
    external = config.component("cloud-controller-manager").disabled
    addresses = {
        "rke2.io/internal-ip": _comma(node.ips),
        "rke2.io/external-ip": _comma(node.external_ips),
        "rke2.io/hostname": _hostname(node.name),
        "rke2.io/internal-dns": _comma(node.internal_dns),
        "rke2.io/external-dns": _comma(node.external_dns),
    }
    digest = hashlib.sha256((args + env).encode()).digest()
    return {
        **{key: None if external else value or None for key, value in addresses.items()},
        "rke2.io/node-args": args,
        "rke2.io/node-env": env,
        "rke2.io/node-config-hash": base64.b32encode(digest).decode(),
    }


def _hostname(node_name: str) -> str:
    name = socket.gethostname()
    return node_name if not name or "localhost" in name else name


def _comma(items: Iterable[Any]) -> str:
    return ",".join(map(str, items))
