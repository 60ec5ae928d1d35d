"""The CNI plugin a cluster was begun with. It stays: another one would take over neither pods nor rules of the first.

``<dd>/server/cni`` (ours) says which it was. A server that has no such file but staged manifests (made by RKE2 or an
earlier release) has the one whose manifest is there. See docs/adr/0020.
"""

from __future__ import annotations

from rke2.config.cni import CNIS, find
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import ConfigError, ContentError
from rke2.host.files import ensure_dir, write_atomic


def check(config: NodeConfig) -> None:
    """See that the CNI plugin is the one this server was begun with; writes nothing.

    Raises:
        ConfigError: it is another one.
    """
    before, now = begun_with(config.paths), config.network.cni[-1]
    if before in ("", now):
        return
    raise ConfigError(
        f"cni is {now}, but this cluster was begun with {before}: pods, addresses and rules of {before} are in use",
        f"set cni to {before}; to have {now}, begin a new cluster (or see docs/network.md: every node has to be "
        f"emptied, and {config.paths.cni_record} deleted on every server)",
    )


def begun_with(paths: Paths) -> str:
    """The name of the CNI plugin; empty on a server that was never started.

    Raises:
        ConfigError: the record is there and cannot be read.
    """
    try:
        return paths.cni_record.read_text().strip()
    except FileNotFoundError:
        return _staged(paths)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{paths.cni_record} cannot be read: {error}",
            "write the name of the cluster's CNI plugin into it",
        ) from error


def _staged(paths: Paths) -> str:
    manifests = [(cni, paths.manifests / f"{chart}.yaml") for cni in CNIS for chart in cni.charts]
    return next((cni.name for cni, manifest in manifests if manifest.exists()), "")


def record(config: NodeConfig) -> None:
    """Remember the CNI plugin, once.

    Raises:
        ContentError: the file cannot be written.
    """
    file, name = config.paths.cni_record, find(config.network.cni[-1]).name
    if file.exists():
        return
    try:
        ensure_dir(file.parent, 0o700)
        write_atomic(file, f"{name}\n", 0o600)
    except OSError as error:
        raise ContentError(f"cannot write {file}: {error}") from error
