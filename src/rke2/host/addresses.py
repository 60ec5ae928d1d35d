"""Addresses as the cluster writes them: ``host:port``, with ``[…]`` around an IPv6 host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

DEFAULT_HTTPS_PORT = 443


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


def https_url(text: str) -> str:
    """A server's URL as ``https://host:port``, alike however it is written; upstream ignores a path, too.

    The host is in small letters, without the dot at the end (which no certificate has), an IPv6 address as short as it
    can be: servers are told apart by this text.

    Raises:
        ValueError: it is not an https URL of a host.
    """
    parts = urlsplit(text)
    host, port = (parts.hostname or "").removesuffix("."), parts.port or DEFAULT_HTTPS_PORT
    if not host or parts.scheme != "https" or parts.username or "://" not in text:
        raise ValueError(f"{text!r} is not an https URL of a host")
    return f"https://{host_port(str(IPv6Address(host)) if ':' in host else host, port)}"


def host_port(host: str, port: int) -> str:
    """``host:port`` of a host without brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
