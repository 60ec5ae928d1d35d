"""Where a URL leads: credentials for one place are shown at no other (RFC 6454)."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from rke2.errors import RegistryError

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host in lower case, port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an absolute URL.

        Raises:
            RegistryError: it is not an address of HTTP.
        """
        try:
            parts = urlsplit(url)
            if parts.scheme in _PORTS and parts.hostname:
                return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
        except ValueError:
            pass
        raise RegistryError(f"{url} is not an address of HTTP", "it must begin with https://, or http://")

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def location(url: str, header: str, registry: str) -> str:
    """The absolute URL that the ``Location`` of an answer for `url` stands for.

    Args:
        registry: names who answered, in the error.

    Raises:
        RegistryError: it is not an address of HTTP.
    """
    try:
        target = urljoin(url, header)
        Origin.of(target)
    except (ValueError, RegistryError) as error:
        raise RegistryError(
            f"registry {registry} redirects to {header or 'nowhere'}, which is not an address of HTTP",
            "correct the registry's own address (its `http.host`)",
        ) from error
    return target
