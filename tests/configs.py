"""Node configurations for tests, built without files or environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from rke2.config.model import (
    ComponentSettings,
    ImageSettings,
    NetworkSettings,
    NodeConfig,
    NodeSettings,
    RuntimeSettings,
    ServerSettings,
)
from rke2.config.paths import Paths


def paths_under(root: Path) -> Paths:
    """All paths of a node moved below `root`."""
    return Paths(
        data_dir=root / "var/lib/rancher/rke2",
        config_dir=root / "etc/rancher/rke2",
        node_config_dir=root / "etc/rancher/node",
        run_dir=root / "run/k3s",
        kubelet_dir=root / "var/lib/kubelet",
    )


def server_config(
    paths: Paths | None = None,
    *,
    components: Mapping[str, ComponentSettings] | None = None,
    node: Mapping[str, Any] | None = None,
    network: Mapping[str, Any] | None = None,
    images: Mapping[str, Any] | None = None,
    runtime: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    **rest: Any,
) -> NodeConfig:
    """A single IPv4 server named ``node1`` at 192.0.2.1 with every default, changed as told."""
    return NodeConfig(
        role="server",
        paths=paths or Paths(),
        node=NodeSettings(**{"name": "node1", "ips": (ip_address("192.0.2.1"),), **(node or {})}),
        network=NetworkSettings(
            **{
                "cluster_cidrs": (ip_network("10.42.0.0/16"),),
                "service_cidrs": (ip_network("10.43.0.0/16"),),
                "cluster_dns": (ip_address("10.43.0.10"),),
                **(network or {}),
            }
        ),
        images=ImageSettings(**(images or {})),
        runtime=RuntimeSettings(**(runtime or {})),
        components=components or {},
        server=ServerSettings(**(server or {})),
        **rest,
    )


def agent_config(paths: Paths | None = None, **rest: Any) -> NodeConfig:
    """An agent named ``node1`` at 192.0.2.1, as it is before it has asked a server."""
    server = server_config(paths, **rest)
    return replace(server, role="agent", server=None)
