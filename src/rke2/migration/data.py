"""What the data directory says: whose it is, whether it is whole, and which release wrote it."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode
from rke2.release_version import ReleaseVersion
from rke2.version import KUBERNETES_VERSION

_OF_SERVERS = (
    "server/tls/server-ca.crt",
    "server/tls/server-ca.key",
    "server/tls/client-ca.key",
    "server/token",
)
_OF_AGENTS = ("agent/client-kubelet.crt", "agent/server-ca.crt")


def check(node: ExistingNode) -> Iterator[MigrationFinding]:
    """Everything that can be told of the files alone."""
    missing = [name for name in _needed(node) if not (node.paths.data_dir / name).exists()]
    if missing:
        yield MigrationFinding(
            "data",
            Severity.STOP,
            f"{node.paths.data_dir} is not the data of {_a(node)}: it has no {', '.join(missing)}",
            "name the directory with --data-dir, the role with --role; a node that never ran is simply installed",
        )
    if node.is_server:
        yield from _datastore(node)
    yield from _version(node.version)


def _a(node: ExistingNode) -> str:
    return "a server" if node.is_server else "an agent"


def _needed(node: ExistingNode) -> tuple[str, ...]:
    return _OF_SERVERS if node.is_server else _OF_AGENTS


def _datastore(node: ExistingNode) -> Iterator[MigrationFinding]:
    database = node.paths.etcd.parent
    foreign = [name for name in ("state.db", "../kine.sock") if (database / name).exists()]
    if foreign:
        yield MigrationFinding(
            "datastore",
            Severity.STOP,
            f"{(database / foreign[0]).resolve()}: the cluster is kept by kine, not in etcd",
            "move it to etcd with RKE2 first: start it once without datastore-endpoint and disable-etcd",
        )
    if (database / "reset-flag").exists():
        yield MigrationFinding(
            "reset",
            Severity.NOTE,
            f"{database / 'reset-flag'}: RKE2 has reset the cluster and was not started since",
            "the next start ends the reset; start this server alone, then let the others join it again",
        )
    if (node.paths.etcd / "tombstone").exists():
        yield MigrationFinding(
            "tombstone",
            Severity.NOTE,
            "the etcd member of this server was removed from its cluster",
            "with server: set the next start joins again, and keeps the old data beside the new",
        )


def _version(found: ReleaseVersion | None) -> Iterator[MigrationFinding]:
    own = ReleaseVersion.parse(KUBERNETES_VERSION)
    assert own
    if found is None:
        yield MigrationFinding(
            "version",
            Severity.CHANGE,
            "the release that wrote the data cannot be told: bin leads to no runtime image",
            f"compare `kubectl get nodes` with this release, {KUBERNETES_VERSION}",
        )
        return
    here, there = (own.major, own.minor), (found.major, found.minor)
    if there > here or (here[0] - there[0], here[1] - there[1]) > (0, 1):
        step = "is newer than" if there > here else "is more than one minor release behind"
        yield MigrationFinding(
            "version",
            Severity.STOP,
            f"the data is of {found}, which {step} this release, {KUBERNETES_VERSION}",
            f"upgrade RKE2 minor by minor to v{own.major}.{own.minor} first"
            if there < here
            else "take a release of this program with that minor version",
        )
    elif there < here or found.patch > own.patch:
        step = "an upgrade" if there < here else "a step back"
        yield MigrationFinding(
            "version",
            Severity.CHANGE,
            f"the data is of {found}: the change is {step} of Kubernetes to {KUBERNETES_VERSION}, too",
            "change the servers first, then the agents",
        )
    else:
        yield MigrationFinding(
            "version", Severity.NOTE, f"the data is of {found}; this release is {KUBERNETES_VERSION}"
        )
