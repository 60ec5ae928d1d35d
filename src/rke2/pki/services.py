"""The services whose certificates ``rke2 certificate`` checks and rotates, and their files (day2 reference §5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rke2.config.paths import Paths
from rke2.pki.catalog import AGENT_LEAVES, SERVER_LEAVES, Leaf
from rke2.pki.pem import certificate_path, key_path

LISTENER = "rke2-server"
"""The certificate of port 9345, which is no pair of files: a marker has it made again."""

SERVER = (
    "api-server",
    "admin",
    "auth-proxy",
    "cloud-controller",
    "controller-manager",
    "etcd",
    "scheduler",
    "supervisor",
    LISTENER,
)
AGENT = ("kube-proxy", "kubelet", "rke2-controller")
ALL = SERVER + AGENT

SHARED_KEYS = "shared-agent-keys"
"""Folder below ``<server>/tls``: keys that agents without a signing request share (RKE2 has them in ``tls`` itself)."""

_NAMES_A_NODE = "{node}"


def files(service: str, paths: Paths) -> Iterator[Path]:
    """Certificates and keys of a service on a server and its agent, whether they exist or not."""
    for leaf in SERVER_LEAVES:
        if leaf.service == service:
            yield from pair(paths.tls / leaf.file)
    for leaf in AGENT_LEAVES:
        if leaf.service == service:
            yield from _keys_for_others(leaf, paths.tls)
            yield from pair(paths.agent / leaf.file)


def pair(stem: Path) -> tuple[Path, Path]:
    """The certificate's file and its key's."""
    return certificate_path(stem), key_path(stem)


def _keys_for_others(leaf: Leaf, tls: Path) -> Iterator[Path]:
    """Keys of agents that a server keeps: where RKE2 has them, and where this program does."""
    if _NAMES_A_NODE in leaf.common_name:
        yield key_path(tls / leaf.file)
    yield key_path(tls / SHARED_KEYS / leaf.file)
