"""How hosts and endpoints are written in ``registries.yaml``, and the one spelling each has here.

containerd compares hosts as text: that of a pod's image with names of directories, that of a URL with keys of
credentials. So URLs have one spelling (`rke2.registry.hosts`), and a host has a directory under each that the file has.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from rke2.errors import ConfigError
from rke2.registry.hosts import DOCKER_HUB, DOCKER_HUB_SERVER, host_of


def canonical(name: str) -> str:
    """The host a key of the file stands for, in its one spelling.

    Raises:
        ValueError: there is no host in it.
    """
    return name if name == "*" else host_of(name)


def shown(key: str) -> str:
    """A key without the password that it may have."""
    return repr(f"…@{key.rpartition('@')[2]}" if "@" in key else key)


def normalize_endpoint(text: str) -> tuple[str, bool]:
    """The URL containerd is given, and whether its path replaces the usual ``/v2``.

    Raises:
        ConfigError: there is no host in it, or another scheme than http and https.
    """
    with_scheme = text if "://" in text else f"{_default_scheme(text)}://{text}"
    try:
        url = urlsplit(with_scheme)
        host = host_of(with_scheme) if url.netloc else ""
    except ValueError as error:
        raise ConfigError(f"registry endpoint {shown(text)} {error}", "write https://host:port") from error
    if not host or url.scheme not in ("http", "https"):
        raise ConfigError(f"registry endpoint {text!r} is not an http or https URL with a host")
    host = DOCKER_HUB_SERVER if host == DOCKER_HUB else host
    standard = url.path in ("", "/", "/v2")
    return f"{url.scheme}://{host}{'/v2' if standard else url.path}", not standard


def _default_scheme(text: str) -> str:
    """A registry on localhost speaks plain HTTP unless it is on the HTTPS port."""
    parts = urlsplit(f"//{text}")
    local = parts.hostname in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
    try:
        return "http" if local and parts.port not in (None, 443) else "https"
    except ValueError:
        return "https"


def registry_of(url: str) -> str:
    """The registry an endpoint belongs to, by the name it has in references."""
    return host_of(url)
