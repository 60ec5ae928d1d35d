"""Who this machine is on the network: its host name and the addresses a node would use by default.

Like k3s, the address of the default route is taken; a machine without one (an isolated network) falls back to
its first interface that is not made by a CNI plugin.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

IPAddress = IPv4Address | IPv6Address
Family = Literal[4, 6]

_IF_INET6 = Path("/proc/net/if_inet6")
_FIB_TRIE = Path("/proc/net/fib_trie")
_SIOCGIFADDR = 0x8915
_IFA_F_UNUSABLE = 0x01 | 0x08 | 0x20 | 0x40
"""Temporary, failed, deprecated or tentative IPv6 addresses."""

_OUTSIDE: Mapping[Family, tuple[socket.AddressFamily, str]] = {
    4: (socket.AF_INET, "8.8.8.8"),
    6: (socket.AF_INET6, "2001:4860:4860::8888"),
}
"""Addresses beyond any default route; connecting a UDP socket to them sends nothing."""

_CNI_INTERFACES = (
    "cali",
    "cilium",
    "cni",
    "docker",
    "flannel",
    "kube-",
    "lxc",
    "nodelocaldns",
    "tunl",
    "veth",
    "vxlan",
    "wireguard.cali",
)


@dataclass(frozen=True)
class HostIdentity:
    """Host name and default address per family (4, 6); a family without an address is absent."""

    hostname: str
    addresses: Mapping[Family, IPAddress]

    @classmethod
    def detect(cls) -> HostIdentity:
        """Ask the machine."""
        found = {family: primary_address(family) for family in _OUTSIDE}
        return cls(socket.gethostname(), {family: ip for family, ip in found.items() if ip is not None})


def primary_address(family: Family) -> IPAddress | None:
    """The address that traffic to the outside would carry, else the first usable one, else None."""
    return _route_source(family) or next(_interface_addresses(family), None)


def _route_source(family: Family) -> IPAddress | None:
    kind, outside = _OUTSIDE[family]
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 53))
        except OSError:  # no route of this family
            return None
        return _usable(probe.getsockname()[0])


def is_local(address: IPAddress) -> bool:
    """Whether this machine has `address` now, on whichever interface.

    Asks the kernel which source it would choose: to a machine's own address it is that address. (Of several in one
    network only the first is found so; binding to it would not do, as ``ip_nonlocal_bind`` allows that everywhere.)
    """
    kind, _ = _OUTSIDE[6 if address.version == 6 else 4]
    with socket.socket(kind, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 53))
        except OSError:  # no route there
            return False
        return str(probe.getsockname()[0]) == str(address)


def local_addresses() -> frozenset[IPAddress]:
    """Every address of this machine, on whichever interface, also those that duplicate detection still holds back."""
    ipv6 = _IF_INET6.read_text().splitlines() if _IF_INET6.exists() else []
    return frozenset(_local_ipv4(_FIB_TRIE.read_text())) | {
        IPv6Address(int(line.split()[0], 16)) for line in ipv6
    }


def _local_ipv4(routes: str) -> Iterator[IPv4Address]:
    """The leaves of the kernel's routes that say ``/32 host LOCAL``; a line before them has the address."""
    address = ""
    for line in routes.splitlines():
        words = line.split()
        if words[0] == "|--":
            address = words[1]
        elif words[0] == "/32" and words[-1] == "LOCAL":
            yield IPv4Address(address)


def _interface_addresses(family: Family) -> Iterator[IPAddress]:
    source = _ipv4_interfaces if family == 4 else _ipv6_interfaces
    for interface, text in source():
        address = _usable(text)
        if address is not None and not interface.startswith(_CNI_INTERFACES):
            yield address


def _usable(text: str) -> IPAddress | None:
    address = IPv6Address(text) if ":" in text else IPv4Address(text)
    bad = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return None if bad else address


def _ipv4_interfaces() -> Iterator[tuple[str, str]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode())
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # no IPv4 address on it
                continue
            yield name, socket.inet_ntoa(answer[20:24])


def _ipv6_interfaces() -> Iterator[tuple[str, str]]:
    if not _IF_INET6.exists():  # IPv6 is off
        return
    for line in _IF_INET6.read_text().splitlines():
        digits, _, _, _, flags, name = line.split()
        if not int(flags, 16) & _IFA_F_UNUSABLE:
            yield name, str(IPv6Address(int(digits, 16)))
