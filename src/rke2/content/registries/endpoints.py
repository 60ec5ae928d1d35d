"""Which endpoints stand in for each registry that ``registries.yaml`` names, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rke2.content.registries.settings import Mirror, Registries, RegistryConfig
from rke2.content.registries.spelling import normalize_endpoint, registry_of
from rke2.registry.hosts import DOCKER_HUB, DOCKER_HUB_SERVER


@dataclass(frozen=True)
class RegistryEndpoint:
    """One place images are fetched from. `url` is empty for "the host itself" in ``_default``."""

    url: str
    override_path: bool = False
    config: RegistryConfig = field(default_factory=RegistryConfig)
    rewrites: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Nothing is said about it that containerd would not do by itself."""
        return not (self.override_path or self.rewrites or self.config.auth or self.config.tls)


@dataclass(frozen=True)
class RegistryHost:
    """The endpoints of one registry: mirrors first, `last` when none of them has the image."""

    mirrors: tuple[RegistryEndpoint, ...]
    last: RegistryEndpoint | None


def hosts(registries: Registries, *, disable_default: bool = False) -> dict[str, RegistryHost]:
    """Every registry the file says something about, by the names of its directories.

    Args:
        disable_default: no fall-back to the registry itself where there are mirrors.

    Raises:
        ConfigError: an endpoint is not a URL.
    """
    names = dict.fromkeys((*(registries.configs or {}), *(registries.mirrors or {})))
    made = {name: _host(registries, name, disable_default) for name in names}
    return {
        directory: host
        for name, host in made.items()
        if _says_something(name, host)
        for directory in _directories(registries, name)
    }


def _says_something(name: str, host: RegistryHost) -> bool:
    """Whether containerd would do anything else by itself."""
    last = host.last
    return bool(host.mirrors or (last and (last.url != _default_url(name) or not last.plain)))


def _default_url(name: str) -> str:
    return "" if name == "*" else normalize_endpoint(name)[0]


def _directories(registries: Registries, name: str) -> tuple[str, ...]:
    if name == "*":
        return ("_default",)
    others = registries.spellings.get(name, ())
    return tuple(dict.fromkeys((name, *others, *([DOCKER_HUB_SERVER] if name == DOCKER_HUB else ()))))


def _host(registries: Registries, name: str, disable_default: bool) -> RegistryHost:
    mirror = (registries.mirrors or {}).get(name) or Mirror()
    endpoints = tuple(dict.fromkeys(normalize_endpoint(text) for text in mirror.endpoint or ()))
    mirrors = tuple(
        RegistryEndpoint(url, override, registries.config(registry_of(url)), mirror.rewrite or {})
        for url, override in endpoints
    )
    default = RegistryEndpoint(_default_url(name), config=registries.config(name))
    # Without a server in hosts.toml containerd falls back to the registry itself, so the last mirror takes that role
    # where the registry is not to be asked, as it does where it is the registry.
    if mirrors and (disable_default or mirrors[-1].url == default.url):
        return RegistryHost(mirrors[:-1], mirrors[-1])
    return RegistryHost(mirrors, default)
