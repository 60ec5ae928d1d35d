"""Network of a lab: a bridge in a namespace without uplink, a veth pair from it to each host.

Links are made inside the namespaces, so the machine's own network never has one of them, not even for a moment.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rke2.errors import LabError
from rke2_lab.addressing import GATEWAY, GATEWAY6, NETNS_DIR
from rke2_lab.kernel import unmount
from rke2_lab.mountinfo import mounts
from rke2_lab.record import HostRecord

BRIDGE = "br0"
UPLINK = "eth0"
_SEPARATE = "cut"


def exists(netns: str) -> bool:
    return (NETNS_DIR / netns).exists()


def create_bridge(netns: str) -> None:
    """Make the lab's namespace `netns` with its bridge."""
    _ip(None, [f"netns add {netns}"])
    _ip(
        netns,
        [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"link set {BRIDGE} up",
            f"addr add {GATEWAY} dev {BRIDGE}",
            *_if_ipv6(f"addr add {GATEWAY6} dev {BRIDGE} nodad"),
        ],
    )


def connect(bridge_netns: str, host: HostRecord) -> None:
    """Make the namespace of a host and connect it to the bridge."""
    _ip(None, [f"netns add {host.netns}"])
    port = _port(host)
    _ip(
        bridge_netns,
        [
            f"link add {port} type veth peer name {UPLINK} netns {host.netns}",
            f"link set {port} master {BRIDGE} up",
        ],
    )
    _ip(
        host.netns,
        [
            "link set lo up",
            f"link set {UPLINK} up",
            f"addr add {host.address}/{GATEWAY.network.prefixlen} dev {UPLINK}",
            f"route add default via {GATEWAY.ip}",
            *_if_ipv6(
                f"addr add {host.address6}/{GATEWAY6.network.prefixlen} dev {UPLINK} nodad",
                f"route add default via {GATEWAY6.ip}",
            ),
        ],
    )


def attach(bridge_netns: str, host: HostRecord, interface: str, addresses: Iterable[str]) -> None:
    """Give a connected host one more interface; all that are called the same share a bridge.

    Args:
        addresses: of the interface, with the lengths of their prefixes.
    """
    bridge, port = f"br-{interface}", f"{interface}-{host.index}"
    if bridge not in _bridges(bridge_netns):
        _ip(bridge_netns, [f"link add {bridge} type bridge", f"link set {bridge} up"])
    _ip(
        bridge_netns,
        [
            f"link add {port} type veth peer name {interface} netns {host.netns}",
            f"link set {port} master {bridge} up",
        ],
    )
    given = [
        f"addr add {address} dev {interface}{' nodad' if ':' in address else ''}" for address in addresses
    ]
    _ip(host.netns, [f"link set {interface} up", *given])


def disconnect(bridge_netns: str, host: HostRecord) -> None:
    """Remove what `connect` made, or a part of it.

    The port goes by name: the kernel frees a namespace, and with it the other end, some time after its last user.
    """
    if exists(bridge_netns):
        _ip(bridge_netns, [f"link delete {_port(host)}"], missing_is_fine=True)
    delete(host.netns)


# --- faults ----------------------------------------------------------------------------------------
def set_link(bridge_netns: str, host: HostRecord, state: str) -> None:
    """Set the bridge's end of a host's link ``up`` or ``down``; the host keeps its addresses and sees no carrier."""
    _ip(bridge_netns, [f"link set {_port(host)} {state}"])


def set_loss(bridge_netns: str, host: HostRecord, percent: float) -> None:
    """Let the kernel lose `percent` of the packets a host receives and of those it sends; 0 ends that.

    They vanish at the bridge's end of the link, so the sender does not hear of it. By a filter that nearly every kernel
    has, while many (small virtual machines) have no netem.

    Raises:
        LabError: the kernel or the machine cannot (``sch_ingress``, ``cls_bpf``).
    """
    port = ["dev", _port(host)]
    _tc(bridge_netns, ["qdisc", "replace", *port, "clsact"])
    for direction in ("ingress", "egress"):
        program = ["bpf", "direct-action", "bytecode", _lose(percent)]
        _tc(bridge_netns, ["filter", "replace", *port, direction, "prio", "1", "handle", "1", *program])
    if not percent:
        _tc(bridge_netns, ["qdisc", "delete", *port, "clsact"])


