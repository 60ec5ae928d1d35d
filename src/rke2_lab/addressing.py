"""Names and addresses of a lab's network.

The addresses are the same in every lab, because no lab's network reaches anything else.

They overlap neither the default cluster and service ranges (10.42.0.0/16, 10.43.0.0/16) nor each other's hosts.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

NETNS_DIR = Path("/run/netns")
"""Where ip-netns(8) keeps network namespaces by name."""

GATEWAY = IPv4Interface("10.89.0.1/24")
GATEWAY6 = IPv6Interface("fd89::1/64")
_FIRST = 10
MOST_HOSTS = 240


def address(index: int) -> str:
    """IPv4 address of host number `index`."""
    return str(GATEWAY.network[_FIRST + index])


def address6(index: int) -> str:
    """IPv6 address of host number `index`."""
    return str(GATEWAY6.network[_FIRST + index])
