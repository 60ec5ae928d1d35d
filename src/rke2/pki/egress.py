"""The apiserver's egress selector: it reaches kubelets through the supervisor's tunnel, or directly.

Mirrors the supervisor reference §9.6.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rke2.config.addresses import on_loopback
from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.catalog import SERVER_CA
from rke2.pki.pem import certificate_path, key_path

FILE = "egress-selector-config.yaml"
_CLIENT = "client-kube-apiserver"


def egress_selector_config(config: NodeConfig) -> dict[str, Any]:
    """The EgressSelectorConfiguration for the node's ``egress-selector-mode``."""
    direct = config.network.egress_selector_mode == "disabled"
    connection = {"proxyProtocol": "Direct"} if direct else _http_connect(config)
    return {
        "kind": "EgressSelectorConfiguration",
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "egressSelections": [{"name": "cluster", "connection": connection}],
    }


def _http_connect(config: NodeConfig) -> dict[str, Any]:
    tls = config.paths.tls
    trust = {
        "caBundle": str(certificate_path(tls / SERVER_CA.file)),
        "clientKey": str(key_path(tls / _CLIENT)),
        "clientCert": str(certificate_path(tls / _CLIENT)),
    }
    tcp = {"url": supervisor_url(config), "tlsConfig": trust}
    return {"proxyProtocol": "HTTPConnect", "transport": {"tcp": tcp}}


def supervisor_url(config: NodeConfig) -> str:
    """How a process on this server reaches its supervisor: loopback is always bound."""
    return f"https://{on_loopback(config, SUPERVISOR_PORT)}"


def ensure_egress_selector_config(config: NodeConfig) -> Path:
    """Write ``<dd>/server/etc/egress-selector-config.yaml`` (JSON, which is YAML)."""
    path = ensure_dir(config.paths.server_etc, 0o700) / FILE
    write_atomic(path, json.dumps(egress_selector_config(config), separators=(",", ":")), 0o600)
    return path
