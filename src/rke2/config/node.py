"""The node itself: its name, addresses, labels and taints."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from rke2.config.model import APISERVER_PORT, IPAddress, NodeSettings
from rke2.config.names import is_dns_name, is_label_key, is_label_value
from rke2.config.network import in_order, parse_addresses, wanted_families
from rke2.config.ports import FIXED, balancer_ports, first_shared
from rke2.config.profiles import protects_kernel_defaults
from rke2.config.settings import Settings
from rke2.errors import ConfigError
from rke2.host.files import ensure_dir, write_atomic
from rke2.host.identity import Family, HostIdentity

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
    }
)
_KUBELET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_RESERVED = ("kubernetes.io", "k8s.io")


def node_settings(settings: Settings, host: HostIdentity, id_file: Path) -> NodeSettings:
    """Everything about the node.

    Args:
        id_file: where ``with-node-id`` finds the node's id; a new one is made up if it is missing,
            and written by nobody but `keep_node_id`.

    Raises:
        ConfigError: a value is invalid or no usable address was found.
    """
    node_id = _node_id(id_file) if settings.on("with-node-id") else ""
    return NodeSettings(
        name=_name(settings, host, node_id),
        ips=_ips(settings, host),
        external_ips=parse_addresses(settings, "node-external-ip"),
        internal_dns=_host_names(settings, "node-internal-dns"),
        external_dns=_host_names(settings, "node-external-dns"),
        labels=_labels(settings),
        taints=_taints(settings),
        resolv_conf=_existing(settings, "resolv-conf"),
        selinux=settings.on("selinux"),
        protect_kernel_defaults=protects_kernel_defaults(settings),
        lb_server_port=_load_balancer_port(settings),
        node_id=node_id,
        detected_ips=() if settings.is_given("node-ip") else tuple(host.addresses.values()),
    )


def keep_node_id(node: NodeSettings, id_file: Path) -> None:
    """Remember the id in the node's name for the next start.

    Raises:
        OSError: the file cannot be written.
    """
    if node.node_id:
        ensure_dir(id_file.parent, 0o755)
        write_atomic(id_file, node.node_id, 0o644)


def _node_id(id_file: Path) -> str:
    try:
        return id_file.read_text(encoding="utf-8").strip() or secrets.token_hex(4)
    except FileNotFoundError:
        return secrets.token_hex(4)


def _name(settings: Settings, host: HostIdentity, node_id: str) -> str:
    base = settings.text("node-name") or host.hostname
    name = "-".join(filter(None, (base.lower(), node_id)))
    # The Node's label kubernetes.io/hostname has the same value, and values of labels have 63 characters at most.
    if is_dns_name(name) and is_label_value(name):
        return name
    reason = "not a valid name of a Node: lower-case letters, digits, - and . only, at most 63"
    if settings.text("node-name"):
        raise settings.invalid("node-name", base, reason)
    raise ConfigError(f"the host name {base!r} is {reason}", "set node-name")


# --- addresses ---------------------------------------------------------------------------------------------
def _ips(settings: Settings, host: HostIdentity) -> tuple[IPAddress, ...]:
    """Addresses of the node, the one of the cluster's first family in front."""
    wanted = wanted_families(settings) if settings.has("cluster-cidr") else ()
    ips = parse_addresses(settings, "node-ip") or _detected(host, wanted)
    return in_order(ips, wanted) if wanted else ips


def _detected(host: HostIdentity, wanted: Sequence[Family]) -> tuple[IPAddress, ...]:
    """One address per wanted family; if none is wanted the IPv4 address, or else the IPv6 one."""
    found = tuple(host.addresses[family] for family in wanted or (4, 6) if family in host.addresses)
    if not found:
        needed = " and ".join(f"IPv{family}" for family in wanted) or "network"
        raise ConfigError(
            f"this host has no {needed} address a node could use", "configure one, or set node-ip"
        )
    return found if wanted else found[:1]


def _host_names(settings: Settings, name: str) -> tuple[str, ...]:
    for item in settings.items(name):
        if not is_dns_name(item.lower()):
            raise settings.invalid(name, item, "not a host name")
    return settings.items(name)


def _load_balancer_port(settings: Settings) -> int:
    port = settings.number("lb-server-port")
    ports = balancer_ports(port)
    shared = first_shared(ports, _taken(settings, port))
    if min(ports) < 1 or port > 65535 or shared:
        reason = "not usable: it and the three ports below must be free ports"
        raise settings.invalid(
            "lb-server-port", port, f"{reason}; {shared}" if shared else reason, "use 6444"
        )
    return port


def _taken(settings: Settings, lb_server_port: int) -> dict[int, str]:
    taken = dict(FIXED)
    # On a node without an API server its load balancer has that port.
    if settings.command == "agent" or lb_server_port == APISERVER_PORT + 1:
        del taken[APISERVER_PORT]
    return taken


def _existing(settings: Settings, name: str) -> Path | None:
    text = settings.text(name)
    if text and not Path(text).is_file():
        raise settings.invalid(name, text, "no such file")
    return Path(text).absolute() if text else None


# --- labels and taints -------------------------------------------------------------------------------------
def _labels(settings: Settings) -> tuple[str, ...]:
    for item in settings.items("node-label"):
        key, equals, value = item.partition("=")
        if not (equals and is_label_key(key) and is_label_value(value)):
            raise settings.invalid("node-label", item, "not a label", "write it as key=value")
        if not _kubelet_may_set(key):
            raise settings.invalid(
                "node-label",
                item,
                "a kubelet may not set this label on its own Node",
                "set it with kubectl label node once the node has joined",
            )
    return settings.items("node-label")


def _kubelet_may_set(key: str) -> bool:
    """The rule of the kubelet's --node-labels and of the NodeRestriction admission plugin."""
    prefix = key.rpartition("/")[0]
    if key in _KUBELET_LABELS or _within(prefix, _KUBELET_PREFIXES):
        return True
    return not _within(prefix, _RESERVED)


def _within(prefix: str, domains: Sequence[str]) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)


def _taints(settings: Settings) -> tuple[str, ...]:
    for item in settings.items("node-taint"):
        pair, _, effect = item.rpartition(":")
        key, _, value = pair.partition("=")
        if not (is_label_key(key) and is_label_value(value)):
            raise settings.invalid("node-taint", item, "not a taint", "write it as key=value:effect")
        if effect not in _EFFECTS:
            raise settings.invalid("node-taint", item, f"the effect is not one of {', '.join(_EFFECTS)}")
    return settings.items("node-taint")
