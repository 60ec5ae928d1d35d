"""``registries.yaml``: mirrors, credentials and TLS of image registries.

Credentials go into containerd's main configuration, everything else into ``hosts.toml`` files (`endpoints`,
`hosts_toml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rke2 import goyaml
from rke2.config.places import with_keys
from rke2.content.registries.spelling import canonical, normalize_endpoint, registry_of, shown
from rke2.errors import ConfigError
from rke2.registry.hosts import DOCKER_HUB, DOCKER_HUB_SERVER, spelled

T = TypeVar("T")


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials; `auth` is base64 of ``user:password``."""

    username: str = ""
    password: str = ""
    auth: str = ""
    identity_token: str = ""


class RegistryTLS(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of a registry's CA and of the client certificate it wants."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure_skip_verify: bool = False


class RegistryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Auth | None = None
    tls: RegistryTLS | None = None


class Mirror(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Endpoints tried in this order, and regular expressions applied to the image's name for them."""

    endpoint: list[str] | None = None
    rewrite: dict[str, str] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written."""

    mirrors: dict[str, Mirror | None] | None = None
    configs: dict[str, RegistryConfig | None] | None = None


class Registries(msgspec.Struct, frozen=True):
    """What the file says. Keys are hosts in their one spelling (`canonical`), or ``*`` for all hosts without an entry.

    Attributes:
        spellings: other spellings that the file has for a host, as images of pods may have them, too.
    """

    mirrors: dict[str, Mirror | None] | None = None
    configs: dict[str, RegistryConfig | None] | None = None
    spellings: dict[str, tuple[str, ...]] = {}

    def config(self, host: str) -> RegistryConfig:
        """What is said of `host`, however it is written, else what is said under ``*``."""
        configs = self.configs or {}
        return configs.get(canonical(host)) or configs.get("*") or RegistryConfig()

    def auths(self) -> dict[str, dict[str, str]]:
        """Host -> containerd's ``registry.configs.<host>.auth`` table; it looks there for the host that it asks.

        It knows no ``*``: every host that the file names, and every endpoint, has the table that `config` finds for it.
        """
        named = {
            host: self.config(host)
            for host in (*(self.configs or {}), *(self.mirrors or {}), *self._endpoints())
        }
        return {
            DOCKER_HUB_SERVER if host == DOCKER_HUB else host: {
                key.replace("identity_token", "identitytoken"): value for key, value in _set(config.auth)
            }
            for host, config in named.items()
            if config.auth and host != "*"
        }

    def _endpoints(self) -> Iterator[str]:
        for mirror in (self.mirrors or {}).values():
            for endpoint in (mirror and mirror.endpoint) or ():
                yield registry_of(normalize_endpoint(endpoint)[0])


def _set(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in msgspec.structs.asdict(struct).items() if value)


def load_registries(path: Path) -> Registries:
    """Read the file; none is the same as an empty one.

    Raises:
        ConfigError: it is not valid YAML, or has a key or type that does not belong there.
    """
    try:
        document = goyaml.load(path.read_text())
    except FileNotFoundError:
        return Registries()
    except (OSError, UnicodeDecodeError, goyaml.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        _drop_empty_fields(document)
        return _with_canonical_names(msgspec.convert(document or {}, _File), path)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{path}: {with_keys(error, document, _File)}",
            "the keys are mirrors.<host>.{endpoint,rewrite} and configs.<host>.{auth,tls}",
        ) from error


def _drop_empty_fields(document: Any) -> None:
    """A field without a value, such as ``ca_file:``, is to Go as if it were not there; one it does not know stays."""
    configs = document.get("configs") if isinstance(document, dict) else None
    for config in configs.values() if isinstance(configs, dict) else ():
        for name, fields in (("auth", Auth.__struct_fields__), ("tls", RegistryTLS.__struct_fields__)):
            table = config.get(name) if isinstance(config, dict) else None
            if isinstance(table, dict):
                config[name] = {
                    key: value for key, value in table.items() if value is not None or key not in fields
                }


def _with_canonical_names(registries: _File, path: Path) -> Registries:
    """One translation for what rke2 pulls itself and for pods.

    Raises:
        ConfigError: names the file and the key.
    """
    return Registries(
        _renamed(registries.mirrors or {}, f"{path}: mirrors", _one_of) or None,
        _renamed(registries.configs or {}, f"{path}: configs", _both) or None,
        _spellings((*(registries.mirrors or {}), *(registries.configs or {}))),
    )


def _spellings(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for key in keys:
        if key != "*" and spelled(key) != canonical(key):
            found.setdefault(canonical(key), {})[spelled(key)] = None
    return {name: tuple(others) for name, others in found.items()}


def _renamed(
    entries: Mapping[str, T | None], where: str, join: Callable[[T | None, T | None], T | None]
) -> dict[str, T | None]:
    renamed: dict[str, T | None] = {}
    for key, entry in entries.items():
        try:
            name = canonical(key)
        except ValueError as error:
            raise ConfigError(
                f"{where}: {shown(key)} {error}",
                "write host, host:port or *; credentials belong under auth",
            ) from None
        try:
            renamed[name] = join(renamed[name], entry) if name in renamed else entry
        except ValueError:
            raise ConfigError(
                f"{where}: {key!r} is one more name of {name}, and they differ", f"write one entry, {name}"
            ) from None
    return renamed


def _both(one: RegistryConfig | None, other: RegistryConfig | None) -> RegistryConfig | None:
    """Credentials under one name and TLS under another are for the same registry."""
    one, other = one or RegistryConfig(), other or RegistryConfig()
    return RegistryConfig(_one_of(one.auth, other.auth), _one_of(one.tls, other.tls))


def _one_of(one: T | None, other: T | None) -> T | None:
    if one and other and one != other:
        raise ValueError
    return one or other
