"""Addresses as the cluster writes them: ``host:port``, with ``[…]`` around an IPv6 host."""

from __future__ import annotations


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
