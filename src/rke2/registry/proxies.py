"""Which proxy to go through: ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``, read as Go programs read them.

Operators write networks (``10.0.0.0/8``) into ``NO_PROXY``, which Python's own reading does not know.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The URL of the proxy for `url`, None for a direct connection; loopback is always direct."""
    parts = urlsplit(url)
    proxy = _variable(environ, f"{parts.scheme}_proxy")
    host = parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    if (
        not proxy
        or _is_local(host)
        or any(
            _matches(entry.strip().lower(), host, port) for entry in _variable(environ, "no_proxy").split(",")
        )
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _is_local(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether one entry of ``NO_PROXY`` (``*``, address, network, domain, ``.domain``, each with ``:port``) fits."""
    if entry in ("", "*"):
        return entry == "*"
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if _address(entry) is None and (parts := entry.rpartition(":"))[2].isdecimal():
        if int(parts[2]) != port:
            return False
        entry = parts[0]
    entry = entry.strip("[]")
    if (literal := _address(entry)) is not None:
        return literal == address
    domain = entry.removeprefix("*")
    return host == domain or host.endswith(domain if domain.startswith(".") else f".{domain}")
