"""The host before anything runs on it. What would make the boot fail is looked at before anything is written.

Its kernel is made ready when the runtime image is there, which has modprobe(8) for hosts without it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection
from ipaddress import ip_address

from rke2.boot import directories, identity, runtime
from rke2.boot.node import Node, local_api_port
from rke2.config import immutable
from rke2.config.model import IPAddress, NodeConfig
from rke2.config.no_proxy import except_cluster
from rke2.config.ports import NODE_PORTS, SERVER_PORTS
from rke2.config.profiles import profile_of
from rke2.errors import HostError
from rke2.host import hardening, kernel, programs
from rke2.host import identity as identity_of_host
from rke2.host.leftovers import end_leftovers
from rke2.host.ports import require_free
from rke2.snapshots import resetting
from rke2.staticpods.kube_proxy import check_mode, conntrack_sysctls, mode

log = logging.getLogger(__name__)

_SUPERVISED = ("containerd", "kubelet")
"""Programs of the runtime image that run only as children of rke2."""


async def prepare(node: Node) -> None:
    """Check what would make the boot fail later, then make the directories.

    Raises:
        HostError: a port is taken by a process that is not of this node; a directory cannot be made.
        ConfigError: the configuration or a file it names cannot be used.
        PKIError: certificates or tokens on disk cannot be used.
    """
    if node.config.server:
        # Before anything is spawned or a manifest is compared: children and static pods inherit it.
        except_cluster(os.environ, node.config.network)
    await asyncio.to_thread(_check, node)
    await asyncio.to_thread(directories.prepare, node.config.paths, server=node.config.server is not None)


def _check(node: Node) -> None:
    data = node.config.paths.data
    # First: what a killed rke2 has left may hold the ports that are asked for below.
    end_leftovers(path for name in _SUPERVISED for path in data.glob(f"*/bin/{name}"))
    require_addresses(node.config, identity_of_host.local_addresses())
    require_free(needed_ports(node.config))
    runtime.check(node)
    _check_profile(node.config)
    check_mode(node.config, ipvs=mode(node.config) != "ipvs" or kernel.has_module("ip_vs"))
    if node.config.server:
        # A reset that was cut off is finished by running it again: that start alone is not refused.
        if not node.config.server.reset:
            resetting.refuse_unfinished(node.config.paths)
        immutable.check(node.config)
        identity.check(node.config)


def _check_profile(config: NodeConfig) -> None:
    profile = profile_of(config.profile)
    has_etcd = config.server is not None and not config.component("etcd").disabled
    hardening.require(config.profile, profile.sysctls, accounts=profile.etcd_user and has_etcd)


def require_addresses(config: NodeConfig, local: Collection[IPAddress]) -> None:
    """See that the host has the addresses of the node: with others the kubelet makes a Node without addresses.

    Args:
        local: addresses of this host.

    Raises:
        HostError: one is missing.
    """
    bind = ip_address(config.network.bind_address or "0.0.0.0")
    wanted = {"node-ip": config.node.ips, "bind-address": () if bind.is_unspecified else (bind,)}
    for setting, addresses in wanted.items():
        for address in addresses:
            if address not in local and not address.is_loopback:
                here = ", ".join(str(each) for each in sorted(local, key=str) if not each.is_loopback)
                raise HostError(
                    f"{setting} {address} is not an address of this host, which has {here or 'none'}",
                    f"set {setting} to one of these, or give the host that address first",
                )


def needed_ports(config: NodeConfig) -> dict[int, str]:
    """Every port the node listens on, and for what."""
    ports = {**NODE_PORTS, **(SERVER_PORTS if config.server else {})}
    needed = {port: name for port, name in ports.items() if not config.component(name).disabled}
    if config.runs_apiserver:
        return {local_api_port(config): "the kubelet's way to the API server", **needed}
    port = config.node.lb_server_port
    return {port - 1: "the load balancer for API servers", port: "that for supervisors", **needed}


def use_programs(node: Node) -> None:
    """Choose between the host's programs and those of the runtime image, and make the kernel ready with them."""
    paths = node.config.paths
    choices = programs.choose(paths.bin / "aux", programs.host_path(paths.data_dir))
    programs.link(choices, paths.programs)
    node.progress.programs(programs.summary(choices))
    for choice in choices:
        if choice.source == "missing":
            log.warning("%s: %s", choice.group, choice.note)
    _prepare_kernel(node.config)


def _prepare_kernel(config: NodeConfig) -> None:
    ipv6 = any(cidr.version == 6 for cidr in config.network.cluster_cidrs)
    proxy_args = config.component("kube-proxy").args
    kernel.prepare(
        ipv6,
        conntrack_sysctls(proxy_args, os.cpu_count() or 1),
        _MODULES.get(mode(config), ()),
        path=os.pathsep.join([str(config.paths.programs), os.environ.get("PATH") or os.defpath]),
    )


_MODULES = {"ipvs": ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh")}
"""What kube-proxy cannot load from its container, by mode."""
