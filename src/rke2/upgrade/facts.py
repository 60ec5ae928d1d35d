"""What a plan knows of the cluster, as it was found; checks look at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rke2.release_version import ReleaseVersion
from rke2.status.snapshots import LastSnapshot
from rke2.upgrade.release import ReleaseContent


@dataclass(frozen=True)
class NodeFacts:
    """A Node.

    Args:
        kubelet: its version; None if the Node does not say.
        arguments: verb and flags that it was started with (annotation ``rke2.io/node-args``).
        free: bytes that are left where its images are; None if its kubelet did not say.
    """

    name: str
    kubelet: ReleaseVersion | None
    server: bool = False
    ready: bool = True
    arguments: tuple[str, ...] = ()
    free: int | None = None


@dataclass(frozen=True)
class RequestedApi:
    """A deprecated API that somebody has asked for since the API server started.

    Args:
        removed: the version of Kubernetes without it, such as ``1.40``; empty if none is planned.
    """

    group: str
    version: str
    resource: str
    removed: str = ""

    @property
    def name(self) -> str:
        return f"{self.resource}.{self.version}" + (f".{self.group}" if self.group else "")


@dataclass(frozen=True)
class MemberFacts:
    """A member of etcd.

    Args:
        version: of the program; `storage`: of its data, which decides whether an older program can read them.
            Both are empty if it did not answer.
    """

    node: str
    version: str = ""
    storage: str = ""


@dataclass(frozen=True)
class EtcdFacts:
    """etcd as this server's member knows it.

    Args:
        trouble: what keeps it from working; empty if nothing does.
        size, quota: of the database, in bytes.
    """

    members: tuple[MemberFacts, ...]
    trouble: str = ""
    size: int = 0
    quota: int = 0


@dataclass(frozen=True)
class Facts:
    """All of it.

    Args:
        now: the release that this node runs; `then`: the one it is to run.
        requested: deprecated APIs in use.
        stored: resources of API versions that the new release does not serve -> number of objects.
        chart_values: chart -> what its HelmChartConfig sets.
        etcd: None on a server without a member.
        ending: what is said of certificates of this node that end soon.
        snapshot: the newest one on this server; None if there is none.
        time: when this was looked at, Unix time.
        unasked: check -> why what it looks at could not be had.
    """

    now: ReleaseContent
    then: ReleaseContent
    nodes: tuple[NodeFacts, ...] = ()
    requested: tuple[RequestedApi, ...] = ()
    stored: Mapping[str, int] = field(default_factory=dict)
    chart_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    etcd: EtcdFacts | None = None
    ending: tuple[str, ...] = ()
    snapshot: LastSnapshot | None = None
    time: float = 0.0
    unasked: Mapping[str, str] = field(default_factory=dict)

    @property
    def minor_rises(self) -> bool:
        """Whether it is an upgrade to another minor version."""
        return self.then.version.minor > self.now.version.minor
