"""The kubeconfig files of a node.

Components get small ones that refer to certificate files, so that a renewed certificate needs no new kubeconfig. The
administrator gets one that can be copied elsewhere, with everything embedded.
"""

from __future__ import annotations

import base64
import grp
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rke2 import goyaml
from rke2.config.addresses import on_loopback
from rke2.config.model import APISERVER_PORT, NodeConfig, ServerSettings
from rke2.errors import ConfigError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.catalog import SERVER_CA
from rke2.pki.pem import certificate_path, key_path

COMPONENT_MODE = 0o600


@dataclass(frozen=True)
class Kubeconfig:
    """`file` lets its user act as the client certificate `client` (a name of the certificate catalog)."""

    file: str
    client: str


SERVER_KUBECONFIGS = (
    Kubeconfig("admin.kubeconfig", "client-admin"),
    Kubeconfig("supervisor.kubeconfig", "client-supervisor"),
    Kubeconfig("controller.kubeconfig", "client-controller"),
    Kubeconfig("scheduler.kubeconfig", "client-scheduler"),
    Kubeconfig("api-server.kubeconfig", "client-kube-apiserver"),
    Kubeconfig("cloud-controller.kubeconfig", "client-rke2-cloud-controller"),
)
"""In ``<dd>/server/cred``."""

AGENT_KUBECONFIGS = (
    Kubeconfig("kubelet.kubeconfig", "client-kubelet"),
    Kubeconfig("kubeproxy.kubeconfig", "client-kube-proxy"),
    Kubeconfig("rke2controller.kubeconfig", "client-rke2-controller"),
)
"""In ``<dd>/agent``."""

_NO_OVERRIDES: Mapping[str, str] = MappingProxyType({})


def apiserver_url(config: NodeConfig) -> str:
    """Where this node reaches an apiserver: its own, or through its load balancer if it runs none."""
    if not config.runs_apiserver:
        return f"https://127.0.0.1:{config.node.lb_server_port - 1}"
    return f"https://{on_loopback(config, APISERVER_PORT)}"


def ensure_server_kubeconfigs(config: NodeConfig, servers: Mapping[str, str] = _NO_OVERRIDES) -> None:
    """Write the kubeconfigs of the control plane.

    Args:
        servers: apiserver URL by file name, for files whose user shall not go to `apiserver_url`.
    """
    ensure_dir(config.paths.server, 0o700)
    directory = ensure_dir(config.paths.cred, 0o700)
    _write_all(SERVER_KUBECONFIGS, directory, config.paths.tls, apiserver_url(config), servers)


def ensure_agent_kubeconfigs(config: NodeConfig, servers: Mapping[str, str] = _NO_OVERRIDES) -> None:
    """Write the kubeconfigs of kubelet, kube-proxy and the agent's controllers; `servers` as above."""
    directory = ensure_dir(config.paths.agent, 0o750)
    _write_all(AGENT_KUBECONFIGS, directory, directory, apiserver_url(config), servers)


def _write_all(
    table: tuple[Kubeconfig, ...], directory: Path, tls: Path, server: str, servers: Mapping[str, str]
) -> None:
    for entry in table:
        document = _by_reference(servers.get(entry.file, server), tls, entry.client)
        write_atomic(directory / entry.file, _yaml(document), COMPONENT_MODE)


def _by_reference(server: str, tls: Path, client: str) -> dict[str, Any]:
    cluster = {"certificate-authority": str(certificate_path(tls / SERVER_CA.file)), "server": server}
    stem = tls / client
    user = {"client-certificate": str(certificate_path(stem)), "client-key": str(key_path(stem))}
    return _document(
        cluster, user, cluster_name="local", user_name="user", context="Default", namespace="default"
    )


def _document(
    cluster: Mapping[str, str],
    user: Mapping[str, str],
    *,
    cluster_name: str,
    user_name: str,
    context: str,
    namespace: str = "",
) -> dict[str, Any]:
    where = {"cluster": cluster_name, "namespace": namespace, "user": user_name}
    return {
        "apiVersion": "v1",
        "clusters": [{"cluster": dict(cluster), "name": cluster_name}],
        "contexts": [{"context": {key: value for key, value in where.items() if value}, "name": context}],
        "current-context": context,
        "kind": "Config",
        "users": [{"name": user_name, "user": dict(user)}],
    }


def _yaml(document: Mapping[str, Any]) -> str:
    return goyaml.dump(document, width=2**20)


def ensure_admin_kubeconfig(config: NodeConfig) -> Path:
    """Write the administrator's kubeconfig with embedded certificates.

    It goes to ``write-kubeconfig``; if that is not the default path, the default path becomes a link to it.

    Returns:
        The path of the file.

    Raises:
        ConfigError: ``write-kubeconfig-group`` is not a group of this machine; nothing was written.
    """
    settings, default = _server(config), config.paths.admin_kubeconfig
    path = settings.write_kubeconfig or default
    group = _group_id(settings.write_kubeconfig_group)
    content, mode = _yaml(_embedded(config)), settings.write_kubeconfig_mode
    if path == default:
        _unlink_symlink(default)
        _write_admin(default, content, mode, group)
    else:
        _write_admin(path.resolve(), content, mode, group)
        _link(default, path)
    return path


def _server(config: NodeConfig) -> ServerSettings:
    if config.server is None:
        raise ValueError("an agent has no administrator kubeconfig")
    return config.server


def _group_id(name: str) -> int | None:
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"write-kubeconfig-group: there is no group {name!r} on this machine") from None


def _embedded(config: NodeConfig) -> dict[str, Any]:
    tls = config.paths.tls
    authority, client = certificate_path(tls / SERVER_CA.file), tls / "client-admin"
    cluster = {"certificate-authority-data": _base64(authority), "server": apiserver_url(config)}
    user = {
        "client-certificate-data": _base64(certificate_path(client)),
        "client-key-data": _base64(key_path(client)),
    }
    return _document(cluster, user, cluster_name="default", user_name="default", context="default")


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write_admin(path: Path, content: str, mode: int, group: int | None) -> None:
    ensure_dir(path.parent)
    write_atomic(path, content, mode)
    if group is not None and path.stat().st_gid != group:
        os.chown(path, -1, group)


def _unlink_symlink(default: Path) -> None:
    """Forget the link of a start with another write-kubeconfig, so that its target is not taken for the file."""
    if default.is_symlink():
        default.unlink()


def _link(default: Path, target: Path) -> None:
    if default.is_symlink() and default.readlink() == target:
        return
    ensure_dir(default.parent)
    default.unlink(missing_ok=True)
    default.symlink_to(target)
