"""Component arguments that rke2 itself depends on: followed only as far as the node still works with them.

Upstream hands all of them on. The component then listens where nobody asks, keeps its data where nobody looks, or
registers a Node under a name that nobody waits for, and the boot waits for it without a word. Arguments that are not
in the table are handed on here, too; so is one that has a value with which the node works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from rke2.config.model import APISERVER_PORT, NodeConfig
from rke2.config.ports import FIXED, first_shared
from rke2.errors import ConfigError

Fits = Callable[[str, NodeConfig], bool]
"""Whether the node works with this value."""


@dataclass(frozen=True)
class Collision:
    """An argument that rke2 depends on.

    Args:
        fits: with which values the node works.
        why: what would fail, after "…: ".
        remedy: what to do instead.
    """

    argument: str
    fits: Fits
    why: str
    remedy: str


# --- which values fit ----------------------------------------------------------------------------
def _never(value: str, config: NodeConfig) -> bool:
    return False


def _only(wanted: Callable[[NodeConfig], object]) -> Fits:
    return lambda value, config: value == str(wanted(config))


def _false_is_not(value: str, config: NodeConfig) -> bool:
    return value.lower() not in ("false", "f", "0")


def _all_addresses(value: str, config: NodeConfig) -> bool:
    return _is(value, "is_unspecified")


def _loopback(value: str, config: NodeConfig) -> bool:
    return _is(value, "is_unspecified") or _is(value, "is_loopback")


def _is(host: str, property_: str) -> bool:
    try:
        return bool(getattr(ip_address(host.strip("[]")), property_))
    except ValueError:
        return host == "localhost" and property_ == "is_loopback"


def _loopback_at(port: int) -> Fits:
    """An address, with `port` or without one."""

    def fits(value: str, config: NodeConfig) -> bool:
        host, colon, given = (
            value.rpartition(":") if value.count(":") == 1 or "]:" in value else (value, "", "")
        )
        return _loopback(host, config) and (not colon or given == str(port))

    return fits


def _listens(scheme: str, port: int, *, on_node: bool = False) -> Fits:
    """A list of URLs of which one is reached by this node, at its own address if `on_node`, else on loopback."""

    def fits(value: str, config: NodeConfig) -> bool:
        return any(_reached(url.strip(), config) for url in value.split(","))

    def _reached(url: str, config: NodeConfig) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        near = host in map(str, config.node.ips) if on_node else _is(host, "is_loopback")
        return (
            parts.scheme == scheme
            and parts.netloc.endswith(f":{port}")
            and (near or _is(host, "is_unspecified"))
        )

    return fits


def _same_networks(name: str) -> Fits:
    return lambda value, config: value == ",".join(map(str, getattr(config.network, name)))


def _free_ports(value: str, config: NodeConfig) -> bool:
    low, dash, high = value.partition("-")
    if not (dash and low.isdecimal() and high.isdecimal()):
        return True  # kube-apiserver's own message is the better one
    return not first_shared(range(int(low), int(high) + 1), FIXED)


def _free_port(value: str, config: NodeConfig) -> bool:
    return not value.isdecimal() or int(value) not in FIXED


# --- the table -----------------------------------------------------------------------------------
def _port(port: int, argument: str = "secure-port") -> Collision:
    why = f"rke2 and the health checks of its pod ask at port {port}"
    return Collision(argument, _only(lambda _: port), why, "remove it: the port is fixed")


def _local(argument: str = "bind-address") -> Collision:
    why = "the health checks of its pod ask on the loopback address"
    return Collision(argument, _loopback, why, "remove it, or use 127.0.0.1 or 0.0.0.0")


def _set_by_rke2(argument: str, remedy: str = "remove it") -> Collision:
    return Collision(argument, _never, "rke2 sets it for each member of the cluster", remedy)


_NODE_NAME = Collision(
    "hostname-override",
    _only(lambda config: config.node.name),
    "certificates and the Node have the name that rke2 knows",
    "set node-name instead",
)

TABLE: dict[str, tuple[Collision, ...]] = {
    "kube-apiserver": (
        Collision(
            "bind-address",
            _all_addresses,
            "this node asks it on the loopback address, the others at the node's",
            "remove it; what clients are told is advertise-address",
        ),
        Collision(
            "secure-port",
            _only(lambda _: APISERVER_PORT),
            f"nodes, pods and load balancers find it at port {APISERVER_PORT}",
            "remove it: the port is fixed",
        ),
        Collision(
            "service-node-port-range",
            _free_ports,
            "ports of rke2 and of Kubernetes are among them, and a Service would take them away",
            "set service-node-port-range, to a range without them",
        ),
        Collision(
            "service-cluster-ip-range",
            _same_networks("service_cidrs"),
            "kube-controller-manager, the cluster's DNS and certificates go by service-cidr",
            "set service-cidr instead",
        ),
        Collision(
            "etcd-servers",
            _listens("https", 2379),
            "rke2 keeps its own data in the etcd of this cluster and waits for that",
            "remove it",
        ),
    ),
    "kube-controller-manager": (
        _port(10257),
        _local(),
        Collision(
            "cluster-cidr",
            _same_networks("cluster_cidrs"),
            "the CNI plugin and kube-proxy go by the setting cluster-cidr",
            "set cluster-cidr instead",
        ),
        Collision(
            "service-cluster-ip-range",
            _same_networks("service_cidrs"),
            "kube-apiserver and the cluster's DNS go by service-cidr",
            "set service-cidr instead",
        ),
    ),
    "kube-scheduler": (_port(10259), _local()),
    "kube-proxy": (
        Collision(
            "healthz-bind-address",
            _loopback_at(10256),
            "the health check of its pod asks on the loopback address, at port 10256",
            "remove it, or use 0.0.0.0:10256",
        ),
        _port(10256, "healthz-port"),
        _NODE_NAME,
    ),
    "etcd": (
        Collision(
            "listen-client-urls",
            _listens("https", 2379),
            "kube-apiserver and rke2 ask at https://127.0.0.1:2379",
            "write listen-client-urls+=<url> to add one",
        ),
        Collision(
            "listen-peer-urls",
            _listens("https", 2380, on_node=True),
            "the other members ask at port 2380 of node-ip",
            "write listen-peer-urls+=<url> to add one",
        ),
        Collision(
            "listen-metrics-urls",
            _listens("http", 2381),
            "the health checks of its pod ask at http://127.0.0.1:2381",
            "set etcd-expose-metrics, or write listen-metrics-urls+=<url>",
        ),
        Collision(
            "advertise-client-urls",
            _listens("https", 2379, on_node=True),
            "the other servers find this member by it, at port 2379 of node-ip",
            "write advertise-client-urls+=<url> to add one",
        ),
        Collision(
            "data-dir",
            _only(lambda config: config.paths.etcd),
            "rke2 looks for the member's data in its own data directory, and the pod sees no other",
            "set data-dir of rke2, or mount a disk at server/db below it",
        ),
        *(
            _set_by_rke2(argument, remedy)
            for argument, remedy in {
                "name": "set node-name",
                "initial-advertise-peer-urls": "set node-ip",
                "initial-cluster": "remove it",
                "initial-cluster-state": "remove it",
                "force-new-cluster": "remove it",
                "discovery": "remove it",
                "discovery-srv": "remove it",
            }.items()
        ),
    ),
    "kubelet": (
        _NODE_NAME,
        Collision(
            "node-ip",
            _only(lambda config: ",".join(map(str, config.node.ips))),
            "certificates, etcd and the CNI plugin go by the addresses that rke2 knows",
            "set node-ip of rke2 instead",
        ),
        Collision(
            "port",
            _only(lambda _: 10250),
            "servers find the kubelet at port 10250 through their tunnels",
            "remove it: the port is fixed",
        ),
        Collision(
            "healthz-port",
            _only(lambda _: 10248),
            "rke2 asks for the kubelet's health at port 10248",
            "remove it: the port is fixed",
        ),
        Collision(
            "healthz-bind-address",
            _loopback,
            "rke2 asks for the kubelet's health on the loopback address",
            "remove it, or use 0.0.0.0",
        ),
        Collision(
            "read-only-port",
            _free_port,
            "rke2 or Kubernetes listens there",
            "use another port, such as 10255",
        ),
        Collision(
            "pod-manifest-path",
            _only(lambda config: config.paths.pod_manifests),
            "the control plane's pods are written to agent/pod-manifests",
            "put your own static pods there, too",
        ),
        Collision(
            "kubeconfig",
            _only(lambda config: config.paths.kubelet_kubeconfig),
            "rke2 keeps the kubelet's credentials in it",
            "remove it",
        ),
        Collision(
            "container-runtime-endpoint",
            lambda value, config: value.removeprefix("unix://") == str(config.paths.containerd_socket),
            "rke2 imports images and starts pods with its own containerd",
            "remove it",
        ),
        Collision(
            "register-node",
            _false_is_not,
            "the boot waits for the Node that the kubelet makes",
            "remove it; to keep pods away use node-taint",
        ),
    ),
}
"""Component -> its arguments. Certificates, authorization and admission are the operator's own business."""


def check_collisions(config: NodeConfig) -> None:
    """Refuse component arguments with which the node would not work.

    Raises:
        ConfigError: names flag, argument and value, says what would fail and what to set instead.
    """
    for component, collisions in TABLE.items():
        disabled = component != "kubelet" and config.component(component).disabled
        for item in () if disabled else _arguments(config, component):
            for collision in collisions:
                _check(f"{component}-arg", collision, item, config)


def _arguments(config: NodeConfig, component: str) -> Iterable[str]:
    return config.kubelet_args if component == "kubelet" else config.component(component).args


def _check(flag: str, collision: Collision, item: str, config: NodeConfig) -> None:
    key, equals, value = item.lstrip("-").partition("=")
    extends = equals and key.endswith(("+", "-"))
    # A list that is extended keeps what rke2 put into it.
    if key.rstrip("+-") != collision.argument or (extends and collision.argument.endswith("-urls")):
        return
    if not collision.fits(value if equals else "true", config):
        raise ConfigError(f"{flag} {item.lstrip('-')} would not work: {collision.why}", collision.remedy)
