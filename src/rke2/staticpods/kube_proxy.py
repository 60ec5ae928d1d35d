"""The kube-proxy pod (layout reference §3.8). Runs on agents, too, with the cluster CIDR the server announces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rke2.config.addresses import comma, loopback
from rke2.config.model import NodeConfig
from rke2.config.values import parse_duration, parse_int
from rke2.errors import ConfigError
from rke2.staticpods.arguments import last_value, merge
from rke2.staticpods.pod import HTTPCheck, StaticPod

NAME = "kube-proxy"
PORT = 10256


def pod(config: NodeConfig, image: str) -> StaticPod:
    """The pod; `image` is a full reference."""
    settings = config.component(NAME)
    return StaticPod(
        name=NAME,
        image=image,
        args=merge(defaults(config), settings.args),
        settings=settings,
        ports={"metrics": PORT},
        liveness=HTTPCheck(PORT, scheme="HTTP"),
        privileged=True,
        selinux_type="rke2_service_t" if config.node.selinux else "",
    )


def defaults(config: NodeConfig) -> dict[str, str]:
    """The flags the node sets itself. Zero conntrack values leave the kernel's settings alone."""
    return {
        "cluster-cidr": comma(config.network.cluster_cidrs),
        "conntrack-max-per-core": "0",
        "conntrack-tcp-timeout-close-wait": "0s",
        "conntrack-tcp-timeout-established": "0s",
        "healthz-bind-address": loopback(config),
        "hostname-override": config.node.name,
        "kubeconfig": str(config.paths.agent / "kubeproxy.kubeconfig"),
        "proxy-mode": "iptables",
    }


MODES = ("iptables", "nftables", "ipvs")


def mode(config: NodeConfig) -> str:
    """How services are made: kube-proxy's ``proxy-mode``."""
    return last_value(config.component(NAME).args, "proxy-mode") or defaults(config)["proxy-mode"]


def check_mode(config: NodeConfig, *, ipvs: bool) -> None:
    """See that kube-proxy can work as it is told to; it would only crash, over and over.

    Args:
        ipvs: whether this kernel has IPVS.

    Raises:
        ConfigError: it cannot.
    """
    if config.component(NAME).disabled:
        return
    if (chosen := mode(config)) not in MODES:
        raise ConfigError(
            f"kube-proxy-arg proxy-mode={chosen}: kube-proxy has no such mode", "use iptables or nftables"
        )
    if chosen == "ipvs" and not ipvs:
        raise ConfigError(
            "kube-proxy-arg proxy-mode=ipvs: this kernel has no IPVS (module ip_vs)",
            "use nftables, which is as fast with many services, or install the module",
        )


DEFAULT_CONNTRACK_MIN = 131072
"""kube-proxy's own default of ``conntrack-min``."""

_TIMEOUTS = {
    "conntrack-tcp-timeout-established": "net.netfilter.nf_conntrack_tcp_timeout_established",
    "conntrack-tcp-timeout-close-wait": "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
}


def conntrack_sysctls(args: Iterable[str], cpus: int) -> Mapping[str, int]:
    """The kernel values that the operator's ``kube-proxy-arg`` items ask for; empty with the defaults.

    The node sets them itself: kube-proxy cannot where its container sees a read-only /proc/sys.

    Args:
        cpus: number of processors, for ``conntrack-max-per-core``.

    Raises:
        ConfigError: a value is not a number or a duration.
    """
    items = tuple(args)
    values = {}
    if per_core := _number(items, "conntrack-max-per-core", 0):
        minimum = _number(items, "conntrack-min", DEFAULT_CONNTRACK_MIN)
        values["net.netfilter.nf_conntrack_max"] = max(per_core * cpus, minimum)
    for flag, sysctl in _TIMEOUTS.items():
        if seconds := int(_parsed(items, flag, "0s", parse_duration)):
            values[sysctl] = seconds
    return values


def _number(items: Iterable[str], flag: str, default: int) -> int:
    return int(_parsed(items, flag, str(default), parse_int))


def _parsed(items: Iterable[str], flag: str, default: str, parse: Callable[[str], float]) -> float:
    text = last_value(items, flag) or default
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"kube-proxy-arg {flag}={text}: {error}") from error