def _lose(percent: float) -> str:
    """A program of classic BPF, in the form of tc-bpf(8): draw a number, drop the packet if it is small enough."""
    load_random = (0x20, 0, 0, _RANDOM_NUMBER)
    skip_if_at_least = (0x35, 1, 0, int(0xFFFFFFFF * min(percent, 100) / 100))
    drop, accept = (0x06, 0, 0, 2), (0x06, 0, 0, 0)
    lines = (load_random, skip_if_at_least, drop, accept)
    return f"{len(lines)}," + ",".join(" ".join(map(str, line)) for line in lines)


_RANDOM_NUMBER = 0xFFFFF000 + 56
"""``SKF_AD_OFF + SKF_AD_RANDOM`` of linux/filter.h."""


def move(bridge_netns: str, hosts: Iterable[HostRecord], number: int) -> None:
    """Connect hosts to a bridge of their own, which reaches no other."""
    bridge = f"{_SEPARATE}{number}"
    ports = [f"link set {_port(host)} master {bridge}" for host in hosts]
    _ip(bridge_netns, [f"link add {bridge} type bridge", f"link set {bridge} up", *ports])


def unite(bridge_netns: str, hosts: Iterable[HostRecord]) -> None:
    """Connect hosts to the lab's bridge again and remove the bridges that `move` made."""
    _ip(bridge_netns, [f"link set {_port(host)} master {BRIDGE}" for host in hosts])
    separate = [name for name in _bridges(bridge_netns) if name.startswith(_SEPARATE)]
    _ip(bridge_netns, [f"link delete {name}" for name in separate])


def _bridges(netns: str) -> list[str]:
    command = ["ip", "-n", netns, "-json", "link", "show", "type", "bridge"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [link["ifname"] for link in json.loads(found or "[]")]


def _tc(netns: str, action: list[str]) -> None:
    done = subprocess.run(["tc", "-n", netns, *action], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(
            f"cannot lose packets of {netns}: {done.stderr.strip()}",
            "this needs a kernel with sch_ingress and cls_bpf (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)",
        )


def _port(host: HostRecord) -> str:
    return f"port{host.index}"


def delete(netns: str) -> None:
    """Remove a namespace with its links; does nothing if there is none."""
    if exists(netns):
        _ip(None, [f"netns delete {netns}"])


def netns_dir_mounted() -> bool:
    """Whether ``ip netns`` has been used on this machine: it mounts its directory on itself then."""
    return any(entry.point == NETNS_DIR for entry in mounts())


def unmount_netns_dir() -> None:
    """Undo that mount once the directory is empty (the kernel refuses while a namespace is mounted in it)."""
    with contextlib.suppress(OSError):
        unmount(NETNS_DIR)
        NETNS_DIR.rmdir()


def _if_ipv6(*lines: str) -> Iterable[str]:
    return lines if Path("/proc/net/if_inet6").exists() else ()


def _ip(netns: str | None, lines: Iterable[str], *, missing_is_fine: bool = False) -> None:
    """Run `lines` of ip-batch(8) in `netns` (None: the machine's own)."""
    command = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
    text = "\n".join(lines) + "\n"
    # close_fds=False: the lab's lock is inherited, so it stays held until ip ends even if this process is killed.
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, close_fds=False)
    if done.returncode != 0 and not (missing_is_fine and "Cannot find device" in done.stderr):
        where = netns or "the machine"
        raise LabError(
            f"cannot change the network of {where}: {done.stderr.strip()} (commands: {text.strip()!r})"
        )
