"""Which mirrors containerd reaches through the relay: those with rewrite rules."""

from __future__ import annotations

from rke2.content.images.pull import source_of
from rke2.content.registries.endpoints import RegistryEndpoint, RegistryHost, hosts
from rke2.content.registries.settings import Registries
from rke2.registry.relay import Relay


def relay_for(configured: Registries, port: int, *, disable_default: bool = False) -> Relay | None:
    """The relay for all mirrors with rewrite rules; None if there are none.

    Args:
        port: on loopback.

    Raises:
        ConfigError: an endpoint, a rule or credentials cannot be understood.
    """
    sources = []
    for host in hosts(configured, disable_default=disable_default).values():
        for endpoint in (*host.mirrors, host.last):
            if endpoint and endpoint.rewrites:
                source = source_of(endpoint)
                source.repository("any/name")
                sources.append(source)
    return Relay(sources, port) if sources else None


def through(relay: Relay, host: RegistryHost) -> RegistryHost:
    """`host` with the relay in place of endpoints that have rewrite rules."""

    def reached(endpoint: RegistryEndpoint) -> RegistryEndpoint:
        if not endpoint.rewrites:
            return endpoint
        return RegistryEndpoint(relay.url(source_of(endpoint)), override_path=True, headers=relay.headers)

    return RegistryHost(tuple(map(reached, host.mirrors)), reached(host.last) if host.last else None)
