"""Where the API servers are: endpoints of the Service ``kubernetes``, and the list in etcd for servers without.

Mirrors the controllers reference §7.3 and the supervisor reference §5.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from rke2.host.addresses import host_port
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.objects import Key, Object
from rke2.kube.resources import ENDPOINT_SLICES

KEY = "rke2/apiaddresses"
"""Key of etcd where servers without an API server find those of others."""
SERVICE = Key("default", "kubernetes")
_DEFAULT_PORT = 443


def endpoints(client: Client) -> Informer:
    """The slices of the Service, as the API servers publish them."""
    return Informer(
        client,
        ENDPOINT_SLICES,
        namespace=SERVICE.namespace,
        label_selector=f"kubernetes.io/service-name={SERVICE.name}",
    )


def ready_addresses(slices: Iterable[Object]) -> list[str]:
    """``ip:port`` of the endpoints that are not known to be unready, sorted; IPv6 addresses in brackets."""
    return sorted(
        {
            host_port(address, port)
            for item in slices
            for port in [_port(item)]
            for endpoint in item.get("endpoints") or ()
            # The API asks its readers to take an unknown readiness for ready.
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint.get("addresses") or ()
        }
    )


def _port(item: Object) -> int:
    """The first port of a slice, else that of HTTPS."""
    ports = item.get("ports") or ()
    return int((ports[0].get("port") if ports else None) or _DEFAULT_PORT)


def encode(addresses: Iterable[str]) -> bytes:
    """The value of `KEY`."""
    return json.dumps(list(addresses), separators=(",", ":")).encode()


def decode(value: bytes | None) -> list[str]:
    """The addresses in the value of `KEY`; nothing in one that is no list."""
    try:
        # RKE2's cluster reset writes an empty value.
        found = json.loads(value) if value else []
    except ValueError:
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
