"""Addresses as the cluster writes them: ``host:port``, with ``[…]`` around an IPv6 host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address


def unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """What `address` leads to: of an IPv4-mapped IPv6 one (``::ffff:10.0.0.1``) the IPv4 address, else itself."""
    return getattr(address, "ipv4_mapped", None) or address


def split(address: str) -> tuple[str, int]:
    """Host (without brackets) and port.

    Raises:
        ValueError: it is not ``host:port``.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or bracketed != (":" in bare) or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{address!r} is not an address of the form host:port")
    if not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} has no port between 1 and 65535")
    return bare, int(port)


def host_port(host: str, port: int) -> str:
    """``host:port`` of a host without brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
