"""A cluster in which nothing stands in the way of the next minor version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rke2.release_version import ReleaseVersion
from rke2.status.snapshots import LastSnapshot
from rke2.upgrade.facts import EtcdFacts, Facts, MemberFacts, NodeFacts
from rke2.upgrade.release import PackagedChart, ReleaseContent

NOW = 1_800_000_000.0
GIB = 1 << 30


def version(text: str) -> ReleaseVersion:
    found = ReleaseVersion.parse(text)
    assert found, text
    return found


def node(name: str, kubelet: str = "v1.36.4", **changes: Any) -> NodeFacts:
    server = name.startswith("server")
    verb = "server" if server else "agent"
    return replace(NodeFacts(name, version(kubelet), server, arguments=(verb,), free=100 * GIB), **changes)


def member(name: str, running: str = "3.6.14", storage: str = "3.6.0") -> MemberFacts:
    return MemberFacts(name, running, storage)


SNAPSHOT = LastSnapshot("on-demand-server-0-1799990000", 1 << 20, 1_799_990_000, proven=int(NOW) - 600)

OLD = ReleaseContent(
    version("v1.36.4+rke2py1"),
    {"hardened-etcd": "v3.6.14", "hardened-kubernetes": "v1.36.4", "hardened-calico": "v3.28.5"},
    {"rke2-coredns": PackagedChart("1.0.0", {"replicas": 1, "autoscaler": {"min": 1, "image": {}}})},
)
SAME_ETCD = ReleaseContent(
    version("v1.37.2+rke2py1"),
    {"hardened-etcd": "v3.6.14", "hardened-kubernetes": "v1.37.2", "hardened-calico": "v3.28.5"},
    {"rke2-coredns": PackagedChart("1.1.0", {"replicas": 1, "autoscaler": {"min": 1, "image": {}}})},
    archives=GIB // 2,
    place="/srv/v1.37",
)
NEW = replace(SAME_ETCD, images={**SAME_ETCD.images, "hardened-etcd": "v3.7.3"})

GOOD = Facts(
    now=OLD,
    then=SAME_ETCD,
    nodes=(node("server-0"), node("server-1"), node("server-2"), node("agent-0", "v1.35.1")),
    etcd=EtcdFacts(tuple(member(f"server-{n}") for n in range(3)), size=80 << 20, quota=2 * GIB),
    snapshot=SNAPSHOT,
    time=NOW,
)
